package miner

import (
	"context"
	"math/big"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// TxSource is the priority list that candidates are drawn from, best first. op-geth's
// transactionsByPriceAndNonce is one. It is used by one goroutine at a time.
type TxSource interface {
	// Peek returns the best transaction and its effective tip, or nil.
	Peek() (*txpool.LazyTransaction, *uint256.Int)
	// Shift replaces the best transaction by the next one of its sender.
	Shift()
	// Pop removes the best transaction and all later ones of its sender.
	Pop()
	// Empty reports whether nothing is left.
	Empty() bool
	// Clear removes everything.
	Clear()
}

// Block is a block under construction, as op-geth's environment holds it: the forced
// transactions are in, State has them applied, and the pool's are to follow. Fill
// extends Txs, Receipts, Sidecars and the counters, and mutates State, GasPool and
// Header in place.
type Block struct {
	Config   *params.ChainConfig
	Chain    core.ChainContext
	Header   *types.Header
	Coinbase common.Address
	Signer   types.Signer
	State    *state.StateDB
	GasPool  *core.GasPool

	Txs      []*types.Transaction
	Receipts []*types.Receipt
	Sidecars []*types.BlobTxSidecar
	TxCount  int    // transactions in the block so far
	Size     uint64 // bytes of the block so far
	Blobs    int    // blobs in the block so far

	DAFootprintGasScalar uint16          // Jovian: gas per byte of estimated DA size
	RPCContext           context.Context // bounds RPC work of the build; nil: none allowed
}

// Limits are the bounds of a block that do not follow from its header.
type Limits struct {
	MaxBlobs       func() int  // blobs per block; only called where the chain has a schedule for them
	MaxDABlockSize *big.Int    // bytes of estimated DA size per block; nil: unlimited
	MaxSize        uint64      // a transaction must leave the block's size below this, bytes
	Failsafe       func() bool // reports whether the interop supervisor is in failsafe; nil: no interop
}

// Request is one run over a pair of priority lists.
type Request struct {
	Threads   int // workers, at least 1
	Limits    Limits
	Plain     TxSource      // transactions without blobs
	Blob      TxSource      // transactions with blobs
	Interrupt *atomic.Int32 // non-zero: stop and keep what is committed; may be nil

	Chaos  blockstm.Chaos                          // disturbs the schedule in tests; nil: nothing does
	Watch  func(blockstm.Program) blockstm.Program // stands between the scheduler and the run, to time it; nil: nothing does
	Window int                                     // most candidates to speculate ahead; 0: the scheduler's default

	// Off turns off what only makes filling faster, to measure what it gains.
	Off Features
}

// Features are parts of the builder that only decide what is worth running when.
type Features struct {
	Window  bool // speculation depth by the conflicts seen
	Senders bool // a candidate waits for the one before it of the same sender
	Hints   bool // a candidate waits for the one that it followed in an earlier build
	Groups  bool // a candidate waits for the one before it that calls the same contract, if such have followed one another
}

// Result tells how a run ended.
type Result struct {
	// Interrupt is the signal that ended the run, 0 if none did.
	Interrupt int32

	// Fallback is why the rest must be built sequentially: nil when the run is complete.
	// The block then holds a correct prefix, and RestPlain and RestBlob what is still to
	// be offered, by sender in nonce order.
	Fallback            error
	RestPlain, RestBlob map[common.Address][]*txpool.LazyTransaction

	// Torn reports that the run failed in the middle of a commit: the block is unusable
	// and must be built again from its parent, sequentially.
	Torn bool

	// DABytes is the estimated DA size of the transactions that the run put in the block,
	// as upstream's loop accounts it against MaxDABlockSize. A fallback starts from it.
	DABytes uint64

	Stats Stats
}
