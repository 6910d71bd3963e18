package bench

import (
	"context"
	"fmt"
	"slices"
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
	follows := trace.follows()
	m.Block.Hints = func() simulate.Hints { return &hints{miner.NewCallHints(s.txs), follows} }
	byClock, err := m.watch(clockPasses, nil)
	if err != nil {
		return nil, err
	}
	m.known()
	m.take(byClock, func(tx *simulate.Tx) *time.Duration { return &tx.Draw }, func(p *phases) time.Duration { return p.draw })
	m.take(byClock, func(tx *simulate.Tx) *time.Duration { return &tx.Execute }, func(p *phases) time.Duration { return p.execute })
	m.take(byClock, func(tx *simulate.Tx) *time.Duration { return &tx.Validate }, func(p *phases) time.Duration { return p.validate })
	m.take(byClock, func(tx *simulate.Tx) *time.Duration { return &tx.Commit }, func(p *phases) time.Duration { return p.commit })
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

// known notes which transaction each one is known to come after: its sender's last.
func (m *Model) known() {
	last := make(map[common.Address]int)
	for i, from := range m.Subject.from {
		if before, known := last[from]; known {
			m.Block.Txs[i].After = blockstm.TxIndex(before)
		}
		last[from] = i
	}
}

// take gives the transactions the durations of a phase: of each the median of the passes,
// all of them stretched so that their sum is the median of the passes' sums. Now and then
// something takes much longer, each time something else: medians alone would have none of it.
func (m *Model) take(watches []*stopwatch, of func(*simulate.Tx) *time.Duration, phase func(*phases) time.Duration) {
	var sum time.Duration
	for i := range m.Block.Txs {
		d := of(&m.Block.Txs[i])
		*d = middle(each(watches, i, phase))
		sum += *d
	}
	sums := make([]time.Duration, len(watches))
	for k, w := range watches {
		for i := range w.txs {
			sums[k] += phase(&w.txs[i])
		}
	}
	if sum == 0 {
		return
	}
	stretch := seconds(middle(sums)) / seconds(sum)
	for i := range m.Block.Txs {
		d := of(&m.Block.Txs[i])
		*d = time.Duration(stretch * float64(*d))
	}
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
		if all[i] = took.clock; workers == 1 {
			all[i] = took.thread
		}
	}
	m.setup[workers] = middle(all)
	return m.setup[workers], nil
}

// Simulate runs the block with that many workers on a machine like this one that has a
// CPU for each of them. The time is that of the whole filling. With an interference, workers
// slow each other down as they were seen to here; nil: not at all.
func (m *Model) Simulate(ctx context.Context, o simulate.Options, i *Interference) (time.Duration, *simulate.Result, error) {
	setup, err := m.setupTime(o.Workers)
	if err != nil {
		return 0, nil, err
	}
	o.Machine = m.Machine.Scaled(m.Scale)
	if i != nil && o.Workers > 1 {
		o.Machine.Slow = i.Slow
	}
	r, err := simulate.Run(ctx, m.Block.Scaled(m.Scale), o)
	if err != nil {
		return 0, nil, err
	}
	took := setup + m.rest + r.Time
	if i != nil && o.Workers > 1 {
		// The collector takes its time from all workers alike. A single one leaves it a
		// CPU of its own.
		took += i.Collector / time.Duration(o.Workers)
	}
	return took, r, nil
}

// middle returns the middle one of durations, of which there must be some.
func middle(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
