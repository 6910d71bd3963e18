//go:build patched

package buildtest

import (
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	geth "github.com/ethereum/go-ethereum/miner"
	"github.com/holiman/uint256"
)

// pendingState has the miner compute a pending block, and returns a copy of its state.
func (n *Node) pendingState(t *testing.T, threads int) (*state.StateDB, common.Hash) {
	t.Helper()
	m := geth.New(n, geth.Config{
		GasCeil:                   n.Scenario.GasLimit,
		GasPrice:                  big.NewInt(1),
		RollupComputePendingBlock: true,
		ParallelThreads:           &threads,
	}, n.engine)
	defer m.Close()
	block, _, db := m.Pending()
	if block == nil {
		t.Fatalf("%d threads: no pending block", threads)
	}
	if len(block.Transactions()) == 0 {
		t.Fatalf("%d threads: the pending block is empty", threads)
	}
	return db, block.Root()
}

// The RPC simulates transactions on the pending state.
func TestThePendingStateCanBeCopiedAndGoesOnFromThere(t *testing.T) {
	compared := 0
	for i := range int64(*seedsFlag) {
		// From Holocene on op-geth has no pending block of its own.
		s, err := Random([]string{"Cancun", "Prague"}[i%2], caseSeed()+i)
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		want, wantRoot := n.pendingState(t, 1)
		for _, threads := range workerCounts()[1:] {
			got, gotRoot := n.pendingState(t, threads)
			if gotRoot != wantRoot {
				continue // another second has begun, and with it another block
			}
			compared++
			reference := want.Copy()
			for _, db := range []*state.StateDB{reference, got} {
				for i, a := range n.Scenario.somebody() {
					db.SetBalance(a, uint256.NewInt(uint64(i)), tracing.BalanceChangeUnspecified)
					db.SetState(a, common.Hash{31: byte(i)}, common.Hash{31: byte(i % 3)})
				}
			}
			if got, want := got.IntermediateRoot(true), reference.IntermediateRoot(true); got != want {
				t.Errorf("%d threads: root %v after changes to the pending state, want %v\n%s", threads, got, want, replay(t, n.Scenario.Seed))
			}
			again := got.Copy()
			for _, db := range []*state.StateDB{reference, again} {
				db.SetNonce(common.Address{1, 2, 3}, 7, tracing.NonceChangeUnspecified)
			}
			if got, want := again.IntermediateRoot(true), reference.IntermediateRoot(true); got != want {
				t.Errorf("%d threads: root %v after changes to a copy of the copy, want %v\n%s", threads, got, want, replay(t, n.Scenario.Seed))
			}
		}
	}
	if compared == 0 {
		t.Error("no pending state compared")
	}
}

// somebody returns some accounts of the parent state, in a fixed order.
func (s *Scenario) somebody() []common.Address {
	all := slices.SortedFunc(maps.Keys(s.Alloc), common.Address.Cmp)
	return all[:min(len(all), 40)]
}
