//go:build patched

package buildtest

import (
	"context"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/metrics"
)

// comparePayloads has op-geth's miner build the scenario with one thread and with many.
func comparePayloads(t *testing.T, n *Node) {
	t.Helper()
	ref := buildReference(t, n)
	want, err := n.BuildPayload(1, 1)
	if err != nil {
		t.Fatalf("1 thread: %v\n%s", err, replay(t, n.Scenario.Seed))
	}
	if want.ExecutionPayload.BlockHash != ref.Block.Hash() {
		t.Fatalf("1 thread: block %s, the reference's is %s\n%s", want.ExecutionPayload.BlockHash, ref.Block.Hash(), replay(t, n.Scenario.Seed))
	}
	for _, threads := range workerCounts()[1:] {
		var (
			got *engine.ExecutionPayloadEnvelope
			err error
		)
		inParallel(t, n, threads, func() { got, err = n.BuildPayload(threads, 1) })
		if err != nil {
			t.Errorf("%d threads: %v\n%s", threads, err, replay(t, n.Scenario.Seed))
			continue
		}
		if err := diffPayloads(want, got); err != nil {
			t.Errorf("%d threads: %v\n%s", threads, err, replay(t, n.Scenario.Seed))
		}
	}
}

// parallelRuns returns how often the miner filled a block in parallel, and how often it
// gave that up. A block counts as built in parallel only if it did the one and not the
// other.
func parallelRuns(t *testing.T) (fills, fallbacks int64) {
	t.Helper()
	metrics.Enable() // timers don't count otherwise
	timer, ok := metrics.DefaultRegistry.Get("miner/parallel/fill").(*metrics.Timer)
	if !ok {
		t.Fatal("the patched miner registers no timer miner/parallel/fill")
	}
	counter, ok := metrics.DefaultRegistry.Get("miner/parallel/fallbacks").(*metrics.Counter)
	if !ok {
		t.Fatal("the patched miner registers no counter miner/parallel/fallbacks")
	}
	return timer.Snapshot().Count(), counter.Snapshot().Count()
}

// inParallel runs f, which has the miner build, and fails the test unless parallel
// building made the block.
func inParallel(t *testing.T, n *Node, threads int, f func()) {
	t.Helper()
	fills, fallbacks := parallelRuns(t)
	f()
	moreFills, moreFallbacks := parallelRuns(t)
	if moreFallbacks != fallbacks {
		t.Errorf("%d threads: the miner fell back to building sequentially\n%s", threads, replay(t, n.Scenario.Seed))
	}
	if moreFills == fills && len(n.Scenario.Candidates) > 0 {
		t.Errorf("%d threads: the miner did not build in parallel\n%s", threads, replay(t, n.Scenario.Seed))
	}
}

func diffPayloads(want, got *engine.ExecutionPayloadEnvelope) error {
	w, g := want.ExecutionPayload, got.ExecutionPayload
	if w.BlockHash == g.BlockHash && want.BlockValue.Cmp(got.BlockValue) == 0 {
		return nil
	}
	for i := range min(len(w.Transactions), len(g.Transactions)) {
		if string(w.Transactions[i]) != string(g.Transactions[i]) {
			return fmt.Errorf("transaction %d differs: got %x, want %x", i, g.Transactions[i], w.Transactions[i])
		}
	}
	return fmt.Errorf("block %s, want %s; %d transactions, want %d; gas %d, want %d; receipts root %s, want %s; state root %s, want %s; value %v, want %v",
		g.BlockHash, w.BlockHash, len(g.Transactions), len(w.Transactions), g.GasUsed, w.GasUsed,
		g.ReceiptsRoot, w.ReceiptsRoot, g.StateRoot, w.StateRoot, got.BlockValue, want.BlockValue)
}

func TestTheMinerSealsTheSameBlockWithAnyNumberOfThreads(t *testing.T) {
	forEachCase(t, comparePayloads)
}

func TestTheMinerSealsRandomBlocksWithAnyNumberOfThreads(t *testing.T) {
	forEachSeed(t, comparePayloads)
}

func TestTheMinerSealsTheSameBlockOnADatabaseWithPaths(t *testing.T) {
	for _, c := range Cases() {
		if c.Rules[0] != "Jovian" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			s, err := c.Scenario("Jovian", caseSeed())
			if err != nil {
				t.Fatal(err)
			}
			comparePayloads(t, openNode(t, s, t.TempDir()))
		})
	}
}

func TestAPayloadResolvedEarlyIsAValidPrefix(t *testing.T) {
	for _, scenario := range []func(int64) (*Scenario, error){longRunning, func(seed int64) (*Scenario, error) { return Random("Jovian", seed) }} {
		s, err := scenario(caseSeed())
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.Name, func(t *testing.T) {
			n := openNode(t, s, "")
			want := buildReference(t, n).Block.Transactions()
			rng := rand.New(rand.NewSource(s.Seed))
			for range 20 {
				threads, delay := pick(rng, workerCounts()[1:]), time.Duration(rng.Int63n(int64(100*time.Millisecond)))
				var (
					got  *engine.ExecutionPayloadEnvelope
					late time.Duration
					err  error
				)
				inParallel(t, n, threads, func() { got, late, err = n.resolveAfter(threads, delay) })
				if err != nil {
					t.Fatalf("%d threads, resolved after %v: %v\n%s", threads, delay, err, replay(t, s.Seed))
				}
				if late > promptly {
					t.Fatalf("%d threads: resolved %v after it was asked for, allowed are %v\n%s", threads, late, promptly, replay(t, s.Seed))
				}
				txs := got.ExecutionPayload.Transactions
				for i, raw := range txs {
					if w, err := want[i].MarshalBinary(); err != nil || string(w) != string(raw) {
						t.Fatalf("%d threads, resolved after %v: transaction %d is not that of the full block (%v)\n%s", threads, delay, i, err, replay(t, s.Seed))
					}
				}
				if err := n.insert(got); err != nil {
					t.Fatalf("%d threads, resolved after %v with %d transactions: not a valid block: %v\n%s", threads, delay, len(txs), err, replay(t, s.Seed))
				}
			}
		})
	}
}

// resolveAfter builds a payload and asks for it after the delay. It returns how long the
// answer took.
func (n *Node) resolveAfter(threads int, delay time.Duration) (*engine.ExecutionPayloadEnvelope, time.Duration, error) {
	m := n.Miner(threads)
	defer m.Close()
	payload, err := m.BuildPayload(context.Background(), n.args(), false)
	if err != nil {
		return nil, 0, err
	}
	time.Sleep(delay)
	start := time.Now()
	got := payload.Resolve()
	if got == nil {
		return nil, 0, fmt.Errorf("no payload")
	}
	return got, time.Since(start), nil
}

// insert has the chain verify the payload, by executing it sequentially.
func (n *Node) insert(env *engine.ExecutionPayloadEnvelope) error {
	block, err := engine.ExecutableDataToBlock(*env.ExecutionPayload, nil, &common.Hash{9}, env.Requests, n.Scenario.Config)
	if err != nil {
		return err
	}
	_, err = n.chain.InsertBlockWithoutSetHead(context.Background(), block, false)
	return err
}
