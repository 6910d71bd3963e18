package bench

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
)

//go:embed report.html
var page embed.FS

// WriteHTML writes the report as a page with plots, which needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report.html").Funcs(template.FuncMap{
		"known":   known,
		"between": between,
		"percent": func(share float64) float64 { return 100 * share },
	}).ParseFS(page, "report.html")
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*Report
		All      []Row
		Speedups Plot
		Scaling  Plot
		Lanes    []Lane
	}{r, r.all(), r.speedups(), r.scaling(), r.Schedule.lanes()})
}

// Sizes of the plots, in pixels.
const (
	plotWidth  = 900
	plotLeft   = 150
	plotRight  = 60
	barHeight  = 9
	barGap     = 16
	lineHeight = 360
	lineBottom = 40
)

// Plot is what the page draws.
type Plot struct {
	Width, Height float64
	Ticks         []Tick
	Bars          []Bar
	Lines         []Line
	Marks         []Tick // points by themselves
}

// Tick is a line of the grid with its label.
type Tick struct {
	X, Y  float64
	Label string
}

// Bar is one bar of the speed-ups, with the spread of the rounds.
type Bar struct {
	X, Y, Width, Height float64
	Low, High           float64 // ends of the spread
	Class, Label, Value string
}

// Line is one workload's scaling.
type Line struct {
	Points []Point
	Label  string
	Hue    int
}

// Point is a point of a line.
type Point struct{ X, Y float64 }

// speedups plots filling, total and limit of each workload at the number of workers that
// is closest to the machine's cores.
func (r *Report) speedups() Plot {
	best := 0
	for _, row := range r.Rows {
		if row.Workers <= r.Machine.Cores {
			best = max(best, row.Workers)
		}
	}
	if best == 0 && len(r.Rows) > 0 {
		best = r.Rows[0].Workers
	}
	var rows []Row
	most := 1.0
	for _, row := range r.Rows {
		if row.Workers == best {
			rows = append(rows, row)
			most = max(most, row.FillRatio, row.TotalRatio, row.LimitRatio, row.FillSpread[1])
		}
	}
	scale := (plotWidth - plotLeft - plotRight) / most
	var p Plot
	y := 30.0
	for _, row := range rows {
		bars := []struct {
			class string
			value float64
			reach [2]float64
		}{{"fill", row.FillRatio, row.FillSpread}, {"total", row.TotalRatio, row.TotalSpread}, {"limit", row.LimitRatio, [2]float64{}}}
		for i, b := range bars {
			bar := Bar{
				X: plotLeft, Y: y, Width: b.value * scale, Height: barHeight, Class: b.class, Value: known("%.2f", b.value),
				Low: plotLeft + b.reach[0]*scale, High: plotLeft + b.reach[1]*scale,
			}
			if i == 0 {
				bar.Label = row.Workload
			}
			p.Bars = append(p.Bars, bar)
			y += barHeight + 1
		}
		y += barGap
	}
	p.Width, p.Height = plotWidth, y
	for at := 0.0; at <= most; at += gridStep(most) {
		p.Ticks = append(p.Ticks, Tick{X: plotLeft + at*scale, Y: y, Label: fmt.Sprintf("%.1f", at)})
	}
	return p
}

// gridStep returns a round distance of grid lines.
func gridStep(most float64) float64 {
	for _, step := range []float64{0.5, 1, 2, 5, 10, 20} {
		if most/step <= 10 {
			return step
		}
	}
	return 50
}

// scaling plots filling against the number of workers.
func (r *Report) scaling() Plot {
	p := Plot{Width: plotWidth, Height: lineHeight + lineBottom}
	var (
		counts []int
		names  []string
		most   = 1.0
	)
	for _, row := range r.Rows {
		if !slices.Contains(counts, row.Workers) {
			counts = append(counts, row.Workers)
		}
		if !slices.Contains(names, row.Workload) {
			names = append(names, row.Workload)
		}
		most = max(most, row.FillRatio)
	}
	slices.Sort(counts)
	if len(counts) < 2 {
		return Plot{}
	}
	step := (plotWidth - plotLeft - plotRight - 60) / float64(len(counts)-1)
	height := func(v float64) float64 { return lineHeight - v/most*(lineHeight-20) }
	for i, name := range names {
		line := Line{Label: name, Hue: i * 360 / len(names)}
		for at, workers := range counts {
			for _, row := range r.Rows {
				if row.Workload == name && row.Workers == workers {
					line.Points = append(line.Points, Point{plotLeft + float64(at)*step, height(row.FillRatio)})
				}
			}
		}
		p.Lines = append(p.Lines, line)
	}
	for at, workers := range counts {
		p.Bars = append(p.Bars, Bar{X: plotLeft + float64(at)*step, Y: lineHeight + 20, Label: known("%.0f", float64(workers))})
	}
	for v := 0.0; v <= most; v += gridStep(most) {
		p.Ticks = append(p.Ticks, Tick{X: plotLeft, Y: height(v), Label: fmt.Sprintf("%.1f", v)})
	}
	return p
}
