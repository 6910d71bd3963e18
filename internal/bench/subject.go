package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Subject is a block that can be filled again and again, always with the same
// transactions in the same order, to find out why it takes as long as it does.
type Subject struct {
	Name string

	start  func(parallel bool) (*miner.Block, error) // as it is before the transactions
	check  func(*miner.Block) error                  // whether it has come out as on its chain; may be nil
	txs    []*types.Transaction
	from   []common.Address
	lazies []*txpool.LazyTransaction
}

// Subject returns the block of what the pool holds.
func (n *Node) Subject(name string) (*Subject, error) {
	b, err := n.Build(1)
	if err != nil {
		return nil, err
	}
	args, err := n.attributes()
	if err != nil {
		return nil, err
	}
	s := &Subject{Name: name, txs: b.txs, start: func(parallel bool) (*miner.Block, error) { return n.prepare(args, parallel) }}
	signer := types.LatestSigner(n.chain.Config())
	pending, err := lazies(b.txs, signer)
	if err != nil {
		return nil, err
	}
	for _, tx := range b.txs {
		from, err := types.Sender(signer, tx)
		if err != nil {
			return nil, err
		}
		s.from, s.lazies = append(s.from, from), append(s.lazies, pending[from][0])
		pending[from] = pending[from][1:]
	}
	return s, nil
}

// Subject returns the fixture's block.
func (f *Fixture) Subject() *Subject {
	s := &Subject{Name: f.Name, start: f.prepare, txs: f.txs, from: f.from, lazies: f.lazies}
	if f.data.Expected.GasUsed > 0 {
		s.check = f.check
	}
	return s
}

// sequential stands for the number of workers of op-geth's own loop.
const sequential = 0

// filling is what filling the block took.
type filling struct {
	clock  time.Duration
	thread time.Duration // with one worker or none: of its thread
	cpu    time.Duration // of the process
	cycles uint64        // of the garbage collector, that ended meanwhile
	stats  miner.Stats
	block  *miner.Block
	plain  miner.TxSource
}

// attempt is a filling that can begin.
type attempt struct {
	subject *Subject
	workers int
	block   *miner.Block
	request *miner.Request
	want    int  // transactions in the block afterwards
	empty   bool // nothing is offered
}

// ready prepares a filling.
func (s *Subject) ready(workers int, change func(*miner.Request)) (*attempt, error) {
	block, err := s.start(workers != sequential)
	if err != nil {
		return nil, err
	}
	request := &miner.Request{
		Threads: workers,
		Limits:  miner.Limits{MaxBlobs: func() int { return eip4844.MaxBlobsPerBlock(block.Config, block.Header.Time) }, MaxSize: math.MaxUint64},
		Plain:   buildtest.NewFixed(s.lazies, s.from),
		Blob:    buildtest.NewFixed(nil, nil),
	}
	if block.Config.IsOptimism() {
		request.Limits.MaxBlobs = func() int { return 0 }
	}
	if change != nil {
		change(request)
	}
	a := &attempt{subject: s, workers: workers, block: block, request: request, want: len(block.Txs), empty: request.Plain.Empty()}
	if !a.empty {
		a.want += len(s.txs)
	}
	return a, nil
}

// fill fills the block and returns how long that took. It must take all transactions.
func (s *Subject) fill(workers int, change func(*miner.Request)) (filling, error) {
	a, err := s.ready(workers, change)
	if err != nil {
		return filling{}, err
	}
	runtime.GC()
	return a.run()
}

// run fills.
func (a *attempt) run() (filling, error) {
	defer a.block.State.StopPrefetcher()
	var result miner.Result
	if a.workers <= 1 {
		// So that the thread's time is that of the worker. More than one must not be bound
		// to threads: each time one waits for another, a thread would have to be woken.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	cycles, cpu, spent, begin := collections(), cpuTime(), threadTime(), time.Now()
	if a.workers == sequential {
		buildtest.Reference(a.block, a.request)
	} else {
		result = miner.Fill(context.Background(), a.block, a.request)
	}
	took := filling{
		clock: time.Since(begin), thread: threadTime() - spent, cpu: cpuTime() - cpu, cycles: collections() - cycles,
		stats: result.Stats, block: a.block, plain: a.request.Plain,
	}
	switch {
	case result.Fallback != nil:
		return took, fmt.Errorf("%s with %d workers fell back to sequential: %w", a.subject.Name, a.workers, result.Fallback)
	case len(a.block.Txs) != a.want:
		return took, fmt.Errorf("%s with %d workers has %d transactions, want %d", a.subject.Name, a.workers, len(a.block.Txs), a.want)
	}
	if a.subject.check != nil && !a.empty {
		return took, a.subject.check(a.block)
	}
	return took, nil
}

// phases are how long the parts of the parallel builder's work on a transaction took.
type phases struct{ draw, execute, validate, commit time.Duration }

// stopwatch is a blockstm.Program that times another one, which a single worker runs, on
// a goroutine that is locked to its thread.
type stopwatch struct {
	blockstm.Program
	count int            // transactions that there are
	long  func(int) bool // commits that are timed by the thread; nil: none

	first       blockstm.TxIndex
	txs         []phases
	begin, last time.Duration // of the thread: first draw, end of the last commit
	outside     time.Duration // of the thread: before the one and after the other
}

func (w *stopwatch) of(tx blockstm.TxIndex) *phases { return &w.txs[tx-w.first] }

// Next implements blockstm.Program.
func (w *stopwatch) Next(tx blockstm.TxIndex) (blockstm.TxIndex, bool) {
	if w.txs == nil {
		w.first, w.begin = tx, threadTime()
	}
	begin := time.Now()
	after, more := w.Program.Next(tx)
	if more {
		w.txs = append(w.txs, phases{draw: time.Since(begin)})
	}
	return after, more
}

// Execute implements blockstm.Program.
func (w *stopwatch) Execute(worker int, version blockstm.Version, settled bool) blockstm.Execution {
	begin := time.Now()
	e := w.Program.Execute(worker, version, settled)
	w.of(version.Tx).execute += time.Since(begin)
	return e
}

// Commit implements blockstm.Program. A single worker never has to validate, and so is
// made to, to see how long that would take.
func (w *stopwatch) Commit(tx blockstm.TxIndex) (bool, error) {
	p := w.of(tx)
	begin := time.Now()
	w.Program.Validate(tx)
	p.validate = time.Since(begin)
	if w.long != nil && w.long(int(tx-w.first)) {
		begin := threadTime()
		more, err := w.Program.Commit(tx)
		w.last = threadTime()
		p.commit = w.last - begin
		return more, err
	}
	begin = time.Now()
	more, err := w.Program.Commit(tx)
	p.commit = time.Since(begin)
	if int(tx-w.first) == w.count-1 {
		w.last = threadTime()
	}
	return more, err
}

// WorkloadSubjects makes a block of each workload, on a state in memory, and calls f for
// one after the other.
func WorkloadSubjects(world World, loads []Workload, txs int, progress func(string), f func(*Subject) error) error {
	alloc, err := world.Alloc()
	if err != nil {
		return err
	}
	store, err := NewStore(Memory, "", 0, alloc, progress)
	if err != nil {
		return err
	}
	n, err := NewNode(store, 0)
	if err != nil {
		return err
	}
	for _, load := range loads {
		if err = n.offered(world, load, txs, f); err != nil {
			err = fmt.Errorf("workload %s: %w", load.Name, err)
			break
		}
	}
	return errors.Join(err, n.Close())
}

// offered offers a workload to the node and calls f for its block.
func (n *Node) offered(world World, load Workload, txs int, f func(*Subject) error) error {
	list, err := world.Transactions(load, txs)
	if err != nil {
		return err
	}
	if err := n.Offer(list); err != nil {
		return err
	}
	s, err := n.Subject(load.Name)
	if err != nil {
		return err
	}
	return f(s)
}
