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
	fmt.Fprintf(w, "; ratios are sequential / parallel, medians of the rounds, [least, most]; allocations and memory parallel / sequential\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "workload\tworkers\ttxs\tfill ms\tfill\t\tseal\ttotal\t\tlimit\tof it\tbound\tallocs\tin fill\tmemory\tCPU\tagain\tothers\tequal\t")
	for _, row := range r.Rows {
		equal := "yes"
		if !row.Equal {
			equal = "NO"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f → %.1f\t%.2f\t[%.2f, %.2f]\t%.2f\t%.2f\t[%.2f, %.2f]\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%.2f\t%d\t%.0f %%\t%s\t\n",
			row.Workload, row.Workers, row.Txs, row.Sequential.FillMS, row.Parallel.FillMS,
			row.FillRatio, row.FillSpread[0], row.FillSpread[1], row.SealRatio, row.TotalRatio, row.TotalSpread[0], row.TotalSpread[1],
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
