package bench

import (
	"fmt"
	"time"
)

// Options say what a run measures.
type Options struct {
	World
	Workloads []Workload
	Txs       int
	Workers   []int
	Rounds    int
	Sides     Sides

	Setting  Setting
	Dir      string // where states on disk are kept
	Accounts int    // besides those of the workloads
	Latency  time.Duration

	Progress func(string)  // told what is going on, each time it changes
	Profile  func() func() // called when measuring begins, what it returns when it ends; may be nil
}

// Run measures and returns what it found, all of it unless there is an error.
func Run(o Options) (*Report, error) {
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
	if len(o.Workloads) == 0 {
		return report, nil
	}
	alloc, err := o.Alloc()
	if err != nil {
		return nil, err
	}
	store, err := NewStore(o.Setting, o.Dir, o.Accounts, alloc, o.Progress)
	if err != nil {
		return nil, err
	}
	n, err := NewNode(store, o.Latency)
	if err != nil {
		return nil, err
	}
	for _, load := range o.Workloads {
		if err = n.run(&o, load, report); err != nil {
			err = fmt.Errorf("workload %s: %w", load.Name, err)
			break
		}
	}
	if closing := n.Close(); err == nil {
		err = closing
	}
	return report, err
}

// run measures one workload.
func (n *Node) run(o *Options, load Workload, report *Report) error {
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
	for _, workers := range o.Workers {
		outcome, err := n.Compare(Comparison{
			Workers: workers,
			Rounds:  o.Rounds,
			Sides:   o.Sides,
			Cold:    o.Setting == Cold,
			Memory:  o.Sides == Both,
			Progress: func(round int) {
				o.Progress(fmt.Sprintf("%s: %d workers, round %d of %d", load.Name, workers, round+1, o.Rounds))
			},
		})
		if err != nil {
			return fmt.Errorf("%d workers: %w", workers, err)
		}
		report.Rows = append(report.Rows, NewRow(load.Name, workers, outcome))
	}
	return nil
}
