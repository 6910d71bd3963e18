package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

func TestEveryFeatureHasARowOnEachWorkload(t *testing.T) {
	loads, _, err := ParseWorkloads("one-pool,base")
	if err != nil {
		t.Fatal(err)
	}
	o := FeatureOptions{World: testWorld(), Workloads: loads, Txs: testTxs, Workers: 2, Rounds: 1, Setting: Memory, Progress: func(string) {}}
	want := 0
	for _, f := range Features() {
		if f.whole && !Patched {
			continue
		}
		o.Features = append(o.Features, f)
		if want += len(f.small); f.small == nil {
			want += len(loads)
		}
	}
	r, err := MeasureFeatures(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != want {
		t.Errorf("%d rows, want %d: %+v", len(r.Rows), want, r.Rows)
	}
	for _, row := range r.Rows {
		if !row.Equal || row.OffMS <= 0 || row.OnMS <= 0 || row.Ratio <= 0 || row.Txs == 0 {
			t.Errorf("row %+v", row)
		}
	}
	var text, table, object bytes.Buffer
	for _, err := range []error{r.WriteText(&text), r.WriteMarkdown(&table), r.WriteJSON(&object)} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, f := range o.Features {
		for _, out := range []string{text.String(), table.String(), object.String()} {
			if !strings.Contains(out, f.Name) {
				t.Errorf("%s is not in\n%s", f.Name, out)
			}
		}
	}
	if !json.Valid(object.Bytes()) {
		t.Errorf("no JSON: %s", object.String())
	}
}

func TestARowComparesOffWithOn(t *testing.T) {
	var row FeatureRow
	at := func(clock, repeats int) taken {
		return taken{time.Duration(clock) * time.Millisecond, time.Duration(2*clock) * time.Millisecond, repeats, common.Hash{}}
	}
	row.sum([]taken{at(20, 9), at(40, 7), at(30, 8)}, []taken{at(10, 1), at(10, 3), at(20, 2)})
	if row.OffMS != 30 || row.OnMS != 10 || row.Ratio != 2 || row.Spread != [2]float64{1.5, 4} || row.CPURatio != 2 || row.Repeats != [2]int{8, 2} {
		t.Errorf("%+v", row)
	}
}

func TestAFeatureThatThereIsNotIsNamedWithWhatThereIs(t *testing.T) {
	for _, text := range []string{"luck", "window,luck", ""} {
		_, err := ParseFeatures(text)
		if !errors.Is(err, ErrUnknownFeature) || !strings.Contains(err.Error(), "window, senders") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if all, err := ParseFeatures("all"); err != nil || len(all) != len(Features()) {
		t.Errorf("all are %d, %v", len(all), err)
	}
}
