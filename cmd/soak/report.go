package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
)

// Row is what one suite has done.
type Row struct {
	Suite    string           `json:"suite"`
	Unit     string           `json:"unit"` // what Runs counts
	Runs     int              `json:"runs"`
	LastSeed int64            `json:"lastSeed,omitempty"`
	Failures int              `json:"failures"`
	Tally    *buildtest.Tally `json:"tally,omitempty"` // of blocks
}

// Failure is something that failed.
type Failure struct {
	Suite  string `json:"suite"`
	Seed   int64  `json:"seed,omitempty"`
	File   string `json:"file"`
	Replay string `json:"replay"`
	Text   string `json:"-"`
}

// Report is the summary.
type Report struct {
	Seed    int64  `json:"seed"`
	Seconds int    `json:"seconds"`
	Patched bool   `json:"patched"` // op-geth's own miner built in parallel too
	Suites  []*Row `json:"suites"`

	Failures []Failure `json:"failures"`

	start    time.Time
	mu       sync.Mutex // guards all above while suites run
	progress io.Writer
}

// progressEvery is how often there is a line of progress.
const progressEvery = 15 * time.Second

func (r *Report) update(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// fail takes a failure down and tells of it at once.
func (r *Report) fail(row *Row, f Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row.Failures++
	r.Failures = append(r.Failures, f)
	fmt.Fprintf(r.progress, "FAIL %s: %s\n", f.Suite, f.Text)
}

// follow prints progress until the function that it returns is called.
func (r *Report) follow(w io.Writer) (stop func()) {
	r.progress = w
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.update(func() { r.line(w) })
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// line prints one line of progress. The caller holds mu.
func (r *Report) line(w io.Writer) {
	fmt.Fprintf(w, "%v", time.Since(r.start).Round(time.Second))
	fuzzed := 0
	for _, row := range r.Suites {
		switch {
		case row.Tally != nil:
			fmt.Fprintf(w, "  %d blocks (seed %d), %d transactions, %d re-executions", row.Runs, row.LastSeed, row.Tally.Transactions, row.Tally.Reexecutions)
		case row.Unit == "seeds":
			fmt.Fprintf(w, "  %s: %d (seed %d)", row.Suite, row.Runs, row.LastSeed)
		default:
			fuzzed += row.Runs
		}
	}
	fmt.Fprintf(w, "  fuzzed: %d  failures: %d\n", fuzzed, len(r.Failures))
}

func (r *Report) end() {
	r.update(func() { r.Seconds = int(time.Since(r.start).Seconds()) })
}

// WriteJSON prints the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if r.Failures == nil {
		r.Failures = []Failure{}
	}
	return enc.Encode(r)
}

// WriteText prints the report for people.
func (r *Report) WriteText(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "suite\truns\t\tbuilds\ttransactions\texecutions\tre-executions\tfallbacks\tfailures\t")
	for _, row := range r.Suites {
		if t := row.Tally; t != nil {
			fmt.Fprintf(tw, "%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", row.Suite, row.Runs, row.Unit, t.Builds, t.Transactions, t.Executions, t.Reexecutions, t.Fallbacks, row.Failures)
		} else {
			fmt.Fprintf(tw, "%s\t%d\t%s\t\t\t\t\t\t%d\t\n", row.Suite, row.Runs, row.Unit, row.Failures)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, row := range r.Suites {
		if t := row.Tally; t != nil {
			fmt.Fprintf(w, "\nOf %d candidates in the pools of the random blocks the sequential builder included %d. It left out:\n", t.Candidates, t.Included)
			for _, kind := range t.DroppedKinds() {
				fmt.Fprintf(tw, "%d\t  %s\n", t.Dropped[kind], kind)
			}
			if err := tw.Flush(); err != nil {
				return err
			}
			if t.CutShort > 0 {
				fmt.Fprintf(w, "%d blocks op-geth's miner sealed before all was in, its time being over: too busy a machine. They prove nothing.\n", t.CutShort)
			}
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "\nFAIL %s, seed %d: %s\n  replay: %s\n", f.Suite, f.Seed, f.File, f.Replay)
	}
	where := "on op-geth as it is"
	if r.Patched {
		where = "on the patched op-geth"
	}
	_, err := fmt.Fprintf(w, "\n%v from seed %d, %s: %d failures\n", time.Duration(r.Seconds)*time.Second, r.Seed, where, len(r.Failures))
	return err
}
