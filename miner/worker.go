package miner

import (
	"fmt"
	"math/big"
	"runtime/debug"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// outcome is how the last incarnation of a candidate ended.
type outcome struct {
	skipped  bool // not executed: hopeless
	panicked bool // the EVM panicked on speculative state
	err      error
	receipt  *types.Receipt // nil if err is not; without its place in the block

	gasReturned uint64 // what goes back to the block's gas pool, of the limit
	gasUsed     uint64
}

// worker executes candidates, one after the other, on an EVM and a view of its own. What
// caches without a lock in op-geth (block hashes, cost functions, jump destinations) is
// here once per worker.
type worker struct {
	block   *Block
	context vm.BlockContext
	view    *pstate.View
	db      vm.StateDB // the view, as the EVM sees it
	jumps   jumpDests
	gas     *core.GasPool

	// evm is replaced after it was cancelled, which it does not recover from. Others
	// only ever cancel it.
	evm atomic.Pointer[vm.EVM]
}

func newWorker(block *Block, base *pstate.Base, chaos blockstm.Chaos, number int) *worker {
	w := &worker{
		block:   block,
		context: core.NewEVMBlockContext(block.Header, block.Chain, &block.Coinbase, block.Config, base),
		jumps:   make(jumpDests),
		gas:     core.NewGasPool(0),
	}
	w.context.CanTransfer = canTransfer
	// Asked once now, the cost functions have read their parameters before any
	// transaction can change them.
	if cost := w.context.L1CostFunc; cost != nil {
		cost(types.RollupCostData{Ones: 1}, block.Header.Time)
		w.context.L1CostFunc = rememberL1Cost(cost)
	}
	if cost := w.context.OperatorCostFunc; cost != nil {
		cost(0, block.Header.Time)
		w.context.OperatorCostFunc = rememberOperatorCost(cost)
	}
	w.view = pstate.NewView(base, w.cancel)
	w.db = steady(w.view, chaos, number)
	w.renew()
	return w
}

func (w *worker) renew() {
	evm := vm.NewEVM(w.context, w.db, w.block.Config, vm.Config{})
	evm.SetJumpDestCache(w.jumps)
	w.evm.Store(evm)
}

// cancel stops the EVM soon.
func (w *worker) cancel() { w.evm.Load().Cancel() }

// execute runs an incarnation of a candidate on the view, which then holds its reads and
// writes. A panic is a result too: on speculative state anything may happen.
func (w *worker) execute(version blockstm.Version, c *candidate, footprint *pstate.Footprint) (o outcome, stack error) {
	defer func() {
		if r := recover(); r != nil {
			o = outcome{panicked: true}
			stack = fmt.Errorf("%w: transaction %v: %v\n%s", blockstm.ErrPanic, c.lazy.Hash, r, debug.Stack())
			w.cancel() // have the EVM replaced
		}
	}()
	w.view.Begin(version.Tx, footprint)
	if c.message == nil && c.invalid == nil {
		c.message, c.invalid = core.TransactionToMessage(c.tx, w.block.Signer, w.block.Header.BaseFee)
	}
	if c.invalid != nil {
		w.view.Seal(false)
		return outcome{err: c.invalid}, nil
	}
	w.gas.Set(core.NewGasPool(c.message.GasLimit))
	result, err := core.ApplyMessage(w.evm.Load(), c.message, w.gas)
	if blocked, failure := w.view.Void(); blocked != blockstm.NoTx || failure != nil {
		return outcome{}, nil
	}
	w.view.Seal(err == nil)
	if err != nil {
		return outcome{err: err}, nil
	}
	return outcome{
		gasReturned: w.gas.Gas(),
		gasUsed:     w.gas.CumulativeUsed(),
		receipt:     w.receipt(c, result),
	}, nil
}

// receipt returns the receipt of an executed candidate, but for its place in the block.
// The hash of the block, which upstream fills with that of the unfinished header, stays
// zero.
func (w *worker) receipt(c *candidate, result *core.ExecutionResult) *types.Receipt {
	r := &types.Receipt{
		Type:        c.tx.Type(),
		TxHash:      c.tx.Hash(),
		GasUsed:     result.UsedGas,
		Logs:        w.view.Logs(),
		BlockNumber: w.block.Header.Number,
	}
	if !result.Failed() {
		r.Status = types.ReceiptStatusSuccessful
	}
	if blobs := len(c.message.BlobHashes); blobs > 0 {
		r.BlobGasUsed = uint64(blobs) * params.BlobTxBlobGasPerBlob
		r.BlobGasPrice = w.context.BlobBaseFee
	}
	if c.message.To == nil {
		r.ContractAddress = crypto.CreateAddress(c.message.From, c.message.Nonce)
	}
	for _, l := range r.Logs {
		l.BlockNumber = w.context.BlockNumber.Uint64()
		l.BlockTimestamp = w.context.Time
	}
	r.Bloom = types.CreateBloom(r)
	return r
}

// rememberL1Cost returns the function with a memory of one: a state transition asks
// twice. The block time is that of the worker's block.
func rememberL1Cost(cost types.L1CostFunc) types.L1CostFunc {
	var (
		known bool
		of    types.RollupCostData
		last  *big.Int
	)
	return func(data types.RollupCostData, time uint64) *big.Int {
		if !known || data != of {
			known, of, last = true, data, cost(data, time)
		}
		return last
	}
}

// rememberOperatorCost returns the function with a memory of two: a state transition
// asks twice for the gas limit and twice for the gas used.
func rememberOperatorCost(cost types.OperatorCostFunc) types.OperatorCostFunc {
	var (
		of    [2]uint64
		last  [2]*uint256.Int
		older int
	)
	return func(gas, time uint64) *uint256.Int {
		for i := range of {
			if last[i] != nil && of[i] == gas {
				older = 1 - i
				return last[i]
			}
		}
		i := older
		of[i], last[i], older = gas, cost(gas, time), 1-i
		return last[i]
	}
}

// jumpDests is a vm.JumpDestCache for one worker.
type jumpDests map[common.Hash]vm.BitVec

// Load implements vm.JumpDestCache.
func (j jumpDests) Load(hash common.Hash) (vm.BitVec, bool) {
	vec, ok := j[hash]
	return vec, ok
}

// Store implements vm.JumpDestCache.
func (j jumpDests) Store(hash common.Hash, vec vm.BitVec) { j[hash] = vec }
