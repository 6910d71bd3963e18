//go:build patched

package buildtest

import (
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/metrics"

	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// sized is a block of that many calls that all change one counter, one of them from an
// account that goes first.
func sized(txs int) (*Scenario, error) {
	w := NewWorld(fmt.Sprintf("%d-calls", txs), "Jovian", caseSeed())
	c := w.Contract(addr("tally", 0), tally)
	for i, from := range w.Accounts(txs) {
		if i == txs/2 {
			w.s.Prio = append(w.s.Prio, from)
		}
		w.Send(Send{From: from, To: &c})
	}
	return w.Scenario(txs, 0)
}

// smallBuilds returns how often the miner left a block sequential for being small.
func smallBuilds(t *testing.T) int64 {
	t.Helper()
	counter, ok := metrics.DefaultRegistry.Get("miner/parallel/builds/small").(*metrics.Counter)
	if !ok {
		t.Fatal("the miner registers no counter miner/parallel/builds/small")
	}
	return counter.Snapshot().Count()
}

func TestSmallBlocksAreFilledSequentiallyAndAreTheSameBlocks(t *testing.T) {
	// The fewest transactions that are worth it, found as an operator could.
	threshold, two := 1, 2
	for params.Workers(&two, threshold, 0) == params.SequentialThreads {
		threshold++
	}
	if threshold < 3 {
		t.Fatalf("blocks of %d transactions are filled in parallel by default", threshold)
	}
	for _, txs := range []int{0, 1, 2, threshold - 1, threshold, threshold + 1} {
		s, err := sized(txs)
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		n.MinTxs = 0
		want, err := n.BuildPayload(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(want.ExecutionPayload.Transactions) - len(s.Forced); got != txs {
			t.Fatalf("the block of %d transactions has %d", txs, got)
		}
		for _, threads := range []int{2, 8} {
			fills, fallbacks := parallelRuns(t)
			small := smallBuilds(t)
			got, err := n.BuildPayload(threads, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := diffPayloads(want, got); err != nil {
				t.Errorf("%d transactions, %d threads: %v\n%s", txs, threads, err, replay(t, s.Seed))
			}
			moreFills, moreFallbacks := parallelRuns(t)
			if parallel := moreFills > fills; parallel != (txs >= threshold) {
				t.Errorf("%d transactions, %d threads: filled in parallel is %v, the threshold is %d\n%s", txs, threads, parallel, threshold, replay(t, s.Seed))
			}
			if left := smallBuilds(t) > small; left != (txs < threshold) {
				t.Errorf("%d transactions, %d threads: counted as small is %v, the threshold is %d\n%s", txs, threads, left, threshold, replay(t, s.Seed))
			}
			if moreFallbacks != fallbacks {
				t.Errorf("%d transactions, %d threads: counted as a fallback\n%s", txs, threads, replay(t, s.Seed))
			}
		}
	}
}
