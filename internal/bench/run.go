package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Options say what a run measures.
type Options struct {
	World
	Workloads []Workload
	Blocks    string // directory of fixture blocks; "": none are run
	Txs       int
	Workers   []int
	Rounds    int
	Sides     Sides
	Schedule  bool // record what the workers do, on the first workload

	Setting  Setting
	Dir      string // where states on disk are kept
	Accounts int    // besides those of the workloads
	Latency  time.Duration
	Quiet    time.Duration // how long to wait, before each build, for others to leave the machine alone

	Progress func(string)  // told what is going on, each time it changes
	Profile  func() func() // called when measuring begins, what it returns when it ends; may be nil
}

// Run measures and returns what it found, all of it unless there is an error.
// The context ends it between two builds: the report then has what was measured until then.
func Run(ctx context.Context, o Options) (*Report, error) {
	report := &Report{
		Machine: ThisMachine(),
		Conditions: Conditions{
			State:         o.Setting,
			Accounts:      o.Accounts,
			ReadLatencyNS: o.Latency.Nanoseconds(),
			Seed:          o.Seed,
			Senders:       o.Senders,
			Pools:         o.Pools,
		},
	}
	var err error
	if len(o.Workloads) > 0 {
		err = runWorkloads(ctx, &o, report)
	}
	if o.Blocks != "" && err == nil {
		err = runFixtures(ctx, &o, report)
	}
	return report, err
}

// runWorkloads measures the workloads on one node.
func runWorkloads(ctx context.Context, o *Options, report *Report) error {
	alloc, err := o.Alloc()
	if err != nil {
		return err
	}
	store, err := NewStore(o.Setting, o.Dir, o.Accounts, alloc, o.Progress)
	if err != nil {
		return err
	}
	n, err := NewNode(store, o.Latency)
	if err != nil {
		return err
	}
	for _, load := range o.Workloads {
		if err = n.run(ctx, o, load, report); err != nil {
			err = fmt.Errorf("workload %s: %w", load.Name, err)
			break
		}
	}
	if closing := n.Close(); err == nil {
		err = closing
	}
	return err
}

// run measures one workload.
func (n *Node) run(ctx context.Context, o *Options, load Workload, report *Report) error {
	o.Progress(fmt.Sprintf("%s: signing %d transactions", load.Name, o.Txs))
	txs, err := o.Transactions(load, o.Txs)
	if err != nil {
		return err
	}
	if err := n.Offer(txs); err != nil {
		return err
	}
	if o.Profile != nil {
		defer o.Profile()()
	}
	var (
		limit *Limit
		bound float64
	)
	if o.Sides == Both {
		o.Progress(load.Name + ": tracing")
		if limit, bound, err = n.calibrate(); err != nil {
			return err
		}
	}
	for _, workers := range o.Workers {
		outcome, err := n.Compare(ctx, Comparison{
			Workers: workers,
			Rounds:  o.Rounds,
			Sides:   o.Sides,
			Cold:    o.Setting == Cold,
			Memory:  o.Sides == Both,
			Limit:   limit,
			Quiet:   o.Quiet,
			Progress: func(round int) {
				o.Progress(fmt.Sprintf("%s: %d workers, round %d of %d", load.Name, workers, round+1, o.Rounds))
			},
		})
		if err != nil {
			return fmt.Errorf("%d workers: %w", workers, err)
		}
		row := NewRow(load.Name, workers, outcome)
		row.Bound = bound
		report.Rows = append(report.Rows, row)
	}
	if o.Schedule && report.Schedule == nil {
		report.Schedule, err = n.schedule(load.Name, slices.Max(o.Workers))
	}
	return err
}

// schedule builds the block once more and records what the workers do.
func (n *Node) schedule(name string, workers int) (*Schedule, error) {
	r := newRecorder(workers)
	b, err := n.Direct(workers, r)
	if err != nil {
		return nil, err
	}
	s := r.schedule(b.Engine.Executions)
	if s != nil {
		s.Workload = name
	}
	return s, nil
}

// calibrate builds the block once and traces it.
func (n *Node) calibrate() (*Limit, float64, error) {
	b, err := n.Build(1)
	if err != nil {
		return nil, 0, err
	}
	trace, err := NewTrace(n.start, b.txs)
	if err != nil {
		return nil, 0, err
	}
	return NewLimit(n.start, b.txs, trace), trace.Bound(), nil
}
