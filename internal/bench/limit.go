package bench

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Limit is what the machine can give: a block's transactions, executed by workers that
// have nothing to do with each other. The block is cut into as many runs of consecutive
// transactions as there are workers, of equal work. Each worker has a StateDB of its own,
// which is as the sequential execution leaves it before the worker's run and has all that
// the run touches in memory. So every transaction does exactly what it does in the block.
// Nothing is scheduled, validated or merged, and no receipts are made.
type Limit struct {
	start starter
	txs   []*types.Transaction
	trace *Trace
}

// NewLimit returns the limit of a block that was traced.
func NewLimit(start starter, txs []*types.Transaction, trace *Trace) *Limit {
	return &Limit{start: start, txs: txs, trace: trace}
}

// part is a worker's run of transactions.
type part struct {
	db       *state.StateDB
	evm      *vm.EVM
	messages []*core.Message
	txs      []*types.Transaction
	gas      *core.GasPool
	first    int
}

// cuts returns where the parts begin, and the end.
func (l *Limit) cuts(workers int) []int {
	var sum, done time.Duration
	for _, tx := range l.trace.Txs {
		sum += tx.Duration
	}
	cuts := make([]int, 1, workers+1)
	for i, tx := range l.trace.Txs {
		if len(cuts) < workers && done >= sum*time.Duration(len(cuts))/time.Duration(workers) {
			cuts = append(cuts, i)
		}
		done += tx.Duration
	}
	for len(cuts) <= workers {
		cuts = append(cuts, len(l.txs))
	}
	return cuts
}

// Measure returns how long the workers take.
func (l *Limit) Measure(workers int) (time.Duration, error) {
	block, err := l.start()
	if err != nil {
		return 0, err
	}
	defer block.State.StopPrefetcher()
	parts, err := l.parts(block, workers)
	if err != nil {
		return 0, err
	}
	runtime.GC()

	var (
		wg     sync.WaitGroup
		begin  = make(chan struct{})
		failed = make([]error, workers)
	)
	for k, p := range parts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			<-begin
			failed[k] = p.run()
		}()
	}
	started := time.Now()
	close(begin)
	wg.Wait()
	elapsed := time.Since(started)
	for k, err := range failed {
		if err != nil {
			return 0, fmt.Errorf("worker %d alone: %w", k, err)
		}
	}
	return elapsed, nil
}

// parts prepares the workers' runs.
func (l *Limit) parts(block *miner.Block, workers int) ([]*part, error) {
	var (
		parts []*part
		cuts  = l.cuts(workers)
	)
	for k := range workers {
		p := &part{db: block.State.Copy(), txs: l.txs[cuts[k]:cuts[k+1]], first: block.TxCount + cuts[k], gas: core.NewGasPool(block.Header.GasLimit)}
		if err := p.prepare(block, l.trace.touchedBy(cuts[k], cuts[k+1])); err != nil {
			return nil, err
		}
		parts = append(parts, p)
		if k == workers-1 {
			break
		}
		ahead := &part{db: block.State, txs: p.txs, first: p.first, gas: core.NewGasPool(block.Header.GasLimit)}
		if err := ahead.prepare(block, nil); err != nil {
			return nil, err
		}
		if err := ahead.run(); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// prepare makes what the run needs and reads what it touches.
func (p *part) prepare(block *miner.Block, touched map[access]struct{}) error {
	p.evm = vm.NewEVM(core.NewEVMBlockContext(block.Header, block.Chain, &block.Coinbase, block.Config, p.db), p.db, block.Config, vm.Config{})
	for i, tx := range p.txs {
		message, err := core.TransactionToMessage(tx, block.Signer, block.Header.BaseFee)
		if err != nil {
			return fmt.Errorf("transaction %d: %w", p.first+i, err)
		}
		p.messages = append(p.messages, message)
	}
	for key := range touched {
		touch(p.db, key)
	}
	return nil
}

func (p *part) run() error {
	for i, message := range p.messages {
		p.db.SetTxContext(p.txs[i].Hash(), p.first+i)
		if _, err := core.ApplyMessage(p.evm, message, p.gas); err != nil {
			return fmt.Errorf("transaction %d: %w", p.first+i, err)
		}
		p.db.Finalise(true)
	}
	return nil
}
