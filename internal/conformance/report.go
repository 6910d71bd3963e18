package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// result is what became of one case.
type result struct {
	suite, fork, name string
	skip              string  // reason, if it was not run
	byDesign          bool    // the builder refuses such blocks: built sequentially
	runs              []error // at each number of workers
	err               error   // first failure
	work              Work
}

// Work counts what the parallel builder did, over all cases and numbers of workers.
type Work struct {
	Blocks       int `json:"blocks"`       // built in parallel
	Shared       int `json:"blocksShared"` // of these, those in which more than one worker executed
	Transactions int `json:"transactions"` // included
	Reexecutions int `json:"reexecutions"` // beyond a transaction's first execution
}

func (w *Work) add(out *outcome) {
	if out.fallback != nil || len(out.stats.ByWorker) == 0 {
		return
	}
	w.Blocks++
	w.Transactions += out.stats.Committed
	w.Reexecutions += out.stats.Reexecutions
	busy := 0
	for _, n := range out.stats.ByWorker {
		if n > 0 {
			busy++
		}
	}
	if busy > 1 {
		w.Shared++
	}
}

// Totals count cases. A case passes if it does at every number of workers.
type Totals struct {
	Passed     int `json:"passed"`
	Failed     int `json:"failed"`
	Skipped    int `json:"skipped"`
	Sequential int `json:"sequentialByDesign"` // of the passed: left to the sequential path
}

// Row is a line of the summary.
type Row struct {
	Suite string `json:"suite"`
	Fork  string `json:"fork"`
	Totals
	ByWorkers []int `json:"passedByWorkers"` // cases passed in parallel, at each number of workers
}

// Failure is a case that failed.
type Failure struct {
	Suite string `json:"suite"`
	Fork  string `json:"fork"`
	Case  string `json:"case"`
	Error string `json:"error"`
}

// Report collects results.
type Report struct {
	workers []int

	mu       sync.Mutex
	rows     map[string]*Row // guarded by mu, like all below
	skips    map[string]int  // cases by reason
	failures []Failure
	work     Work
	ignored  int // files that hold something else
}

func newReport(workers []int) *Report {
	return &Report{workers: workers, rows: make(map[string]*Row), skips: make(map[string]int)}
}

// ignore counts a file that holds something else.
func (r *Report) ignore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ignored++
}

func (r *Report) add(res result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := res.suite + "\x00" + res.fork
	row := r.rows[key]
	if row == nil {
		row = &Row{Suite: res.suite, Fork: res.fork, ByWorkers: make([]int, len(r.workers))}
		r.rows[key] = row
	}
	r.work.Blocks += res.work.Blocks
	r.work.Shared += res.work.Shared
	r.work.Transactions += res.work.Transactions
	r.work.Reexecutions += res.work.Reexecutions
	switch {
	case res.skip != "":
		row.Skipped++
		r.skips[res.skip]++
		return
	case res.err != nil:
		row.Failed++
		r.failures = append(r.failures, Failure{res.suite, res.fork, res.name, res.err.Error()})
	default:
		row.Passed++
		if res.byDesign {
			row.Sequential++
		}
	}
	for i, err := range res.runs {
		if err == nil && !res.byDesign {
			row.ByWorkers[i]++
		}
	}
}

// Totals returns the counts of all cases so far.
func (r *Report) Totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t Totals
	for _, row := range r.rows {
		t.Passed += row.Passed
		t.Failed += row.Failed
		t.Skipped += row.Skipped
		t.Sequential += row.Sequential
	}
	return t
}

// Work returns what the parallel builder did.
func (r *Report) Work() Work {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.work
}

// Rows returns the summary by suite and fork, oldest fork first.
func (r *Report) Rows() []Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows []Row
	for _, row := range r.rows {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		if c := strings.Compare(b.Suite, a.Suite); c != 0 {
			return c
		}
		if c := forkAge(a.Fork) - forkAge(b.Fork); c != 0 {
			return c
		}
		return strings.Compare(a.Fork, b.Fork)
	})
	return rows
}

// forkAge orders forks as they came. Names may carry more than the fork.
func forkAge(name string) int {
	return slices.Index([]string{"Frontier", "Homestead", "EIP150", "EIP158", "Byzantium", "Constantinople", "ConstantinopleFix", "Petersburg",
		"Istanbul", "Berlin", "London", "Paris", "Merge", "Shanghai", "Cancun", "Prague", "Osaka", "BPO1", "BPO2", "OP", "OP Isthmus", "OP Jovian"}, name)
}

// Failures returns the cases that failed.
func (r *Report) Failures() []Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failures)
}

// WriteText prints the failures, at most as many as told, the reasons of skips, the
// summary by fork and number of workers, and in the last line the totals.
func (r *Report) WriteText(w io.Writer, maxFailures int) error {
	failures := r.Failures()
	for i, f := range failures {
		if i == maxFailures {
			fmt.Fprintf(w, "... and %d more\n", len(failures)-i)
			break
		}
		fmt.Fprintf(w, "FAIL %s: %s: %s\n", f.Suite, f.Case, f.Error)
	}
	r.mu.Lock()
	for _, reason := range slices.Sorted(maps.Keys(r.skips)) {
		fmt.Fprintf(w, "skipped %d: %s\n", r.skips[reason], reason)
	}
	if r.ignored > 0 {
		fmt.Fprintf(w, "ignored %d files that hold neither state tests nor a block\n", r.ignored)
	}
	r.mu.Unlock()
	fmt.Fprintln(w)

	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "suite\tfork\tcases\t")
	for _, n := range r.workers {
		if n == Sequential {
			fmt.Fprint(tw, "reference\t")
		} else {
			fmt.Fprintf(tw, "%d workers\t", n)
		}
	}
	fmt.Fprintln(tw, "sequential by design\tfailed\tskipped\t")
	for _, row := range r.Rows() {
		fmt.Fprintf(tw, "%s\t%s\t%d\t", row.Suite, row.Fork, row.Passed+row.Failed+row.Skipped)
		for _, n := range row.ByWorkers {
			fmt.Fprintf(tw, "%d\t", n)
		}
		fmt.Fprintf(tw, "%d\t%d\t%d\t\n", row.Sequential, row.Failed, row.Skipped)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	t, work := r.Totals(), r.Work()
	fmt.Fprintf(w, "\n%d blocks built in parallel, with %d transactions and %d re-executions; in %d more than one worker executed.\n",
		work.Blocks, work.Transactions, work.Reexecutions, work.Shared)
	if t.Sequential > 0 {
		fmt.Fprintf(w, "The builder leaves blocks before Byzantium to the sequential path by design: of the passed cases, %d were built so,\nand %d in parallel.\n", t.Sequential, t.Passed-t.Sequential)
	}
	_, err := fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", t.Passed, t.Failed, t.Skipped)
	return err
}

// WriteJSON prints the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	rows, failures, totals := r.Rows(), r.Failures(), r.Totals()
	r.mu.Lock()
	defer r.mu.Unlock()
	return enc.Encode(struct {
		Workers  []int          `json:"workers"`
		Totals   Totals         `json:"totals"`
		Work     Work           `json:"work"`
		Rows     []Row          `json:"rows"`
		Skips    map[string]int `json:"skips"`
		Ignored  int            `json:"ignoredFiles"`
		Failures []Failure      `json:"failures"`
	}{r.workers, totals, r.work, rows, r.skips, r.ignored, failures})
}
