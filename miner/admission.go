package miner

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/types/interoptypes"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/metrics"
	"github.com/ethereum/go-ethereum/params"

	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// verdict is what becomes of a candidate.
type verdict uint8

const (
	admit      verdict = iota // into the block
	leaveOne                  // left out
	leaveRest                 // left out, and with it what follows from the same account
	endOfFill                 // left out, as is everything that follows
	notDecided                // internal: the next check decides
)

var errFailsafe = errors.New("interop supervisor is in failsafe")

// admission decides, at a candidate's ordered commit, whether it goes into the block, and
// keeps the block's accounts. It belongs to the ordered commit, except for hopeless.
type admission struct {
	block  *Block
	limits Limits
	ledger *pstate.Ledger

	eip155, cancun, jovian bool

	minFootprint uint64 // gas; DA footprint of the smallest transaction
	daLimit      uint64 // bytes; MaxUint64: none
	daBytes      uint64 // bytes in the block, of this run

	drops Drops

	// For the workers: what is left, which only ever falls.
	gasLeft       atomic.Uint64
	footprintLeft atomic.Uint64
}

func newAdmission(block *Block, limits Limits, ledger *pstate.Ledger) *admission {
	header := block.Header
	a := &admission{
		block:  block,
		limits: limits,
		ledger: ledger,
		eip155: block.Config.IsEIP155(header.Number),
		cancun: block.Config.IsCancun(header.Number, header.Time),
		jovian: block.Config.IsJovian(header.Time),

		minFootprint: types.MinTransactionSize.Uint64() * uint64(block.DAFootprintGasScalar),
		daLimit:      math.MaxUint64,
	}
	if limit := limits.MaxDABlockSize; limit != nil && limit.IsUint64() {
		a.daLimit = limit.Uint64()
	}
	a.publish()
	return a
}

// publish tells the workers what is left.
func (a *admission) publish() {
	a.gasLeft.Store(a.block.GasPool.Gas())
	a.footprintLeft.Store(a.footprintSpace())
}

// footprintSpace returns the DA footprint left, gas.
func (a *admission) footprintSpace() uint64 {
	if !a.jovian {
		return math.MaxUint64
	}
	return a.block.Header.GasLimit - *a.block.Header.BlobGasUsed
}

// footprint returns the DA footprint of a candidate, gas.
func (a *admission) footprint(c *candidate) uint64 {
	if !a.jovian {
		return 0
	}
	return c.daSize * uint64(a.block.DAFootprintGasScalar)
}

// hopeless reports whether it is certain that the candidate will be left out whatever
// the transactions before it do, so that executing it is a waste. Any worker may ask.
func (a *admission) hopeless(c *candidate) bool {
	return c.tx == nil || c.account.dropped.Load() ||
		a.gasLeft.Load() < c.lazy.Gas || a.footprintLeft.Load() < a.footprint(c)
}

// leave counts a candidate that is left out, and returns what that means.
func (a *admission) leave(reason DropReason, v verdict) verdict {
	a.drops[reason]++
	return v
}

// before decides what can be decided without an execution.
func (a *admission) before(c *candidate) verdict {
	if c.account != nil && c.account.dropped.Load() {
		return a.leave(DropAccount, leaveOne)
	}
	if a.block.GasPool.Gas() < params.TxGas || a.footprintSpace() < a.minFootprint {
		return endOfFill
	}
	if c.blob && a.block.Blobs >= a.limits.MaxBlobs() {
		return a.leave(DropBlobs, leaveRest)
	}
	if v := a.fits(c); v != notDecided {
		return v
	}
	return a.precheck(c)
}

// fits compares the candidate with what is left in the block.
func (a *admission) fits(c *candidate) verdict {
	if a.block.GasPool.Gas() < c.lazy.Gas {
		log.Trace("Not enough gas left for transaction", "hash", c.lazy.Hash, "left", a.block.GasPool.Gas(), "needed", c.lazy.Gas)
		return a.leave(DropGas, leaveRest)
	}
	if a.cancun {
		if left := a.limits.MaxBlobs() - a.block.Blobs; left < int(c.lazy.BlobGas/params.BlobTxBlobGasPerBlob) {
			return a.leave(DropBlobs, leaveRest)
		}
	}
	if a.footprintSpace() < a.footprint(c) {
		log.Debug("Not enough DA space left for transaction", "hash", c.lazy.Hash, "left", a.footprintSpace(), "needed", a.footprint(c))
		return a.leave(DropFootprint, leaveRest)
	}
	if a.daAfter(c) > a.daLimit {
		log.Debug("Transaction would exceed the block's DA size limit", "hash", c.lazy.Hash, "size", c.daSize, "used", a.daBytes, "limit", a.daLimit)
		return endOfFill
	}
	if c.tx == nil {
		log.Trace("Ignoring evicted transaction", "hash", c.lazy.Hash)
		return a.leave(DropEvicted, leaveRest)
	}
	if a.block.Size+c.tx.Size() >= a.limits.MaxSize {
		return endOfFill
	}
	if c.tx.Protected() && !a.eip155 {
		return a.leave(DropUnprotected, leaveRest)
	}
	return notDecided
}

// daAfter returns the DA size of the block with the candidate, bytes. Without a limit or
// an estimate upstream counts from zero again.
func (a *admission) daAfter(c *candidate) uint64 {
	if a.limits.MaxDABlockSize == nil || c.lazy.DABytes == nil {
		return 0
	}
	return a.daBytes + c.daSize
}

// precheck looks at what the sender or the chain demand before the execution.
func (a *admission) precheck(c *candidate) verdict {
	if a.limits.Failsafe != nil && len(interoptypes.TxToInteropAccessList(c.tx)) > 0 && a.limits.Failsafe() {
		c.tx.SetRejected()
		return a.failed(c, errFailsafe, DropInterop)
	}
	if c.tx.Type() == types.BlobTxType {
		if a.block.Blobs+len(c.tx.BlobHashes()) > a.limits.MaxBlobs() {
			return a.leave(DropBlobs, leaveRest)
		}
		return notDecided
	}
	if conditional := c.tx.Conditional(); conditional != nil {
		metrics.GetOrRegisterTimer("miner/transactionConditional/elapsedtime", nil).UpdateSince(c.tx.Time())
		err := a.block.Header.CheckTransactionConditional(conditional)
		if err == nil {
			err = a.ledger.Conditional(conditional)
		}
		if err != nil {
			metrics.GetOrRegisterCounter("miner/transactionConditional/rejected", nil).Inc(1)
			c.tx.SetRejected()
			return a.failed(c, fmt.Errorf("conditional failed: %w", err), DropConditional)
		}
	}
	return notDecided
}

// failed decides about a candidate that the state transition or a check refused, the
// latter for the reason given.
func (a *admission) failed(c *candidate, err error, reason DropReason) verdict {
	if errors.Is(err, core.ErrNonceTooLow) {
		log.Trace("Skipping transaction with low nonce", "hash", c.lazy.Hash, "sender", c.account.address, "nonce", c.tx.Nonce())
		return a.leave(DropNonce, leaveOne)
	}
	logAt := log.Debug
	rpc := a.block.RPCContext
	if c.tx.Rejected() || rpc != nil && rpc.Err() != nil && errors.Is(err, rpc.Err()) {
		logAt = log.Warn
	}
	logAt("Transaction failed, account skipped", "hash", c.lazy.Hash, "sender", c.account.address, "rejected", c.tx.Rejected(), "err", err)
	return a.leave(reason, leaveRest)
}

// include puts an executed candidate, which nothing speaks against any more, into the
// block's accounts. Its writes are the caller's business.
func (a *admission) include(c *candidate, o *outcome) (verdict, error) {
	block := a.block
	if err := block.GasPool.SubGas(c.message.GasLimit); err != nil {
		return a.failed(c, err, DropInvalid), nil
	}
	if err := block.GasPool.ReturnGas(o.gasReturned, o.gasUsed); err != nil {
		return endOfFill, fmt.Errorf("transaction %v: %w", c.lazy.Hash, err)
	}
	receipt, tx := o.receipt, c.tx
	receipt.CumulativeGasUsed = block.GasPool.CumulativeUsed()
	receipt.TransactionIndex = uint(block.TxCount)
	a.ledger.Log(receipt.TxHash, block.TxCount, receipt.Logs)

	if tx.Type() == types.BlobTxType {
		sidecar := tx.BlobTxSidecar()
		tx = tx.WithoutBlobTxSidecar()
		block.Sidecars = append(block.Sidecars, sidecar)
		block.Blobs += len(sidecar.Blobs)
		*block.Header.BlobGasUsed += receipt.BlobGasUsed
	}
	block.Txs = append(block.Txs, tx)
	block.Receipts = append(block.Receipts, receipt)
	block.Size += tx.Size()
	block.TxCount++
	block.Header.GasUsed = block.GasPool.Used()

	a.daBytes = a.daAfter(c)
	if a.jovian {
		*block.Header.BlobGasUsed += a.footprint(c)
	}
	a.publish()
	return admit, nil
}
