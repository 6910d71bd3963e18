package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// blockReport is what is known of a block.
type blockReport struct {
	Number   uint64
	Hash     common.Hash
	Txs      int // without the deposit
	Failed   int // with status 0, all of them as foreseen
	Gas      uint64
	GasLimit uint64
	DAGas    uint64        // DA footprint, of the same limit as gas
	Pending  int           // waiting in the pool, executable, before the build started
	Import   time.Duration // newPayload
	buildStats
}

// fullShare is the share of the gas limit, used or taken by the DA footprint, from which
// on a block counts as full: what is left is less than some transactions ask for.
const fullShare = 0.97

// full reports whether the block had no room for what was left.
func (b *blockReport) full() bool {
	return float64(max(b.Gas, b.DAGas)) >= fullShare*float64(b.GasLimit)
}

// fitting is how many transactions were there for the block that fit into it: those in
// it if it is full, otherwise all that waited.
func (b *blockReport) fitting() int {
	if b.full() {
		return b.Txs
	}
	return max(b.Txs, b.Pending)
}

// mgas is the speed of the build in millions of gas a second.
func (b *blockReport) mgas() float64 { return mgas(b.Gas, b.Build) }

func mgas(gas uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(gas) / 1e6 / d.Seconds()
}

// blockColumns is the layout of a line a block.
const blockColumns = "%7v %7v %7v %9v %6v %9v %9v %9v %8v %s\n"

func (r *report) printHead(out io.Writer) {
	fmt.Fprintf(out, blockColumns, "block", "txs", "failed", "gas", "full", "fill", "build", "Mgas/s", "re-exec", "by worker")
}

func (b *blockReport) print(out io.Writer) {
	fill, again, workers := "-", "-", "sequential"
	if len(b.ByWorker) > 0 {
		fill, again, workers = millis(b.Fill), fmt.Sprint(b.Reexecutions), strings.Trim(fmt.Sprint(b.ByWorker), "[]")
	}
	if b.Fallback != "" {
		workers += ", then sequential: " + b.Fallback
	}
	fmt.Fprintf(out, blockColumns, b.Number, b.Txs, b.Failed, fmt.Sprintf("%.1fM", float64(b.Gas)/1e6),
		fmt.Sprintf("%.0f%%", 100*float64(max(b.Gas, b.DAGas))/float64(b.GasLimit)),
		fill, millis(b.Build), fmt.Sprintf("%.0f", b.mgas()), again, workers)
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000)
}

// report is what is known of a run.
type report struct {
	Threads     int // as asked for; 0 is all usable CPUs
	Mix         string
	Seed        uint64
	Rate        int
	Backlog     int
	Sent        int    // transactions
	Refused     int    // by the pool, as foreseen
	LeftPending int    // in the pool in the end, executable
	LeftQueued  int    // in the pool in the end, with a gap before them
	Stack       bool   // whether op-node was the consensus client
	SafeHead    uint64 // what it derived from L1
	Blocks      []blockReport
}

func newReport(s *settings, threads int) *report {
	return &report{Threads: threads, Mix: s.mix.String(), Seed: s.seed, Rate: s.rate, Backlog: s.backlog}
}

// totals are sums over the blocks of a run.
type totals struct {
	Included, Failed, Fitting, Full    int
	Gas                                uint64
	Fill, Build, Import                time.Duration
	Executions, Reexecutions, FellBack int
	ByWorker                           []int
}

func (r *report) totals() totals {
	var t totals
	for i := range r.Blocks {
		b := &r.Blocks[i]
		t.Included += b.Txs
		t.Failed += b.Failed
		t.Fitting += b.fitting()
		if b.full() {
			t.Full++
		}
		t.Gas += b.Gas
		t.Fill += b.Fill
		t.Build += b.Build
		t.Import += b.Import
		t.Executions += b.Executions
		t.Reexecutions += b.Reexecutions
		if b.Fallback != "" {
			t.FellBack++
		}
		for len(t.ByWorker) < len(b.ByWorker) {
			t.ByWorker = append(t.ByWorker, 0)
		}
		for w, n := range b.ByWorker {
			t.ByWorker[w] += n
		}
	}
	return t
}

// share is the part of the fitting transactions that is included.
func (t *totals) share() float64 {
	if t.Fitting == 0 {
		return 1
	}
	return float64(t.Included) / float64(t.Fitting)
}

// row is a line of the summary.
type row struct{ name, value string }

// rows is the summary.
func (r *report) rows() []row {
	t := r.totals()
	n := time.Duration(max(1, len(r.Blocks)))
	rows := []row{
		{"threads", threadsText(r.Threads)},
		{"blocks, each VALID by newPayload", fmt.Sprint(len(r.Blocks))},
		{"blocks that were full", fmt.Sprint(t.Full)},
		{"transactions sent", fmt.Sprint(r.Sent)},
		{"refused by the pool, as meant", fmt.Sprint(r.Refused)},
		{"included", fmt.Sprint(t.Included)},
		{"included and failed, as meant", fmt.Sprint(t.Failed)},
		{"left in the pool, executable", fmt.Sprint(r.LeftPending)},
		{"left in the pool, behind a gap", fmt.Sprint(r.LeftQueued)},
		{"gas", fmt.Sprintf("%.1fM", float64(t.Gas)/1e6)},
		{"mean build", millis(t.Build / n)},
		{"build speed, Mgas/s", fmt.Sprintf("%.0f", mgas(t.Gas, t.Build))},
	}
	if r.Stack { // what waited when op-node started a build, and how long newPayload took, is not known
		rows = append(rows, row{"safe head, derived from L1", fmt.Sprint(r.SafeHead)})
	} else {
		rows = append(rows,
			row{"included of those that fit", fmt.Sprintf("%.1f%%", 100*t.share())},
			row{"mean newPayload", millis(t.Import / n)},
		)
	}
	if len(t.ByWorker) > 0 {
		rows = append(rows,
			row{"mean parallel fill", millis(t.Fill / n)},
			row{"executions", fmt.Sprint(t.Executions)},
			row{"re-executions", fmt.Sprint(t.Reexecutions)},
			row{"executions by worker", strings.Trim(fmt.Sprint(t.ByWorker), "[]")},
			row{"blocks finished sequentially", fmt.Sprint(t.FellBack)},
		)
	}
	return rows
}

// print prints the summary.
func (r *report) print(out io.Writer) {
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range r.rows() {
		fmt.Fprintf(table, "%s\t%s\n", row.name, row.value)
	}
	table.Flush()
}

// MarshalJSON adds the totals.
func (r *report) MarshalJSON() ([]byte, error) {
	type plain report
	t := r.totals()
	return json.Marshal(struct {
		*plain
		Totals        totals
		FittingShare  float64
		MgasPerSecond float64
	}{(*plain)(r), t, t.share(), mgas(t.Gas, t.Build)})
}

// writeJSON writes results to a file, if one is asked for. Durations are in nanoseconds.
func writeJSON(file string, reports ...*report) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(reports, "", "  ")
	if err != nil {
		return fmt.Errorf("-json: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("-json is %q: %w", file, err)
	}
	return nil
}
