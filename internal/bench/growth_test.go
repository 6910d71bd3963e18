package bench

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestGrowthHasARowForEverySizeAndWindow(t *testing.T) {
	world := testWorld()
	world.Senders = 20
	g, err := MeasureGrowth(t.Context(), GrowthOptions{World: world, Workload: find(t, "transfers"), Txs: []int{40, 160}, Windows: []int{0, 16}, Workers: 2, Rounds: 3, Progress: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Rows) != 4 {
		t.Fatalf("%d rows, want 4", len(g.Rows))
	}
	for _, r := range g.Rows {
		if r.FillMS <= 0 || r.PerTxUS <= 0 || r.Parallel <= 0 || r.Sequential <= 0 {
			t.Errorf("row %+v", r)
		}
	}
	var text bytes.Buffer
	if err := g.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(text.String(), "(1: linear)"); got != 2 {
		t.Errorf("%d exponents, want one for each window:\n%s", got, text.String())
	}
}

func TestTheExponentOfGrowthIsThatOfTheTimes(t *testing.T) {
	for _, want := range []float64{0.5, 1, 2} {
		var g Growth
		for _, n := range []int{100, 1000, 5000} {
			g.Rows = append(g.Rows, GrowthRow{Txs: n, CPUPerTxUS: 3 * math.Pow(float64(n), want-1)})
		}
		if got, ok := g.exponent(0); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("exponent %v (%v), want %v", got, ok, want)
		}
	}
	if _, ok := (&Growth{Rows: []GrowthRow{{Txs: 5, CPUPerTxUS: 1}}}).exponent(0); ok {
		t.Error("a single size has an exponent")
	}
}
