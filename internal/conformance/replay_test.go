package conformance

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// dumped builds the scenario in parallel, has a wrong state root refuted, and returns the
// dump of that.
func dumped(t *testing.T, s *buildtest.Scenario, workers int) *miner.Dump {
	t.Helper()
	n, err := buildtest.NewNode(s, "")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	built, err := n.Build(workers, nil)
	if err != nil {
		t.Fatal(err)
	}
	header := built.Block.Header()
	header.Root[5]++
	dir := t.TempDir()
	err = miner.Verify(context.Background(), n.BlockChain(), &miner.Sealed{
		Block:    types.NewBlockWithHeader(header).WithBody(*built.Block.Body()),
		Receipts: built.Receipts,
		Parent:   built.State.Database(),
	}, dir)
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if !errors.Is(err, miner.ErrUnverified) || len(files) != 1 {
		t.Fatalf("verifying a wrong state root: %v; dumps %q", err, files)
	}
	dump, err := miner.ReadDump(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if dump.Incomplete != "" || len(dump.Differences) > 0 || len(dump.Misread) > 0 {
		t.Errorf("a block of which only the root is wrong has differences %v, misreads %v; it lacks %q", dump.Differences, dump.Misread, dump.Incomplete)
	}
	if len(dump.Runs) != len(built.Runs) {
		t.Errorf("%d runs dumped, there were %d", len(dump.Runs), len(built.Runs))
	}
	return dump
}

// TestEveryDumpCanBeReplayedWithoutItsNode holds that what a dump has of the parent's
// state is enough to execute the block and to build it again, with what was left out of it.
func TestEveryDumpCanBeReplayedWithoutItsNode(t *testing.T) {
	check := func(t *testing.T, s *buildtest.Scenario) {
		t.Helper()
		dump := dumped(t, s, 4)
		var out strings.Builder
		differ, err := Replay(&out, dump, ReplayOptions{Workers: []int{2, 4}, Rounds: 1, Seed: s.Seed})
		if err != nil || differ != 0 {
			t.Fatalf("%d builds differ, %v\n%s", differ, err, out.String())
		}
		r, err := newReplay(dump)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := r.build(Sequential, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Txs) != len(r.block.Transactions()) {
			t.Fatalf("built again from the dump the block has %d transactions, it had %d", len(again.Txs), len(r.block.Transactions()))
		}
		for i, tx := range r.block.Transactions() {
			if again.Txs[i].Hash() != tx.Hash() {
				t.Fatalf("built again from the dump, transaction %d is %s, it was %s", i, again.Txs[i].Hash(), tx.Hash())
			}
		}
		if root := types.DeriveSha(types.Receipts(again.Receipts), newListHasher()); root != r.block.ReceiptHash() {
			t.Fatalf("built again from the dump, the receipts root is %s, it was %s", root, r.block.ReceiptHash())
		}
	}
	for _, c := range buildtest.Cases() {
		rules := c.Rules[len(c.Rules)-1]
		t.Run(c.Name+"/"+rules, func(t *testing.T) {
			s, err := c.Scenario(rules, 1)
			if err != nil {
				t.Fatal(err)
			}
			check(t, s)
		})
	}
	for seed := int64(1); seed <= 12; seed++ {
		t.Run(fmt.Sprintf("random/%d", seed), func(t *testing.T) {
			s, err := buildtest.Random(buildtest.RandomRules(seed), seed)
			if err != nil {
				t.Fatal(err)
			}
			check(t, s)
		})
	}
}
