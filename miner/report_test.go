package miner

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

func TestTheLastBuildsAreRememberedLatestFirst(t *testing.T) {
	var r Recorder
	last := func(n int) []*Report {
		t.Helper()
		reports, err := r.Last(&n)
		if err != nil {
			t.Fatal(err)
		}
		return reports
	}
	if got := last(MaxReports); len(got) != 0 || got == nil {
		t.Errorf("a new recorder remembers %v, want an empty list", got)
	}
	var copies []*Report
	for i := range MaxReports + 5 {
		copies = append(copies, r.put(nil, Report{Number: uint64(i)}))
	}
	if len(r.reports) != MaxReports {
		t.Errorf("%d reports are kept, want %d", len(r.reports), MaxReports)
	}
	all := last(MaxReports)
	if len(all) != MaxReports {
		t.Fatalf("%d reports are remembered, want %d", len(all), MaxReports)
	}
	for i, p := range all {
		if want := uint64(MaxReports + 4 - i); p.Number != want {
			t.Fatalf("report %d is of block %d, want %d", i, p.Number, want)
		}
	}
	if got := last(3); len(got) != 3 || got[0] != all[0] || got[2] != all[2] {
		t.Errorf("the last 3 are %v", got)
	}
	if got, err := r.Last(nil); err != nil || len(got) != defaultReports {
		t.Errorf("without a count there are %d reports, %v", len(got), err)
	}

	sealed := Report{Number: 100, Hash: &common.Hash{1}}
	r.put(copies[100], sealed)
	r.put(copies[0], Report{Number: 0, Hash: &common.Hash{2}}) // forgotten already
	for _, p := range last(MaxReports) {
		if got := p.Hash != nil; got != (p.Number == 100) {
			t.Errorf("block %d: sealed is %v", p.Number, got)
		}
	}
	if copies[100].Hash != nil {
		t.Error("a report that was handed out has changed")
	}
}

func TestCountsOutOfRangeAreNamedWithWhatIsAllowed(t *testing.T) {
	var r Recorder
	for _, n := range []int{-1, 0, MaxReports + 1} {
		_, err := r.Last(&n)
		if err == nil || !strings.Contains(err.Error(), "allowed are 1 to 128") || !strings.Contains(err.Error(), "count is ") {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestEveryFieldOfAReportIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "## The last builds")
	if !ok {
		t.Fatal("docs/metrics.md does not say what reports hold")
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Report]()) {
		if name := field.Tag.Get("json"); !strings.Contains(section, "`"+name+"`") {
			t.Errorf("docs/metrics.md does not say what %s is", name)
		}
	}
}
