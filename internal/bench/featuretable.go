package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// FeatureReport is what features gain.
type FeatureReport struct {
	Machine  Machine      `json:"machine"`
	State    Setting      `json:"state"`
	Accounts int          `json:"accounts"` // besides those of the workloads
	Workers  int          `json:"workers"`
	Rows     []FeatureRow `json:"rows"`
}

// FeatureRow is one feature on one block, off and on. Times are medians; ratios are off over
// on, medians of the rounds.
type FeatureRow struct {
	Feature  string     `json:"feature"`
	Workload string     `json:"workload"`
	Txs      int        `json:"txs"`
	Rounds   int        `json:"rounds"`
	OffMS    float64    `json:"off_ms"` // of filling, or of the whole payload for the feature small
	OnMS     float64    `json:"on_ms"`
	Ratio    float64    `json:"ratio"`
	Spread   [2]float64 `json:"ratio_spread"`
	CPURatio float64    `json:"cpu_ratio"` // of the whole process
	Repeats  [2]int     `json:"reexecutions"`
	Equal    bool       `json:"equal"` // both ways gave the same block in all rounds
}

// sum sums up the rounds.
func (r *FeatureRow) sum(off, on []taken) {
	figures := func(all []taken, figure func(taken) float64) (out []float64) {
		for _, s := range all {
			out = append(out, figure(s))
		}
		return out
	}
	clock := func(s taken) float64 { return ms(s.clock) }
	cpu := func(s taken) float64 { return ms(s.cpu) }
	repeats := func(s taken) float64 { return float64(s.repeats) }
	ratios := quotients(figures(off, clock), figures(on, clock))
	r.OffMS, r.OnMS = median(figures(off, clock)), median(figures(on, clock))
	r.Ratio, r.Spread = median(ratios), spread(ratios)
	r.CPURatio = median(quotients(figures(off, cpu), figures(on, cpu)))
	r.Repeats = [2]int{int(median(figures(off, repeats))), int(median(figures(on, repeats)))}
}

// WriteText writes the rows as a table for people.
func (r *FeatureReport) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\nstate %s, %d further accounts, %d workers; ratios are off / on, medians of the rounds, [least, most]: above 1, the feature gains\n\n", r.Machine, r.State, r.Accounts, r.Workers)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "feature\tworkload\ttxs\tms off → on\ttime\t\tCPU\tagain off → on\trounds\tequal\t")
	for _, row := range r.Rows {
		equal := "yes"
		if !row.Equal {
			equal = "NO"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s → %s\t%.2f\t%s\t%s\t%d → %d\t%d\t%s\t\n", row.Feature, row.Workload, row.Txs, brief(row.OffMS), brief(row.OnMS),
			row.Ratio, between(row.Spread), known("%.2f", row.CPURatio), row.Repeats[0], row.Repeats[1], row.Rounds, equal)
	}
	return t.Flush()
}

// WriteMarkdown writes the rows as a table for a document.
func (r *FeatureReport) WriteMarkdown(w io.Writer) error {
	fmt.Fprintf(w, "%s; state %s, %d further accounts, %d workers. Ratios are off / on, medians of the rounds, in brackets the least and the most.\n\n", r.Machine, r.State, r.Accounts, r.Workers)
	_, err := fmt.Fprintln(w, "| feature | workload | txs | ms, off → on | time | CPU | executed again, off → on |\n|---|---|--:|--:|--:|--:|--:|")
	for _, row := range r.Rows {
		if err == nil {
			_, err = fmt.Fprintf(w, "| %s | %s | %d | %s → %s | **%.2f** %s | %s | %d → %d |\n", row.Feature, row.Workload, row.Txs, brief(row.OffMS), brief(row.OnMS),
				row.Ratio, between(row.Spread), known("%.2f", row.CPURatio), row.Repeats[0], row.Repeats[1])
		}
	}
	return err
}

// WriteJSON writes the report as a JSON object.
func (r *FeatureReport) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// brief formats milliseconds with as many digits as say something.
func brief(ms float64) string {
	if ms < 20 {
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}
