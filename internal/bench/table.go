package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteTable writes the rows as a table for people.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s\n", r.Machine)
	c := r.Conditions
	fmt.Fprintf(w, "state %s, %d further accounts", c.State, c.Accounts)
	if c.ReadLatencyNS > 0 {
		fmt.Fprintf(w, ", reads %d µs slower", c.ReadLatencyNS/1000)
	}
	fmt.Fprintf(w, "; ratios are sequential / parallel, medians of the rounds, [least, most]; allocations and memory parallel / sequential;\n"+
		"again: executions repeated; rebuild: time to fill of the first build over that of a second one by the same miner\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "workload\tworkers\ttxs\tfill ms\tfill\t\tseal\ttotal\t\tlimit\tof it\tbound\tallocs\tin fill\tmemory\tCPU\tagain\trebuild\tagain\tothers\tequal\t")
	for _, row := range r.all() {
		equal := "yes"
		if !row.Equal {
			equal = "NO"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f → %.1f\t%.2f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%.2f\t%d\t%s\t%d\t%.0f %%\t%s\t\n",
			row.Workload, row.Workers, row.Txs, row.Sequential.FillMS, row.Parallel.FillMS,
			row.FillRatio, between(row.FillSpread), known("%.2f", row.SealRatio), known("%.2f", row.TotalRatio), between(row.TotalSpread),
			known("%.2f", row.LimitRatio), known("%.0f %%", 100*row.LimitShare), known("%.1f", row.Bound),
			row.AllocRatio, row.FillAllocRatio, known("%.2f", row.PeakMemoryRatio), row.CPURatio, row.Reexecutions, known("%.2f", row.RebuildRatio), row.RebuildRepeats, 100*row.OthersLoad, equal)
	}
	return t.Flush()
}

// WriteMarkdown writes the rows as a table for a document, below a line that names the
// machine.
func (r *Report) WriteMarkdown(w io.Writer) error {
	c := r.Conditions
	if _, err := fmt.Fprintf(w, "%s; state %s, %d further accounts. Ratios are sequential / parallel, medians of the rounds, in brackets the least and the most.\n\n", r.Machine, c.State, c.Accounts); err != nil {
		return err
	}
	fmt.Fprintln(w, "| workload | workers | txs | fill, ms | fill | total, ms | total | rebuild | share of the limit | allocations |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, row := range r.Rows {
		totals, total := "", ""
		if row.TotalRatio > 0 {
			totals = fmt.Sprintf("%.0f → %.0f", row.Sequential.TotalMS, row.Parallel.TotalMS)
			total = fmt.Sprintf("**%.2f** %s", row.TotalRatio, between(row.TotalSpread))
		}
		if _, err := fmt.Fprintf(w, "| %s | %d | %d | %.0f → %.0f | **%.2f** %s | %s | %s | %s | %s | %.2f |\n", row.Workload, row.Workers, row.Txs,
			row.Sequential.FillMS, row.Parallel.FillMS, row.FillRatio, between(row.FillSpread), totals, total, known("%.2f", row.RebuildRatio), known("%.0f %%", 100*row.LimitShare), row.AllocRatio); err != nil {
			return err
		}
	}
	return nil
}

// known formats a figure, 0 standing for one that was not taken.
func known(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// between formats a spread.
func between(s [2]float64) string {
	if s == [2]float64{} {
		return ""
	}
	return fmt.Sprintf("[%.2f, %.2f]", s[0], s[1])
}
