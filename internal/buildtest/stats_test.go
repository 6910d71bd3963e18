package buildtest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// statsOf sums up the runs of a build.
func statsOf(b *Built) miner.Stats {
	var sum miner.Stats
	for _, run := range b.Runs {
		sum.Add(&run.Stats)
	}
	return sum
}

// footprintCase has large transactions, of which not all fit, before small ones that do.
func footprintCase() Case {
	return Case{"large-before-small", []string{"Jovian"}, func(w *World) (int, int) {
		w.SetDAFootprintScalar(2000)
		w.s.GasLimit = 11_000_000 // six large ones and five small ones
		for i, from := range w.Accounts(20) {
			to, data := w.Fresh(), []byte(nil)
			if i < 10 {
				data = make([]byte, 900)
				w.rng.Read(data)
			}
			w.Send(Send{From: from, To: &to, Data: data, Tip: gweis(100 - i)})
		}
		return 10, 4
	}}
}

func TestEveryCandidateLeftOutHasItsReasonWhateverTheWorkers(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range append(Cases(), footprintCase()) {
		s, err := c.Scenario(c.Rules[0], caseSeed())
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		var alone miner.Drops
		for _, workers := range []int{1, 4} {
			b, err := n.Build(workers, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", s.Name, err, replay(t, s.Seed))
			}
			stats, sum := statsOf(b), 0
			for reason, count := range stats.Drops.ByReason() {
				seen[reason] = true
				sum += count
			}
			if sum != stats.Dropped {
				t.Errorf("%s, %d workers: %d candidates left out, %d for a reason: %v\n%s", s.Name, workers, stats.Dropped, sum, stats.Drops.ByReason(), replay(t, s.Seed))
			}
			if got, want := stats.Committed, len(b.Block.Transactions())-b.Forced; got != want {
				t.Errorf("%s, %d workers: %d committed, %d in the block\n%s", s.Name, workers, got, want, replay(t, s.Seed))
			}
			// How many of a dropped sender's were drawn by then is a matter of timing.
			stats.Drops[miner.DropAccount] = 0
			if workers == 1 {
				alone = stats.Drops
			} else if stats.Drops != alone {
				t.Errorf("%s: the reasons are %v with 1 worker, %v with %d\n%s", s.Name, alone.ByReason(), stats.Drops.ByReason(), workers, replay(t, s.Seed))
			}
		}
	}
	for _, want := range []string{"gas", "footprint", "blobs", "nonce", "invalid", "conditional", "account", "evicted"} {
		if !seen[want] {
			t.Errorf("no case leaves out a candidate for the reason %q", want)
		}
	}
}

func TestTheLatencyOfAnInterruptIsNeitherHiddenNorMadeUp(t *testing.T) {
	s, err := longRunning(caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	var interrupt atomic.Int32
	fired := make(chan time.Time, 1)
	timer := time.AfterFunc(20*time.Millisecond, func() {
		fired <- time.Now()
		interrupt.Store(4)
	})
	defer timer.Stop()
	got, err := n.Build(2, &interrupt)
	ended := time.Now()
	if err != nil {
		t.Fatalf("%v\n%s", err, replay(t, s.Seed))
	}
	if got.Signal == 0 || len(fired) == 0 {
		t.Fatalf("the build was not interrupted\n%s", replay(t, s.Seed))
	}
	stats := statsOf(got)
	// It is measured from the last look that found no interrupt, sealing is not part of it.
	if most := ended.Sub(<-fired) + promptly; stats.InterruptLatency <= 0 || stats.InterruptLatency > most {
		t.Errorf("the latency is %v, want more than 0 and at most %v\n%s", stats.InterruptLatency, most, replay(t, s.Seed))
	}
	if full, err := n.Build(2, nil); err != nil || statsOf(full).InterruptLatency != 0 {
		t.Errorf("a build without an interrupt: %v, %v", statsOf(full).InterruptLatency, err)
	}
}
