package bench

import (
	"fmt"
	"io"
	"slices"
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
	fmt.Fprintf(w, "; ratios are sequential / parallel, medians of the rounds, [least, most]; allocations and memory parallel / sequential\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "workload\tworkers\ttxs\tfill ms\tfill\t\tseal\ttotal\t\tlimit\tof it\tbound\tallocs\tin fill\tmemory\tCPU\tagain\tothers\tequal\t")
	for _, row := range slices.Concat(r.Rows, r.Blocks) {
		equal := "yes"
		if !row.Equal {
			equal = "NO"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f → %.1f\t%.2f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%.2f\t%d\t%.0f %%\t%s\t\n",
			row.Workload, row.Workers, row.Txs, row.Sequential.FillMS, row.Parallel.FillMS,
			row.FillRatio, between(row.FillSpread), known("%.2f", row.SealRatio), known("%.2f", row.TotalRatio), between(row.TotalSpread),
			known("%.2f", row.LimitRatio), known("%.0f %%", 100*row.LimitShare), known("%.1f", row.Bound),
			row.AllocRatio, row.FillAllocRatio, known("%.2f", row.PeakMemoryRatio), row.CPURatio, row.Reexecutions, 100*row.OthersLoad, equal)
	}
	return t.Flush()
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
