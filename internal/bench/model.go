package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/internal/simulate"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Model is a block as the parallel builder fills it with one worker, from which to tell
// how long any number of workers would take: what its transactions read and write, how
// long drawing, executing, validating and committing each of them took, and what comes
// before and after the scheduler's run.
type Model struct {
	Subject *Subject
	Block   *simulate.Block
	Machine simulate.Machine
	Scale   simulate.Scale // what if some things took longer or shorter; nil: nothing does

	names  []access              // of the block's registers
	setup  map[int]time.Duration // by workers: an empty filling
	rest   time.Duration         // of a filling, beside the scheduler's run
	Filled []time.Duration       // what the traced fillings took, without what tracing did
}

const (
	clockPasses  = 7
	threadPasses = 5
	setupPasses  = 15

	// longCommit is what makes a commit one that is timed by its thread. Nearly all take a
	// microsecond or less; those that bring a batch to the StateDB take so long, and wake
	// so many others up, that the clock tells more about these.
	longCommit = 30 * time.Microsecond
)

// NewModel traces the block.
func NewModel(s *Subject) (*Model, error) {
	trace, err := NewTrace(func() (*miner.Block, error) { return s.start(false) }, s.txs)
	if err != nil {
		return nil, err
	}
	m := &Model{Subject: s, Machine: simulate.Calibrate(), setup: make(map[int]time.Duration)}
	m.Block, m.names = trace.block()
	byClock, err := m.watch(clockPasses, nil)
	if err != nil {
		return nil, err
	}
	last := make(map[common.Address]int)
	for i := range m.Block.Txs {
		of := func(phase func(*phases) time.Duration) time.Duration { return middle(each(byClock, i, phase)) }
		tx := &m.Block.Txs[i]
		tx.Draw = of(func(p *phases) time.Duration { return p.draw })
		tx.Execute = of(func(p *phases) time.Duration { return p.execute })
		tx.Validate = of(func(p *phases) time.Duration { return p.validate })
		tx.Commit = of(func(p *phases) time.Duration { return p.commit })
		if before, known := last[s.from[i]]; known {
			tx.After = blockstm.TxIndex(before)
		}
		last[s.from[i]] = i
	}
	long := func(i int) bool { return m.Block.Txs[i].Commit > longCommit }
	byThread, err := m.watch(threadPasses, long)
	if err != nil {
		return nil, err
	}
	for i := range m.Block.Txs {
		if tx := &m.Block.Txs[i]; long(i) {
			tx.Commit = min(tx.Commit, middle(each(byThread, i, func(p *phases) time.Duration { return p.commit })))
		}
	}
	return m, m.measureRest(byClock)
}

// watch fills the block with one worker so many times.
func (m *Model) watch(passes int, long func(int) bool) ([]*stopwatch, error) {
	s := m.Subject
	watches := make([]*stopwatch, passes)
	for i := range watches {
		w := &stopwatch{count: len(s.txs), long: long}
		took, err := s.fill(1, func(r *miner.Request) {
			r.Watch = func(p blockstm.Program) blockstm.Program { w.Program = p; return w }
		})
		if err != nil {
			return nil, err
		}
		if len(w.txs) != len(s.txs) {
			return nil, fmt.Errorf("%s: %d transactions traced, want %d", s.Name, len(w.txs), len(s.txs))
		}
		w.outside = took.thread - (w.last - w.begin)
		watches[i] = w
	}
	return watches, nil
}

// each returns how long a phase of a transaction took each time.
func each(watches []*stopwatch, tx int, phase func(*phases) time.Duration) []time.Duration {
	all := make([]time.Duration, len(watches))
	for k, w := range watches {
		all[k] = phase(&w.txs[tx])
	}
	return all
}

// measureRest finds out what a filling takes beside the scheduler's run and a worker's
// making.
func (m *Model) measureRest(watches []*stopwatch) error {
	all := make([]time.Duration, len(watches))
	for i, w := range watches {
		all[i] = w.outside
	}
	setup, err := m.setupTime(1)
	m.rest = max(0, middle(all)-setup)
	return err
}

// setupTime returns how long a filling with that many workers and no transactions takes.
func (m *Model) setupTime(workers int) (time.Duration, error) {
	if d, known := m.setup[workers]; known {
		return d, nil
	}
	all := make([]time.Duration, setupPasses)
	for i := range all {
		took, err := m.Subject.fill(workers, func(r *miner.Request) { r.Plain = buildtest.NewFixed(nil, nil) })
		if err != nil {
			return 0, err
		}
		all[i] = took.thread
	}
	m.setup[workers] = middle(all)
	return m.setup[workers], nil
}

// Simulate runs the block with that many workers on a machine like this one on which
// they don't slow each other down. The time is that of the whole filling.
func (m *Model) Simulate(ctx context.Context, o simulate.Options) (time.Duration, *simulate.Result, error) {
	setup, err := m.setupTime(o.Workers)
	if err != nil {
		return 0, nil, err
	}
	slow := o.Machine.Slow
	o.Machine = m.Machine.Scaled(m.Scale)
	o.Machine.Slow = slow
	r, err := simulate.Run(ctx, m.Block.Scaled(m.Scale), o)
	if err != nil {
		return 0, nil, err
	}
	return setup + m.rest + r.Time, r, nil
}

// Slowdown measures by which factor workers on this machine slow each other down where
// the scheduler has no part in it: as many fillings of the block as workers, of one worker
// and on a state of its own each, at once, against one alone.
func (m *Model) Slowdown(workers, rounds int) (float64, error) {
	var factors []float64
	for range rounds {
		alone, err := m.Subject.fill(1, nil)
		if err != nil {
			return 0, err
		}
		var (
			all    sync.WaitGroup
			took   = make([]filling, workers)
			failed = make([]error, workers)
		)
		for k := range workers {
			all.Add(1)
			go func() {
				defer all.Done()
				took[k], failed[k] = m.Subject.fill(1, nil)
			}()
		}
		all.Wait()
		var sum time.Duration
		for k := range workers {
			if failed[k] != nil {
				return 0, failed[k]
			}
			sum += took[k].clock
		}
		factors = append(factors, seconds(sum)/float64(workers)/seconds(alone.clock))
	}
	return median(factors), nil
}

// middle returns the middle one of durations, of which there must be some.
func middle(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
