package bench

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"text/tabwriter"
)

// WriteText writes the explanation for people.
func (e *Explanation) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d transactions, %.1f ms to execute once each; sequentially %.1f ms\n", e.Name, e.Txs, e.WorkMS, e.SequentialMS)
	fmt.Fprintf(w, "longest chain of dependencies: %d transactions, %.2f ms: no number of threads is more than %.1f times faster\n\n", len(e.Chain), e.ChainMS, e.Bound)
	e.writeKeys(w)
	e.writeChain(w)

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "threads\tat best\tundisturbed\tspeed-up\tof sequential\tfill ms\tagain\tcommit\tlock\tregister\tdrawing\tuseful\twasted\tidle\t  held up by\t")
	for _, f := range e.Forecasts {
		fmt.Fprintf(t, "%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\t\n", f.Workers, f.AtBest, f.Undisturbed, f.Speedup, f.Sequential, f.FillMS, f.Repeats,
			percent(f.Commit), percent(f.Lock), percent(f.Register), percent(f.Draw), percent(f.Busy), percent(f.Wasted), percent(f.Idle), f.First)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	c := e.Machine
	fmt.Fprintf(w, `at best: what the dependencies and the number of threads allow. undisturbed: speed-up over one thread,
simulated with the real scheduler, if threads did not slow each other down. speed-up: as they do here, where
%d at once, without a scheduler, take %.2f times as long each as one alone, and collecting garbage %.1f ms;
with more threads each is slowed down as much. commit … drawing: share of the time for which that, of which
there is only one at a time, was at work. useful, wasted, idle: of all threads' time.
`, c.Threads, c.Slow, c.CollectorMS)
	for _, p := range e.Published {
		fmt.Fprintf(w, "published, %d threads: %s (%s)\n", p.Threads, p.Figure, p.Source)
	}
	if len(e.Checks) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nsimulated against real, on this machine:")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "threads\tsimulated ms\treal ms\t\terror\tothers\t")
	for _, c := range e.Checks {
		fmt.Fprintf(t, "%d\t%.2f\t%.2f\t%s\t%+.0f %%\t%s\t\n", c.Workers, c.PredictedMS, c.RealMS, between(c.RealSpread), 100*c.Error, percent(c.Others))
	}
	return t.Flush()
}

// writeKeys writes what transactions meet at.
func (e *Explanation) writeKeys(w io.Writer) {
	if len(e.Keys) == 0 {
		fmt.Fprintf(w, "no transaction reads what another one writes\n\n")
	} else {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "hottest keys\t\t\tconflicts\tms\treaders\twriters")
		for _, k := range e.Keys {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.2f\t%d\t%d\n", k.Address, k.Field, k.slot(), k.Waits, k.WaitMS, k.Readers, k.Writers)
		}
		_ = t.Flush()
		fmt.Fprintf(w, "conflicts: transactions that read it after another one of the block wrote it\n\n")
	}
	if len(e.Additions) > 0 {
		fmt.Fprintln(w, "balances that many add to, which is no conflict:")
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, k := range e.Additions {
			fmt.Fprintf(t, "%s\t%d writers\t%d readers\n", k.Address, k.Writers, k.Readers)
		}
		_ = t.Flush()
		fmt.Fprintln(w)
	}
}

// shownLinks is how many transactions of a long chain are written at either end.
const shownLinks = 5

// writeChain writes the longest chain, without its middle if it is long.
func (e *Explanation) writeChain(w io.Writer) {
	if len(e.Chain) < 2 {
		return
	}
	fmt.Fprintln(w, "longest chain:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for n, l := range e.Chain {
		switch {
		case n < shownLinks || n >= len(e.Chain)-shownLinks:
			via := ""
			if l.Via != nil {
				via = fmt.Sprintf("reads %s %s %s", l.Via.Address, l.Via.Field, l.Via.slot())
			}
			fmt.Fprintf(t, "  %d\t%s\t%.3f ms\t%s\n", l.Index, l.Hash, l.MS, via)
		case n == shownLinks:
			fmt.Fprintf(t, "  …\t%d more\t\t\n", len(e.Chain)-2*shownLinks)
		}
	}
	_ = t.Flush()
	fmt.Fprintln(w)
}

// slot returns the slot for people: small numbers as such.
func (k *HotKey) slot() string {
	if k.Slot == nil {
		return ""
	}
	if n := k.Slot.Big(); n.IsUint64() && n.Uint64() < 1<<16 {
		return n.String()
	}
	return k.Slot.Hex()
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// WriteExplanationsJSON writes explanations as a JSON object with the machine.
func WriteExplanationsJSON(w io.Writer, machine Machine, all []*Explanation) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Host   Machine        `json:"machine"`
		Blocks []*Explanation `json:"blocks"`
	}{machine, all})
}

//go:embed explain.html
var explainPage string

// WriteExplanationsHTML writes explanations as a page that needs nothing else.
func WriteExplanationsHTML(w io.Writer, machine Machine, all []*Explanation) error {
	t, err := template.New("explain.html").Funcs(template.FuncMap{
		"percent": percent,
		"slot":    func(k *HotKey) string { return k.slot() },
		"ptr":     func(k HotKey) *HotKey { return &k },
	}).Parse(explainPage)
	if err != nil {
		return err
	}
	type section struct {
		*Explanation
		Curve Plot
		Lanes []Lane
	}
	page := struct {
		Host   Machine
		Blocks []section
	}{Host: machine}
	for _, e := range all {
		page.Blocks = append(page.Blocks, section{e, e.curve(), e.Schedule.lanes()})
	}
	return t.Execute(w, page)
}

// curve plots speed-up against threads, both on logarithmic axes: what the block allows,
// what the simulation gives, and what others have published.
func (e *Explanation) curve() Plot {
	if len(e.Forecasts) < 2 {
		return Plot{}
	}
	const width, height, left, top, bottom = 560.0, 300.0, 45.0, 12.0, 30.0
	most, least := 1.0, 0.5
	for _, f := range e.Forecasts {
		most = max(most, float64(f.Workers))
		for f.Speedup > 0 && f.Speedup < least {
			least /= 2
		}
	}
	scale := math.Log2(most)
	if scale == 0 {
		return Plot{}
	}
	x := func(workers int) float64 { return left + math.Log2(float64(workers))/scale*(width-left-10) }
	y := func(speedup float64) float64 {
		return top + (height-bottom-top)*(1-math.Log2(max(speedup, least)/least)/math.Log2(most/least))
	}
	p := Plot{Width: width, Height: height}
	for n := least; n <= most; n *= 2 {
		p.Ticks = append(p.Ticks, Tick{X: left, Y: y(n), Label: fmt.Sprint(n)})
	}
	best, undisturbed, simulated := Line{Label: "at best", Hue: 0}, Line{Label: "simulated, undisturbed", Hue: 130}, Line{Label: "simulated", Hue: 210}
	for _, f := range e.Forecasts {
		p.Bars = append(p.Bars, Bar{X: x(f.Workers), Y: height - 8, Label: fmt.Sprint(f.Workers)})
		best.Points = append(best.Points, Point{x(f.Workers), y(f.AtBest)})
		undisturbed.Points = append(undisturbed.Points, Point{x(f.Workers), y(f.Undisturbed)})
		simulated.Points = append(simulated.Points, Point{x(f.Workers), y(f.Speedup)})
	}
	for _, published := range e.Published {
		if published.Threads <= int(most) {
			p.Marks = append(p.Marks, Tick{X: x(published.Threads), Y: y(published.Speedup), Label: published.Figure})
		}
	}
	p.Lines = []Line{best, undisturbed, simulated}
	return p
}
