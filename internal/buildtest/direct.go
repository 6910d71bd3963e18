package buildtest

import (
	"context"
	"fmt"
	"math/big"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Sequential is the number of threads that stands for Reference.
const Sequential = 0

// Built is a sealed block and what is left of building it.
type Built struct {
	Block    *types.Block
	Receipts []*types.Receipt
	State    *state.StateDB
	Runs     []miner.Result // of Fill, one for each pair of lists; none if sequential
	Signal   int32          // interrupt that ended the build
	Forced   int            // transactions that are not from the pool
	Dropped  map[string]int // by Reference, by the reason
}

// Build builds the scenario's block by Fill with that many workers, or by Reference if
// threads is Sequential, around them the work that op-geth does before and after. The
// interrupt may be nil. A fallback of Fill is an error: the block would not be its work.
func (n *Node) Build(threads int, interrupt *atomic.Int32) (*Built, error) {
	b, err := n.prepare(threads != Sequential, nil)
	if err != nil {
		return nil, err
	}
	out := &Built{Forced: len(b.Txs), Dropped: make(map[string]int)}
	lists, err := n.lists(b.Header)
	if err != nil {
		return nil, err
	}
	for _, pair := range lists {
		req := &miner.Request{
			Threads: threads,
			Plain:   NewPriority(pair[0], b.Header.BaseFee),
			Blob:    NewPriority(pair[1], b.Header.BaseFee),
			Limits: miner.Limits{
				MaxBlobs:       func() int { return eip4844.MaxBlobsPerBlock(b.Config, b.Header.Time) },
				MaxDABlockSize: n.Scenario.MaxDABlockSize,
				MaxSize:        n.Scenario.maxSize(),
			},
			Interrupt: interrupt,
		}
		if threads == Sequential {
			out.Signal = reference(b, req, out.Dropped)
		} else {
			res := miner.Fill(context.Background(), b, req)
			out.Runs = append(out.Runs, res)
			if res.Fallback != nil {
				return nil, fmt.Errorf("fill with %d workers fell back after %d of %d candidates: %w",
					threads, res.Stats.Committed, res.Stats.Candidates, res.Fallback)
			}
			out.Signal = res.Interrupt
		}
		if out.Signal != 0 {
			break
		}
	}
	return out, n.seal(b, out)
}

// prepare does what comes before the pool's transactions. The lesson may be nil.
func (n *Node) prepare(parallel bool, lesson *miner.Lesson) (*miner.Block, error) {
	s, parent := n.Scenario, n.parent
	h := &types.Header{
		ParentHash: parent.Hash(),
		Coinbase:   s.Coinbase,
		Difficulty: new(big.Int),
		Number:     big.NewInt(1),
		GasLimit:   s.GasLimit,
		Time:       genesisTime + blockTime,
		Extra:      optimismExtra(s.Config, genesisTime+blockTime),
		MixDigest:  common.Hash{7},
	}
	if s.Config.IsLondon(h.Number) {
		h.BaseFee = eip1559.CalcBaseFee(s.Config, parent, h.Time)
	}
	if s.Config.IsCancun(h.Number, h.Time) {
		excess := eip4844.CalcExcessBlobGas(s.Config, parent, h.Time)
		h.ExcessBlobGas, h.BlobGasUsed, h.ParentBeaconRoot = &excess, new(uint64), &common.Hash{9}
	}
	db, err := n.chain.StateAt(parent.Root)
	if err != nil {
		return nil, err
	}
	if parallel {
		if db, err = miner.PrepareState(parent.Root, db, lesson); err != nil {
			return nil, err
		}
	}
	b := &miner.Block{
		Config: s.Config, Chain: n.chain, Header: h, Coinbase: s.Coinbase, State: db,
		Signer:  types.MakeSigner(s.Config, h.Number, h.Time),
		GasPool: core.NewGasPool(h.GasLimit),
		Size:    uint64(h.Size()),
	}
	evm := vm.NewEVM(core.NewEVMBlockContext(h, n.chain, &s.Coinbase, s.Config, db), db, s.Config, vm.Config{})
	if h.ParentBeaconRoot != nil {
		core.ProcessBeaconBlockRoot(*h.ParentBeaconRoot, evm)
	}
	if s.Config.IsPrague(h.Number, h.Time) {
		core.ProcessParentBlockHash(h.ParentHash, evm)
	}
	if s.Config.IsJovian(parent.Time) {
		if b.DAFootprintGasScalar, err = types.ExtractDAFootprintGasScalar(s.Forced[0].Data()); err != nil {
			return nil, err
		}
	}
	misc.EnsureCreate2Deployer(s.Config, h.Time, db)
	for _, tx := range s.Forced {
		if err := Apply(b, tx); err != nil {
			return nil, fmt.Errorf("forced transaction %s: %w", tx.Hash(), err)
		}
	}
	return b, nil
}

// lists returns the pool's content, plain and blob, for each run of the builder.
func (n *Node) lists(h *types.Header) ([][2]map[common.Address][]*txpool.LazyTransaction, error) {
	filter := txpool.PendingFilter{MinTip: uint256.NewInt(1), MaxDATxSize: n.Scenario.MaxDATxSize}
	if h.BaseFee != nil {
		filter.BaseFee = uint256.MustFromBig(h.BaseFee)
	}
	if h.ExcessBlobGas != nil {
		filter.BlobFee = uint256.MustFromBig(eip4844.CalcBlobFee(n.Scenario.Config, h))
	}
	var all, prio [2]map[common.Address][]*txpool.LazyTransaction
	for i := range all {
		filter.BlobTxs = i == 1
		txs, _, err := n.Scenario.lazies(filter)
		if err != nil {
			return nil, err
		}
		all[i], prio[i] = txs, make(map[common.Address][]*txpool.LazyTransaction)
		for _, addr := range n.Scenario.Prio {
			if list, ok := txs[addr]; ok {
				prio[i][addr] = list
				delete(txs, addr)
			}
		}
	}
	runs := [][2]map[common.Address][]*txpool.LazyTransaction{prio, all}
	if len(prio[0])+len(prio[1]) == 0 {
		runs = runs[1:]
	}
	return runs, nil
}

// seal does what comes after the pool's transactions.
func (n *Node) seal(b *miner.Block, out *Built) (err error) {
	h := b.Header
	if b.Config.IsPrague(h.Number, h.Time) {
		requests := [][]byte{}
		if b.Config.Optimism == nil {
			var logs []*types.Log
			for _, r := range b.Receipts {
				logs = append(logs, r.Logs...)
			}
			evm := vm.NewEVM(core.NewEVMBlockContext(h, n.chain, &b.Coinbase, b.Config, b.State), b.State, b.Config, vm.Config{})
			if err := core.ParseDepositLogs(&requests, logs, b.Config); err != nil {
				return err
			}
			if err := core.ProcessWithdrawalQueue(&requests, evm); err != nil {
				return err
			}
			if err := core.ProcessConsolidationQueue(&requests, evm); err != nil {
				return err
			}
		}
		hash := types.CalcRequestsHash(requests)
		h.RequestsHash = &hash
	}
	body := &types.Body{Transactions: b.Txs}
	if b.Config.IsShanghai(h.Number, h.Time) {
		body.Withdrawals = types.Withdrawals{}
	}
	out.Receipts, out.State = b.Receipts, b.State
	out.Block, err = n.engine.FinalizeAndAssemble(context.Background(), n.chain, h, b.State, body, b.Receipts)
	return err
}

// Replay executes the transactions, which must all be valid, on the state that the pool's
// transactions start from, and seals the block. The DA footprint is not accounted.
func (n *Node) Replay(txs []*types.Transaction) (*Built, error) {
	b, err := n.prepare(false, nil)
	if err != nil {
		return nil, err
	}
	out := &Built{Forced: len(b.Txs)}
	for i, tx := range txs[len(b.Txs):] {
		if err := Apply(b, tx); err != nil {
			return nil, fmt.Errorf("transaction %d, %s: %w", i+out.Forced, tx.Hash(), err)
		}
	}
	return out, n.seal(b, out)
}
