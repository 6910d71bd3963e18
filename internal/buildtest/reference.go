package buildtest

import (
	"errors"
	"math/big"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/types/interoptypes"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// verdict is what becomes of the candidate at the head of the lists.
type verdict int

const (
	included    verdict = iota // in the block: on to the sender's next
	skipped                    // not in the block: on to the sender's next
	dropped                    // not in the block, nor any later one of the sender
	blockIsFull                // not in the block, and nothing else either
	lastDropped                // dropped, and nothing else enters either
)

var (
	errBlobLimit   = errors.New("no blob space left")
	errConditional = errors.New("a condition does not hold")
	errInterop     = errors.New("interop failsafe")
)

// Reference extends the block by transactions from the request's lists, one after the
// other. It follows the checks of op-geth's commitTransactions in their order and is what
// miner.Fill is compared with. It returns the interrupt signal that ended the run, or 0.
func Reference(block *miner.Block, req *miner.Request) int32 {
	return reference(block, req, make(map[string]int))
}

// reference is Reference, and counts what it leaves out, by the reason.
func reference(block *miner.Block, req *miner.Request, left map[string]int) int32 {
	r := &referenceRun{
		left:  left,
		Block: block,
		lim:   req.Limits,
		da:    new(big.Int),
		evm: vm.NewEVM(core.NewEVMBlockContext(block.Header, block.Chain, &block.Coinbase, block.Config, block.State),
			block.State, block.Config, vm.Config{}),
	}
	for {
		if req.Interrupt != nil {
			if signal := req.Interrupt.Load(); signal != 0 {
				return signal
			}
		}
		if r.GasPool.Gas() < params.TxGas || r.jovian() && r.footprintLeft() < types.MinTransactionSize.Uint64()*uint64(r.DAFootprintGasScalar) {
			return 0
		}
		if !req.Blob.Empty() && r.Blobs >= r.lim.MaxBlobs() {
			req.Blob.Clear()
		}
		list := req.Plain
		ltx, tip := req.Plain.Peek()
		if bltx, btip := req.Blob.Peek(); ltx == nil || bltx != nil && tip.Lt(btip) {
			list, ltx = req.Blob, bltx
		}
		if ltx == nil {
			return 0
		}
		switch r.offer(ltx) {
		case included, skipped:
			list.Shift()
		case dropped:
			list.Pop()
		case lastDropped:
			list.Pop()
			return 0
		case blockIsFull:
			return 0
		}
	}
}

type referenceRun struct {
	*miner.Block
	lim  miner.Limits
	evm  *vm.EVM
	da   *big.Int       // estimated DA bytes of this run so far
	left map[string]int // candidates left out, by the reason
}

// leave counts a candidate that is left out.
func (r *referenceRun) leave(reason string, v verdict) verdict {
	r.left[reason]++
	return v
}

func (r *referenceRun) jovian() bool { return r.Config.IsJovian(r.Header.Time) }

func (r *referenceRun) footprintLeft() uint64 { return r.Header.GasLimit - *r.Header.BlobGasUsed }

func (r *referenceRun) offer(ltx *txpool.LazyTransaction) verdict {
	if r.GasPool.Gas() < ltx.Gas {
		return r.leave("gas", dropped)
	}
	if r.Config.IsCancun(r.Header.Number, r.Header.Time) && r.lim.MaxBlobs()-r.Blobs < int(ltx.BlobGas/params.BlobTxBlobGasPerBlob) {
		return r.leave("blobs", dropped)
	}
	var footprint uint64
	if r.jovian() {
		footprint = ltx.DABytes.Uint64() * uint64(r.DAFootprintGasScalar)
		if r.footprintLeft() < footprint {
			return r.leave("DA footprint", dropped)
		}
	}
	daAfter := new(big.Int)
	if limit := r.lim.MaxDABlockSize; limit != nil && ltx.DABytes != nil {
		daAfter.Add(r.da, ltx.DABytes)
		if daAfter.Cmp(limit) > 0 {
			if new(big.Int).Sub(limit, daAfter).Cmp(types.MinTransactionSize) < 0 {
				return r.leave("DA size", lastDropped)
			}
			return r.leave("DA size", dropped)
		}
	}
	tx := ltx.Resolve()
	if tx == nil {
		return r.leave("evicted", dropped)
	}
	if r.Size+tx.Size() >= r.lim.MaxSize {
		return r.leave("block size", blockIsFull)
	}
	if tx.Protected() && !r.Config.IsEIP155(r.Header.Number) {
		return r.leave("replay protection", dropped)
	}
	switch err := r.commit(tx); {
	case err == nil:
		r.da = daAfter
		if r.jovian() {
			*r.Header.BlobGasUsed += footprint
		}
		return included
	case errors.Is(err, core.ErrNonceTooLow):
		return r.leave(reason(err), skipped)
	default:
		return r.leave(reason(err), dropped)
	}
}

// reason names why a transaction was refused.
func reason(err error) string {
	for name, kind := range map[string]error{
		"nonce too low":   core.ErrNonceTooLow,
		"nonce too high":  core.ErrNonceTooHigh,
		"funds":           core.ErrInsufficientFunds,
		"funds for value": core.ErrInsufficientFundsForTransfer,
		"intrinsic gas":   core.ErrIntrinsicGas,
		"data gas floor":  core.ErrFloorDataGas,
		"sender has code": core.ErrSenderNoEOA,
		"fee cap":         core.ErrFeeCapTooLow,
		"tip above cap":   core.ErrTipAboveFeeCap,
		"authorisations":  core.ErrEmptyAuthList,
		"init code size":  vm.ErrMaxInitCodeSizeExceeded,
		"blobs":           errBlobLimit,
		"conditional":     errConditional,
		"interop":         errInterop,
	} {
		if errors.Is(err, kind) {
			return name
		}
	}
	return "other"
}

// Apply runs one transaction on the block's state, as forced transactions are.
func Apply(block *miner.Block, tx *types.Transaction) error {
	r := &referenceRun{
		Block: block,
		evm: vm.NewEVM(core.NewEVMBlockContext(block.Header, block.Chain, &block.Coinbase, block.Config, block.State),
			block.State, block.Config, vm.Config{}),
	}
	return r.commit(tx)
}

// commit runs the transaction and puts it into the block, or leaves no trace of it but
// the rejected mark.
func (r *referenceRun) commit(tx *types.Transaction) error {
	if len(interoptypes.TxToInteropAccessList(tx)) > 0 && r.lim.Failsafe != nil && r.lim.Failsafe() {
		tx.SetRejected()
		return errInterop
	}
	var sidecar *types.BlobTxSidecar
	if tx.Type() == types.BlobTxType {
		sidecar = tx.BlobTxSidecar()
		if r.Blobs+len(sidecar.Blobs) > r.lim.MaxBlobs() {
			return errBlobLimit
		}
	} else if cond := tx.Conditional(); cond != nil {
		err := r.Header.CheckTransactionConditional(cond)
		if err == nil {
			err = r.State.CheckTransactionConditional(cond)
		}
		if err != nil {
			tx.SetRejected()
			return errors.Join(errConditional, err)
		}
	}
	r.State.SetTxContext(tx.Hash(), r.TxCount)
	snapshot, gas := r.State.Snapshot(), r.GasPool.Snapshot()
	receipt, err := core.ApplyTransaction(r.evm, r.GasPool, r.State, r.Header, tx)
	if err != nil {
		r.State.RevertToSnapshot(snapshot)
		r.GasPool.Set(gas)
		return err
	}
	if sidecar != nil {
		tx = tx.WithoutBlobTxSidecar()
		r.Sidecars = append(r.Sidecars, sidecar)
		r.Blobs += len(sidecar.Blobs)
		*r.Header.BlobGasUsed += receipt.BlobGasUsed
	}
	r.Header.GasUsed = r.GasPool.Used()
	r.Txs = append(r.Txs, tx)
	r.Receipts = append(r.Receipts, receipt)
	r.Size += tx.Size()
	r.TxCount++
	return nil
}
