package simulate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// ErrStuck is returned (wrapped) when every worker waited for another: the scheduler
// would have hung.
var ErrStuck = errors.New("all workers wait")

// Machine is what running the scheduler costs beside its program.
type Machine struct {
	Section   time.Duration // between two of the scheduler's decision points, under its lock, by the worker that held it last
	Contended time.Duration // the same by another worker
	Handover  time.Duration // until a register that another worker used last is at hand
	Patience  time.Duration // for so long an idle worker looks for work by itself before it parks
	Wake      time.Duration // from the signal until a parked worker runs
	Signal    time.Duration // of the one who signals
	Slow      float64       // factor on all durations of the block; 0: 1
}

func (m *Machine) slowed(d time.Duration) time.Duration {
	if m.Slow == 0 {
		return d
	}
	return time.Duration(m.Slow * float64(d))
}

// Options say how to run a block.
type Options struct {
	Workers int
	Window  int // as of the scheduler's configuration; 0: its default
	Seed    uint64
	Machine Machine
	Steps   bool // keep what every worker did
}

// Result is what a run gave.
type Result struct {
	Workers int
	Time    time.Duration // from the first draw until all is committed
	Stats   blockstm.Stats
	Steps   []Step // in the order of their ends

	// How long what only one worker can do at a time took: the ordered commit (with
	// executing again where it must), drawing from the stream, holding the scheduler's
	// lock, and getting hold of the register that was most sought after.
	Commit, Draw, Lock, Register time.Duration

	Run    time.Duration // executing, all workers
	Wasted time.Duration // of that, beyond one execution of each transaction
	Idle   time.Duration // having nothing to do, all workers
	Queued time.Duration // waiting for the lock or a register, all workers
}

// Run runs the block.
func Run(ctx context.Context, block *Block, o Options) (*Result, error) {
	c := newClock(o.Workers, o.Seed)
	p := newProgram(block, &o, c)
	costs := &costs{program: p, joined: make([]bool, o.Workers)}
	c.held.holder = nobody
	c.patience = o.Machine.Patience
	c.latency = o.Machine.Wake
	c.signal = o.Machine.Signal
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.giveUp = cancel
	s := blockstm.NewScheduler(p, blockstm.Config{
		Workers:   o.Workers,
		MaxWindow: o.Window,
		Chaos:     costs,
		Idle:      c.idleOf,
	})
	stats, err := s.Run(ctx)
	switch {
	case c.stuck:
		return nil, fmt.Errorf("%w after %v of virtual time, with %d of %d transactions committed by %d workers, seed %d",
			ErrStuck, c.now, stats.Committed, len(block.Txs), o.Workers, o.Seed)
	case err != nil:
		return nil, err
	case stats.Committed != len(block.Txs):
		return nil, fmt.Errorf("%d of %d transactions committed: %w", stats.Committed, len(block.Txs), context.Cause(ctx))
	}
	return p.result(o, stats), nil
}

// costs is a blockstm.Chaos that disturbs nothing. It has workers join the clock, and
// spend the scheduler's own time.
type costs struct {
	program *program
	joined  []bool // by worker
}

// Pause implements blockstm.Chaos.
func (c *costs) Pause(worker int) {
	if !c.joined[worker] {
		c.joined[worker] = true
		c.program.clock.join(worker)
	}
	c.program.clock.use(&c.program.clock.held, c.program.machine.Section, c.program.machine.Contended)
}

// Spurious implements blockstm.Chaos.
func (c *costs) Spurious(blockstm.TxIndex) bool { return false }

// result sums a run up.
func (p *program) result(o Options, stats blockstm.Stats) *Result {
	stats.Worked, stats.Waited, stats.Committing = 0, 0, 0 // by this machine's clock, not the simulation's
	r := &Result{
		Workers: o.Workers,
		Time:    p.clock.now,
		Stats:   stats,
		Steps:   p.steps,
		Commit:  p.committing,
		Draw:    p.drawing,
		Lock:    p.clock.held.busy,
		Run:     p.running,
		Wasted:  max(0, p.running-o.Machine.slowed(p.block.Work())),
		Idle:    p.clock.waited,
		Queued:  p.clock.held.waited,
	}
	for i := range p.registers {
		lines := &p.registers[i].lines
		r.Register = max(r.Register, lines.busy)
		r.Queued += lines.waited
	}
	return r
}
