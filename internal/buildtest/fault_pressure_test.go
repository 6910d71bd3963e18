//go:build patched

package buildtest

import (
	"fmt"
	"math/rand"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// ballast is memory that the collector has to walk through.
type ballast struct {
	next *ballast
	_    [6]uint64
}

func TestABlockBuiltUnderMemoryPressureIsTheSequentialOne(t *testing.T) {
	s, err := Random("Jovian", caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	want := buildReference(t, n)
	var heavy *ballast
	for range 1 << 19 { // 32 MB
		heavy = &ballast{next: heavy}
	}
	before := runtime.NumGoroutine()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	collections := stats.NumGC
	// No room at all: the collector starts again as soon as it has ended.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(stats.HeapAlloc / 2)))

	builds, more := 0, 0
	for more < 12 && builds < 200 {
		for _, workers := range workerCounts() {
			compareFill(t, n, want, workers)
			builds++
			if err := settle(before); err != nil {
				t.Errorf("%d workers: %v\n%s", workers, err, replay(t, s.Seed))
			}
		}
		for _, threads := range workerCounts()[1:] {
			inParallel(t, n, threads, func() {
				got, err := n.BuildPayload(threads, 1)
				if err != nil {
					t.Errorf("%d threads: %v\n%s", threads, err, replay(t, s.Seed))
				} else if got.ExecutionPayload.BlockHash != want.Block.Hash() {
					t.Errorf("%d threads: block %s, want %s\n%s", threads, got.ExecutionPayload.BlockHash, want.Block.Hash(), replay(t, s.Seed))
				}
			})
			builds++
		}
		runtime.ReadMemStats(&stats)
		more = int(stats.NumGC - collections)
	}
	runtime.KeepAlive(heavy)
	t.Logf("%d builds, the collector ran %d times and took %.0f%% of the time", builds, more, 100*stats.GCCPUFraction)
	if more < 12 {
		t.Errorf("%d builds in which the collector ran %d times: no pressure\n%s", builds, more, replay(t, s.Seed))
	}
}

// lateness is how long builds went on after their interrupts.
type lateness []time.Duration

func (l lateness) String() string {
	if len(l) == 0 {
		return "none"
	}
	slices.Sort(l)
	at := func(share int) time.Duration { return l[(len(l)-1)*share/1000].Round(time.Microsecond) }
	return fmt.Sprintf("%d builds: median %v, 90%% within %v, 99%% within %v, 99.9%% within %v, longest %v", len(l), at(500), at(900), at(990), at(999), at(1000))
}

// TestAThousandInterruptsAtRandomMomentsAreObeyedAtOnce also measures what the sequential
// path takes, which looks for an interrupt between two transactions only.
func TestAThousandInterruptsAtRandomMomentsAreObeyedAtOnce(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	seed := caseSeed()
	rng := rand.New(rand.NewSource(seed))
	scenarios := []struct {
		share    int // of 10 builds
		scenario func() (*Scenario, error)
	}{
		{4, func() (*Scenario, error) { return loadCases()[0].Scenario("Jovian", seed) }},
		{5, func() (*Scenario, error) { return Random("Jovian", seed) }},
		{1, func() (*Scenario, error) { return longRunning(seed) }},
	}
	var parallel, sequential lateness
	cut, lengths := 0, make(map[string]bool)
	for _, c := range scenarios {
		s, err := c.scenario()
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		want := buildReference(t, n)
		full := time.Hour // what a build takes that nothing holds up
		for range 5 {
			start := time.Now()
			if _, err := n.Build(2, nil); err != nil {
				t.Fatalf("%v\n%s", err, replay(t, seed))
			}
			full = min(full, time.Since(start))
		}
		if c.share == 1 {
			full /= 4 // the rest is like that
		}
		before, replays := runtime.NumGoroutine(), make(map[int]*Built)
		for i := range rounds * c.share / 10 {
			workers, delay := pick(rng, workerCounts()), time.Duration(rng.Int63n(int64(full)))
			got, late, err := interruptAfter(n, workers, delay)
			if err == nil {
				err = checkPrefix(n, want, got, replays)
			}
			if err == nil {
				err = settle(before)
			}
			if err == nil && late > promptly {
				err = fmt.Errorf("went on for %v, allowed are %v", late, promptly)
			}
			if err != nil {
				t.Fatalf("%s, build %d with %d workers, interrupt after %v: %v\n%s", s.Name, i, workers, delay, err, replay(t, seed))
			}
			if got.Signal != 0 {
				cut++
				parallel = append(parallel, late)
				lengths[fmt.Sprint(s.Name, len(got.Block.Transactions()))] = true
			}
			if i%10 != 0 {
				continue
			}
			if got, late, err = interruptAfter(n, Sequential, delay); err != nil {
				t.Fatalf("%s, sequential build, interrupt after %v: %v\n%s", s.Name, delay, err, replay(t, seed))
			}
			if got.Signal != 0 {
				sequential = append(sequential, late)
			}
		}
		compareFill(t, n, want, 4) // nothing is left locked
	}
	t.Logf("from interrupt to sealed block, parallel: %v; sequential: %v; %d prefixes", parallel, sequential, len(lengths))
	if cut < rounds/10 || len(lengths) < 20 {
		t.Errorf("of %d builds only %d were cut short, at %d lengths\n%s", rounds, cut, len(lengths), replay(t, seed))
	}
}

// endlessScenario is one of transactions each of which would burn gas for minutes.
func endlessScenario(seed int64) (*Scenario, error) {
	w := NewWorld("endless", "Jovian", seed)
	c := w.Contract(addr("spin", 0), `again: @again jump`)
	w.s.GasLimit = 1 << 40
	for range 4 {
		w.Send(Send{From: w.Rich(), To: &c, Gas: 1 << 37, FeeCap: gweis(2), Tip: gwei})
	}
	return w.Scenario(0, 0)
}

func TestAnExecutionThatNeverEndsIsStoppedByTheInterrupt(t *testing.T) {
	s, err := endlessScenario(caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	before := runtime.NumGoroutine()
	for _, workers := range workerCounts() {
		got, late, err := interruptAfter(n, workers, 30*time.Millisecond)
		if err != nil {
			t.Fatalf("%d workers: %v\n%s", workers, err, replay(t, s.Seed))
		}
		if got.Signal == 0 || len(got.Block.Transactions()) != got.Forced || late > promptly {
			t.Errorf("%d workers: signal %d, %d transactions from the pool, %v after the interrupt; want one, none, at most %v\n%s", workers, got.Signal,
				len(got.Block.Transactions())-got.Forced, late, promptly, replay(t, s.Seed))
		}
		if err := settle(before); err != nil {
			t.Errorf("%d workers: %v\n%s", workers, err, replay(t, s.Seed))
		}
	}
	// And through op-geth's miner, whose payload is asked for while it runs.
	for _, threads := range workerCounts()[1:] {
		got, late, err := n.resolveAfter(threads, 30*time.Millisecond)
		if err != nil {
			t.Fatalf("%d threads: %v\n%s", threads, err, replay(t, s.Seed))
		}
		if late > promptly || len(got.ExecutionPayload.Transactions) != len(s.Forced) {
			t.Errorf("%d threads: a payload of %d transactions after %v, want %d within %v\n%s", threads, len(got.ExecutionPayload.Transactions), late,
				len(s.Forced), promptly, replay(t, s.Seed))
		}
		if err := settle(before); err != nil {
			t.Errorf("%d threads: %v\n%s", threads, err, replay(t, s.Seed))
		}
	}
}
