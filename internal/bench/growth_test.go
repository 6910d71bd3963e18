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

func TestWhatTheEngineHoldsIsBoundedByTheWindow(t *testing.T) {
	const (
		few, many     = 4000, 16000
		narrow, wide  = 16, 1024
		recordPerTx   = 150    // hash, predecessor and pool entry, kept for the next build and for verifying, with room to grow
		blockPerTx    = 400    // receipts and the like, at least
		perCandidate  = 16_000 // footprint, receipt and candidate, of the window
		measurement   = 300_000
		windowsMemory = (wide - narrow) * perCandidate
	)
	world := testWorld()
	world.Senders = 200 // so that the state touched does not grow
	g, err := MeasureGrowth(t.Context(), GrowthOptions{World: world, Workload: find(t, "transfers-hot"), Txs: []int{few, many}, Windows: []int{narrow, wide}, Workers: 2, Rounds: 1, Progress: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[[2]int]*GrowthRow)
	for i := range g.Rows {
		r := &g.Rows[i]
		t.Logf("%d transactions, window %d: %.0f KB beyond the %.0f KB that the block takes sequentially", r.Txs, r.Window, r.Extra()/1e3, r.Sequential/1e3)
		at[[2]int{r.Txs, r.Window}] = r
	}
	small, large := at[[2]int{few, narrow}], at[[2]int{many, narrow}]
	if grown := large.Sequential - small.Sequential; grown < blockPerTx*(many-few) {
		t.Fatalf("the block grows by %.0f bytes for %d transactions: nothing is measured", grown, many-few)
	}
	for _, window := range []int{narrow, wide} {
		more := at[[2]int{many, window}].Extra() - at[[2]int{few, window}].Extra()
		if more > recordPerTx*(many-few)+measurement {
			t.Errorf("window %d: %d further transactions have the engine hold %.0f bytes more", window, many-few, more)
		}
	}
	if more := at[[2]int{many, wide}].Extra() - large.Extra(); more < 0-measurement || more > windowsMemory {
		t.Errorf("a window of %d instead of %d has the engine hold %.0f bytes more, want at most %d", wide, narrow, more, windowsMemory)
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
