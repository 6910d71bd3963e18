package miner

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"

	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// blockHashDepth is how far back BLOCKHASH sees.
const blockHashDepth = 256

// explain adds what it takes to build and execute the block again elsewhere, and where
// the two outcomes differ. What it has found before an error stays. It executes the block
// once more, and the candidates if some of them are not in the block: only an execution
// tells what there is to keep of the parent state.
func (d *Dump) explain(ctx context.Context, chain *core.BlockChain, sealed *Sealed) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	block := sealed.Block
	d.Config = chain.Config()
	d.Differences = receiptDifferences(sealed.Receipts, d.Sequential, block.Transactions())
	if d.Parent = chain.GetHeader(block.ParentHash(), block.NumberU64()-1); d.Parent == nil {
		return fmt.Errorf("its parent %v is not known", block.ParentHash())
	}
	d.BlockHashes = make(map[uint64]common.Hash)
	for h := d.Parent; h != nil && len(d.BlockHashes) < blockHashDepth; h = chain.GetHeader(h.ParentHash, h.Number.Uint64()-1) {
		d.BlockHashes[h.Number.Uint64()] = h.Hash()
	}
	where, trail := untrailed(sealed.Parent)
	reader, err := where.Reader(d.Parent.Root)
	if err != nil {
		return err
	}
	touched := make(pstate.Touched)
	again := func() (*state.StateDB, error) {
		return state.NewWithReader(d.Parent.Root, where, pstate.NewReadLog(reader, touched))
	}
	sequential, err := again()
	if err != nil {
		return err
	}
	_, failure := chain.Processor().Process(ctx, block, sequential, vm.Config{})
	if trail != nil && trail.state != nil {
		d.Runs = trail.dump()
		if base, ok := trail.state.Reader().(*pstate.Base); ok {
			if d.Misread, err = base.Reads(touched, reader); err != nil {
				return err
			}
		}
		if failure == nil {
			d.Differences = append(d.Differences, touched.Differences(trail.state, sequential)...)
		}
		if candidates := trail.candidates(); len(candidates) > 0 {
			db, err := again()
			if err != nil {
				return err
			}
			offer(chain, block, candidates, db)
		}
	}
	d.Pre, err = touched.Alloc(reader)
	return err
}

// headline is the first of what there is to say about the differences.
func (d *Dump) headline() string {
	text := ""
	if len(d.Differences) > 0 {
		text += fmt.Sprintf("; %d values differ, the first is %v", len(d.Differences), d.Differences[0])
	}
	if len(d.Misread) > 0 {
		text += fmt.Sprintf("; %d values of the parent state were misread, the first is %v", len(d.Misread), d.Misread[0])
	}
	if d.Incomplete != "" {
		text += "; the dump is incomplete: " + d.Incomplete
	}
	return text
}

// receiptDifferences compares the receipts of the two outcomes.
func receiptDifferences(parallel types.Receipts, outcome *DumpedOutcome, txs types.Transactions) []pstate.Difference {
	if outcome == nil {
		return nil
	}
	var out []pstate.Difference
	for i := range min(len(parallel), len(outcome.Receipts), len(txs)) {
		p, err := parallel[i].MarshalBinary()
		s := outcome.Receipts[i]
		if err == nil && string(p) == string(s) {
			continue
		}
		d := pstate.Difference{What: fmt.Sprintf("receipt %d, of transaction %v", i, txs[i].Hash()), Parallel: describeReceipt(parallel[i]), Sequential: "unreadable"}
		sequential := new(types.Receipt)
		if sequential.UnmarshalBinary(s) == nil {
			d.Sequential = describeReceipt(sequential)
		}
		out = append(out, d)
	}
	return out
}

func describeReceipt(r *types.Receipt) string {
	return fmt.Sprintf("status %d, cumulative gas %d, %d logs", r.Status, r.CumulativeGasUsed, len(r.Logs))
}

// offer executes the block's deposits and the candidates, in order and without the
// block's limits, on db, for what they and their preconditions read.
func offer(chain *core.BlockChain, block *types.Block, candidates []trailCandidate, db *state.StateDB) {
	config, header := chain.Config(), block.Header()
	evm := vm.NewEVM(core.NewEVMBlockContext(header, chain, &header.Coinbase, config, db), db, config, vm.Config{})
	signer := types.MakeSigner(config, header.Number, header.Time)
	execute := func(tx *types.Transaction) {
		message, err := core.TransactionToMessage(tx, signer, header.BaseFee)
		if err != nil {
			return
		}
		snapshot := db.Snapshot()
		if _, err := core.ApplyMessage(evm, message, core.NewGasPool(math.MaxUint64)); err != nil {
			db.RevertToSnapshot(snapshot)
		}
		db.Finalise(true)
	}
	for _, tx := range block.Transactions() {
		if tx.IsDepositTx() {
			execute(tx)
		}
	}
	for _, c := range candidates {
		if precondition := c.tx.Conditional(); precondition != nil {
			_ = db.CheckTransactionConditional(precondition)
		}
		execute(c.tx)
	}
}

// candidates returns those of all runs, nothing if all of them are in the block and that
// without a precondition.
func (t *trail) candidates() []trailCandidate {
	var all []trailCandidate
	plain, committed := true, 0
	for _, run := range t.runs {
		all = append(all, run.candidates...)
		committed += run.stats.Committed
	}
	for _, c := range all {
		plain = plain && c.tx.Conditional() == nil
	}
	if plain && len(all) == committed {
		return nil
	}
	return all
}

// dump returns the runs as they are written down.
func (t *trail) dump() []DumpedRun {
	var out []DumpedRun
	for _, run := range t.runs {
		d := DumpedRun{
			Threads: run.threads, Seed: run.seed, MaxDABlockSize: (*hexutil.Big)(run.maxDABlockSize), MaxSize: hexutil.Uint64(run.maxSize),
			Committed: run.stats.Committed, Executions: run.stats.Executions, Reexecutions: run.stats.Reexecutions, ByWorker: run.stats.ByWorker,
			Interrupt: run.interrupt,
		}
		if run.fallback != nil {
			d.Fallback = run.fallback.Error()
		}
		for _, c := range run.candidates {
			raw, err := c.tx.WithoutBlobTxSidecar().MarshalBinary()
			if err != nil {
				continue
			}
			d.Candidates = append(d.Candidates, DumpedCandidate{Tx: raw, DABytes: (*hexutil.Big)(c.daBytes), Conditional: c.tx.Conditional()})
		}
		out = append(out, d)
	}
	return out
}
