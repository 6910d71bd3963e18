package buildtest

import (
	"fmt"
	"math/rand"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// promptly bounds how long an interrupted build may go on. It allows for a busy machine;
// what it must catch is an execution that runs to its end.
const promptly = 500 * time.Millisecond

// longRunning is a scenario in which every sixth transaction burns gas for long.
func longRunning(seed int64) (*Scenario, error) {
	w := NewWorld("long-running", "Jovian", seed)
	c := w.Contract(addr("spin", 0), `again: @again jump`)
	d := w.Contract(addr("tally", 0), tally)
	w.s.GasLimit = 2_000_000_000
	for i, from := range w.Accounts(60) {
		if i%6 == 0 {
			w.Send(Send{From: from, To: &c, Gas: 30_000_000})
		} else {
			w.Send(Send{From: from, To: &d})
		}
	}
	return w.Scenario(60, 0)
}

// interruptAfter builds with an interrupt after the delay and returns how long the build
// went on from then.
func interruptAfter(n *Node, workers int, delay time.Duration) (*Built, time.Duration, error) {
	var (
		interrupt atomic.Int32
		at        atomic.Int64
	)
	timer := time.AfterFunc(delay, func() {
		at.Store(time.Now().UnixNano())
		interrupt.Store(4)
	})
	defer timer.Stop()
	got, err := n.Build(workers, &interrupt)
	if err != nil || at.Load() == 0 {
		return got, 0, err
	}
	return got, time.Duration(time.Now().UnixNano() - at.Load()), nil
}

// checkPrefix checks that got is the block that a sequential builder had made, had it
// been stopped after as many transactions.
// Replays are kept by length, as the transactions can take long.
func checkPrefix(n *Node, want, got *Built, replays map[int]*Built) error {
	w, g := want.Block.Transactions(), got.Block.Transactions()
	if len(g) > len(w) {
		return fmt.Errorf("%d transactions, the full block has %d", len(g), len(w))
	}
	if err := diffTxs(w[:len(g)], g); err != nil {
		return err
	}
	again := replays[len(g)]
	if again == nil {
		var err error
		if again, err = n.Replay(g); err != nil {
			return fmt.Errorf("replay of the prefix: %w", err)
		}
		replays[len(g)] = again
	}
	if again.Block.Root() != got.Block.Root() {
		return diffState(n.Scenario, again, got)
	}
	return diffReceipts(again, got, true)
}

func TestAnInterruptLeavesAValidPrefixAtOnceAndNoGoroutine(t *testing.T) {
	scenarios := make(map[string]func(int64) (*Scenario, error))
	scenarios["long-running"] = longRunning
	scenarios["random"] = func(seed int64) (*Scenario, error) { return Random("Jovian", seed) }
	scenarios["transfers"] = func(seed int64) (*Scenario, error) { return loadCases()[0].Scenario("Isthmus", seed) }
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			seed := caseSeed()
			s, err := scenario(seed)
			if err != nil {
				t.Fatal(err)
			}
			n := openNode(t, s, "")
			want := buildReference(t, n)
			start := time.Now()
			if _, err := n.Build(2, nil); err != nil {
				t.Fatalf("%v\n%s", err, replay(t, seed))
			}
			full := time.Since(start)

			rng, rounds := rand.New(rand.NewSource(seed)), 40
			if testing.Short() {
				rounds = 10
			}
			var cut int
			var worst time.Duration
			before, replays := runtime.NumGoroutine(), make(map[int]*Built)
			for range rounds {
				workers := pick(rng, workerCounts())
				delay := time.Duration(rng.Int63n(int64(full)))
				got, late, err := interruptAfter(n, workers, delay)
				if err != nil {
					t.Fatalf("%d workers, interrupt after %v: %v\n%s", workers, delay, err, replay(t, seed))
				}
				if err := checkPrefix(n, want, got, replays); err != nil {
					t.Fatalf("%d workers, interrupt after %v: %v\n%s", workers, delay, err, replay(t, seed))
				}
				if got.Signal == 0 && len(got.Block.Transactions()) < len(want.Block.Transactions()) {
					t.Fatalf("%d workers, interrupt after %v: block cut short with no signal\n%s", workers, delay, replay(t, seed))
				}
				if got.Signal != 0 {
					cut++
					worst = max(worst, late)
				}
				if late > promptly {
					t.Fatalf("%d workers: went on for %v after the interrupt, allowed are %v\n%s", workers, late, promptly, replay(t, seed))
				}
				if err := settle(before); err != nil {
					t.Fatalf("%d workers, interrupt after %v: %v\n%s", workers, delay, err, replay(t, seed))
				}
			}
			t.Logf("full build %v; %d of %d builds cut short, the slowest %v after its interrupt", full, cut, rounds, worst)
			if name == "long-running" && cut == 0 {
				t.Error("no build was interrupted")
			}
		})
	}
}

func TestAnInterruptBeforeTheStartAddsNothing(t *testing.T) {
	s, err := loadCases()[0].Scenario("Jovian", caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	for _, workers := range workerCounts() {
		var interrupt atomic.Int32
		interrupt.Store(3)
		got, err := n.Build(workers, &interrupt)
		if err != nil {
			t.Fatalf("%d workers: %v", workers, err)
		}
		if got.Signal != 3 || len(got.Block.Transactions()) != got.Forced {
			t.Errorf("%d workers: signal %d, want 3; %d transactions from the pool, want none", workers, got.Signal, len(got.Block.Transactions())-got.Forced)
		}
	}
}

func TestNoGoroutineOutlivesABuild(t *testing.T) {
	for _, rules := range []string{"Jovian", "Prague"} {
		s, err := Random(rules, caseSeed())
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		before := runtime.NumGoroutine()
		for _, workers := range workerCounts() {
			if _, err := n.Build(workers, nil); err != nil {
				t.Fatalf("%s, %d workers: %v", rules, workers, err)
			}
			if err := settle(before); err != nil {
				t.Errorf("%s, %d workers: %v", rules, workers, err)
			}
		}
	}
}
