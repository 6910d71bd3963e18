package main

import (
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// forkReport is what is known of the fork.
type forkReport struct {
	Block         int
	Hash          common.Hash
	Deposits      int // of that block: the L1 attributes and the upgrade
	Before, After int // blocks with transactions, filled in parallel if that was asked for
}

// report is what is known of a run.
type report struct {
	Threads int
	State   string
	Rate    int
	Mix     string
	Seed    uint64
	Elapsed time.Duration
	Failure string // empty: none

	Interrupted bool

	Head      int // of the sequencer
	HeadHash  common.Hash
	Compared  int // blocks of the follower, each equal to the sequencer's
	Rechecked int // blocks that both had unchanged in the end
	SafeHeads []uint64
	L1Head    uint64

	Sent, Included, Failed, Open int // transactions; Failed as meant
	Resent                       int // that were lost with the pool
	Loaded                       int // blocks with transactions
	Parallel                     int // blocks filled in parallel
	MostTxs                      int // of a block
	Gas                          uint64
	Executions, Reexecutions     int
	Fallbacks                    []string
	Fork                         *forkReport
	Downs                        []downReport

	mu sync.Mutex // guards Resent while the load runs
}

func newReport(s *settings) *report {
	return &report{Threads: s.threads, State: s.state, Rate: s.rate, Mix: s.mix.String(), Seed: s.seed, Downs: []downReport{}, Fallbacks: []string{}}
}

func (r *report) addResent(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Resent += n
}

// addSafe notes a safe head, if it is another one.
func (r *report) addSafe(number uint64) {
	if n := len(r.SafeHeads); n == 0 || r.SafeHeads[n-1] != number {
		r.SafeHeads = append(r.SafeHeads, number)
	}
}

// safeAdvanced reports whether the safe head moved, and never backwards.
func (r *report) safeAdvanced() bool {
	for i := 1; i < len(r.SafeHeads); i++ {
		if r.SafeHeads[i] < r.SafeHeads[i-1] {
			return false
		}
	}
	return len(r.SafeHeads) > 1
}

func (d *downReport) print(out io.Writer) {
	how, when := "stopped", "after the first fill of the payload"
	if d.Killed {
		how = "killed"
	}
	if d.Filling {
		when = "during the first fill of the payload"
	}
	fmt.Fprintf(out, "%s at head %d, %s; up after %s with head %d, at op-node's, %d, after %s\n", how, d.Held, when,
		d.Start.Round(time.Millisecond), d.BackAt, d.Head, d.Recovery.Round(time.Millisecond))
}

// print prints the summary.
func (r *report) print(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("time", "%v", r.Elapsed.Round(time.Second))
	row("the sequencer's head", "%d %s", r.Head, r.HeadHash)
	row("blocks of the follower, all equal", "%d", r.Compared)
	row("asked for again in the end, unchanged", "%d", r.Rechecked)
	if n := len(r.SafeHeads); n > 0 {
		row("safe head", "%d, moved %d times, to L1 block %d", r.SafeHeads[n-1], n-1, r.L1Head)
	}
	row("blocks with transactions", "%d, up to %d", r.Loaded, r.MostTxs)
	row("blocks filled in parallel", "%d", r.Parallel)
	row("executions, again", "%d, %d", r.Executions, r.Reexecutions)
	row("fallbacks to sequential", "%d", len(r.Fallbacks))
	row("transactions sent", "%d", r.Sent)
	row("included", "%d, of which %d failed, as meant", r.Included, r.Failed)
	row("sent again after a crash", "%d", r.Resent)
	row("not included in the end", "%d", r.Open)
	row("gas", "%.1fM", float64(r.Gas)/1e6)
	if f := r.Fork; f != nil {
		row("Jovian", "block %d %s with %d deposits", f.Block, f.Hash, f.Deposits)
		row("filled blocks before it, after it", "%d, %d", f.Before, f.After)
	}
	kills, restarts, filling, rolled, deepest := 0, 0, 0, 0, 0
	for _, d := range r.Downs {
		switch {
		case d.Survived && d.Killed:
			kills++
		case d.Survived:
			restarts++
		}
		if d.Filling {
			filling++
		}
		if d.Start > 0 && d.BackAt < d.Held {
			rolled++
			deepest = max(deepest, d.Held-d.BackAt)
		}
	}
	row("kill -9 survived, restarts", "%d, %d of %d", kills, restarts, len(r.Downs))
	row("during the first fill of a payload", "%d", filling)
	row("came back below the head, at most", "%d, %d blocks", rolled, deepest)
	result := "passed"
	switch {
	case r.Interrupted:
		result = "interrupted"
	case r.Failure != "":
		result = "FAILED"
	}
	row("result", "%s", result)
	table.Flush()
}
