package buildtest

import (
	"flag"
	"fmt"
	"testing"
)

var (
	seedFlag  = flag.Int64("seed", 0, "run scenarios from this seed only (0: from 1 on)")
	seedsFlag = flag.Int("seeds", 24, "number of seeds for random blocks")
)

// workerCounts are what every scenario is built with, beside sequentially.
func workerCounts() []int { return []int{1, 2, 4, 8} }

// replay returns what to run to see a failure again.
func replay(t *testing.T, seed int64) string {
	tags := ""
	if Patched {
		tags = "-modfile=build/patched.mod -tags patched "
	}
	return fmt.Sprintf("replay: go test %s./internal/buildtest -run '^%s$' -seed=%d", tags, t.Name(), seed)
}

// seed returns the seed of named cases.
func caseSeed() int64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return 1
}

// forEachCase runs f on a node of every case under all of its rules.
func forEachCase(t *testing.T, f func(t *testing.T, n *Node)) {
	for _, c := range Cases() {
		for _, rules := range c.Rules {
			t.Run(c.Name+"/"+rules, func(t *testing.T) {
				s, err := c.Scenario(rules, caseSeed())
				if err != nil {
					t.Fatal(err)
				}
				f(t, openNode(t, s, ""))
			})
		}
	}
}

func openNode(t *testing.T, s *Scenario, dir string) *Node {
	t.Helper()
	n, err := NewNode(s, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the node: %v", err)
		}
	})
	return n
}

// buildReference builds the scenario sequentially and checks that the block is worth
// comparing with.
func buildReference(t *testing.T, n *Node) *Built {
	t.Helper()
	s := n.Scenario
	want, err := n.Build(Sequential, nil)
	if err != nil {
		t.Fatalf("sequential build: %v\n%s", err, replay(t, s.Seed))
	}
	included := len(want.Block.Transactions()) - want.Forced
	leftOut := len(s.Candidates) - included
	if included < s.MinIncluded || leftOut < s.MinLeftOut {
		t.Fatalf("the scenario does not do what it is for: %d included, want at least %d; %d left out, want at least %d\n%s",
			included, s.MinIncluded, leftOut, s.MinLeftOut, replay(t, s.Seed))
	}
	return want
}

// compareFill builds the scenario by Fill and compares.
func compareFill(t *testing.T, n *Node, want *Built, workers int) {
	t.Helper()
	got, err := n.Build(workers, nil)
	if err != nil {
		t.Errorf("%d workers: %v\n%s", workers, err, replay(t, n.Scenario.Seed))
		return
	}
	if err := Diff(n.Scenario, want, got); err != nil {
		t.Errorf("%d workers: %v\n%s", workers, err, replay(t, n.Scenario.Seed))
	}
	if err := honest(got, workers); err != nil {
		t.Errorf("%d workers: %v\n%s", workers, err, replay(t, n.Scenario.Seed))
	}
}

func TestTheReferenceSealsTheBlockThatOpGethSeals(t *testing.T) {
	forEachCase(t, func(t *testing.T, n *Node) {
		want := buildReference(t, n)
		env, err := n.BuildPayload(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := env.ExecutionPayload; got.BlockHash != want.Block.Hash() {
			t.Errorf("block hash: reference %s, op-geth %s; %d and %d transactions, receipts root %s and %s, state root %s and %s\n%s",
				want.Block.Hash(), got.BlockHash, len(want.Block.Transactions()), len(got.Transactions),
				want.Block.ReceiptHash(), got.ReceiptsRoot, want.Block.Root(), got.StateRoot, replay(t, n.Scenario.Seed))
		}
	})
}

func TestFillSealsTheSequentialBlock(t *testing.T) {
	forEachCase(t, func(t *testing.T, n *Node) {
		want := buildReference(t, n)
		for _, workers := range workerCounts() {
			compareFill(t, n, want, workers)
		}
	})
}

// forEachSeed runs f on nodes of random scenarios.
func forEachSeed(t *testing.T, f func(t *testing.T, n *Node)) {
	first, count := int64(1), *seedsFlag
	if *seedFlag != 0 {
		first, count = *seedFlag, 1
	}
	for seed := first; seed < first+int64(count); seed++ {
		s, err := Random(RandomRules(seed), seed)
		if err != nil {
			t.Fatal(err)
		}
		n, err := NewNode(s, "")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		f(t, n)
		if err := n.Close(); err != nil {
			t.Errorf("seed %d: closing the node: %v", seed, err)
		}
		if t.Failed() {
			return
		}
	}
}

func TestTheReferenceSealsRandomBlocksAsOpGethDoes(t *testing.T) {
	in, all := 0, 0
	forEachSeed(t, func(t *testing.T, n *Node) {
		want := buildReference(t, n)
		in, all = in+len(want.Block.Transactions())-want.Forced, all+len(n.Scenario.Candidates)
		env, err := n.BuildPayload(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := env.ExecutionPayload; got.BlockHash != want.Block.Hash() {
			t.Errorf("block hash: reference %s with %d transactions, op-geth %s with %d\n%s", want.Block.Hash(), len(want.Block.Transactions()),
				got.BlockHash, len(got.Transactions), replay(t, n.Scenario.Seed))
		}
	})
	t.Logf("%d of %d candidates included", in, all)
}

func TestFillSealsRandomBlocks(t *testing.T) {
	forEachSeed(t, func(t *testing.T, n *Node) {
		want := buildReference(t, n)
		for _, workers := range workerCounts() {
			compareFill(t, n, want, workers)
		}
	})
}

func TestMoreThanOneWorkerExecutes(t *testing.T) {
	for _, c := range loadCases() {
		if c.Name != "independent-transfers" && c.Name != "erc20-spread" && c.Name != "swaps-on-many-pools" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			s, err := c.Scenario("Jovian", caseSeed())
			if err != nil {
				t.Fatal(err)
			}
			n := openNode(t, s, "")
			var last []int
			for range 20 { // on a busy machine one worker may be through before the next is scheduled
				got, err := n.Build(4, nil)
				if err != nil {
					t.Fatal(err)
				}
				busy := 0
				for _, executed := range got.Runs[0].Stats.ByWorker {
					if executed > 0 {
						busy++
					}
				}
				if busy > 1 {
					return
				}
				last = got.Runs[0].Stats.ByWorker
			}
			t.Errorf("in 20 builds with 4 workers one executed everything: %v\n%s", last, replay(t, s.Seed))
		})
	}
}
