package buildtest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// contended has transactions that all read and write one slot, after some work of their
// own, so that workers get into each other's way.
func contended(seed int64) (*Scenario, error) {
	w := NewWorld("contended", "Jovian", seed)
	c := w.Contract(addr("counter", 0), counter)
	for _, from := range w.Accounts(300) {
		w.Send(Send{From: from, To: &c})
	}
	return w.Scenario(300, 0)
}

// yielding lets other workers go on between two looks at the state.
type yielding struct{}

func (yielding) Pause(int)                      {}
func (yielding) Spurious(blockstm.TxIndex) bool { return false }
func (yielding) Moment(int)                     { time.Sleep(time.Microsecond) }

func TestARebuildRepeatsAFifthOfTheExecutionsAtMost(t *testing.T) {
	s, err := contended(caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	want := buildReference(t, n)
	var first, second int
	for range 2 {
		a := attempt{workers: 4, chaos: yielding{}}
		got, err := n.fill(a)
		if err != nil {
			t.Fatal(err)
		}
		first += conflicts(got)
		a.lesson = miner.Learn(got.State)
		again, err := n.fill(a)
		if err != nil {
			t.Fatal(err)
		}
		second += conflicts(again)
		if err := Diff(s, want, again); err != nil {
			t.Fatalf("%v\n%s", err, replay(t, s.Seed))
		}
	}
	if first < 50 {
		t.Errorf("only %d repetitions without a lesson: the scenario shows nothing", first)
	}
	if second*5 > first {
		t.Errorf("%d repetitions after a lesson, %d before, want a fifth at most\n%s", second, first, replay(t, s.Seed))
	}
	t.Logf("%d repetitions without a lesson, %d with it", first, second)
}

// conflicts returns how many executions were thrown away.
func conflicts(b *Built) (n int) {
	for _, run := range b.Runs {
		n += run.Stats.Reexecutions
	}
	return n
}

func TestARebuildDoesNotReadTheParentStateAgain(t *testing.T) {
	s, err := Random("Jovian", caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	var reads countingReads
	first, err := n.fill(attempt{workers: 2, wrap: reads.wrap})
	if err != nil {
		t.Fatal(err)
	}
	before := reads.take()
	if _, err := n.fill(attempt{workers: 2, wrap: reads.wrap, lesson: miner.Learn(first.State)}); err != nil {
		t.Fatal(err)
	}
	after := reads.take()
	if before == 0 || after*10 > before {
		t.Errorf("%d reads of the parent state in the rebuild, %d in the first build", after, before)
	}
}

func TestALessonOfAnotherStateTeachesNothing(t *testing.T) {
	scenarios := make([]*Scenario, 2)
	for i := range scenarios {
		s, err := Random("Jovian", caseSeed()+int64(i))
		if err != nil {
			t.Fatal(err)
		}
		scenarios[i] = s
	}
	other, err := openNode(t, scenarios[1], "").fill(attempt{workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, scenarios[0], "")
	want, err := n.fill(attempt{workers: Sequential})
	if err != nil {
		t.Fatal(err)
	}
	got, err := n.fill(attempt{workers: 2, lesson: miner.Learn(other.State)})
	if err != nil {
		t.Fatal(err)
	}
	if err := Diff(scenarios[0], want, got); err != nil {
		t.Errorf("%v\n%s", err, replay(t, scenarios[0].Seed))
	}
}

// countingReads counts the reads of accounts and slots.
type countingReads struct{ n atomic.Int64 }

func (c *countingReads) take() int64 { return c.n.Swap(0) }

func (c *countingReads) wrap(r state.Reader) state.Reader { return countingReader{r, &c.n} }

type countingReader struct {
	state.Reader
	n *atomic.Int64
}

// Account implements state.StateReader.
func (r countingReader) Account(addr common.Address) (*types.StateAccount, error) {
	r.n.Add(1)
	return r.Reader.Account(addr)
}

// Storage implements state.StateReader.
func (r countingReader) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	r.n.Add(1)
	return r.Reader.Storage(addr, key)
}
