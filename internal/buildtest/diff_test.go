package buildtest

import (
	"testing"

	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/holiman/uint256"
)

// rebuilt builds the scenario sequentially and seals it again after a change.
func rebuilt(t *testing.T, n *Node, change func(b *Built)) *Built {
	t.Helper()
	b := buildReference(t, n)
	change(b)
	h := b.Block.Header()
	h.Root = b.State.IntermediateRoot(true)
	h.GasUsed = b.Receipts[len(b.Receipts)-1].CumulativeGasUsed
	b.Block = types.NewBlock(h, &types.Body{Transactions: b.Block.Transactions(), Withdrawals: b.Block.Withdrawals()}, b.Receipts, trie.NewStackTrie(nil), n.Scenario.Config)
	return b
}

func TestDiffSeesEveryKindOfDifference(t *testing.T) {
	s, err := loadCases()[4].Scenario("Jovian", caseSeed()) // erc20-spread, it has logs
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	want := buildReference(t, n)
	if err := Diff(s, want, rebuilt(t, n, func(*Built) {})); err != nil {
		t.Fatalf("two equal blocks: %v", err)
	}
	changes := map[string]func(b *Built){
		"balance":        func(b *Built) { b.State.AddBalance(s.Coinbase, uint256.NewInt(1), tracing.BalanceChangeUnspecified) },
		"nonce":          func(b *Built) { b.State.SetNonce(s.Candidates[3].From, 9, tracing.NonceChangeUnspecified) },
		"account":        func(b *Built) { b.State.SetNonce([20]byte{1}, 1, tracing.NonceChangeUnspecified) },
		"storage":        func(b *Built) { b.State.SetState(addr("token", 0), [32]byte{1}, [32]byte{1}) },
		"gas":            func(b *Built) { b.Receipts[5].GasUsed++ },
		"cumulative gas": func(b *Built) { b.Receipts[5].CumulativeGasUsed++ },
		"status":         func(b *Built) { b.Receipts[5].Status ^= 1 },
		"log":            func(b *Built) { b.Receipts[5].Logs[0].Data[0]++ },
		"log index":      func(b *Built) { b.Receipts[5].Logs[0].Index++ },
		"tx index":       func(b *Built) { b.Receipts[5].TransactionIndex++ },
		"tx hash of log": func(b *Built) { b.Receipts[5].Logs[0].TxHash[0]++ },
		"bloom":          func(b *Built) { b.Receipts[5].Bloom[0] ^= 1 },
		"order": func(b *Built) {
			txs := b.Block.Transactions()
			txs[3], txs[4] = txs[4], txs[3]
		},
	}
	for name, change := range changes {
		if Diff(s, want, rebuilt(t, n, change)) == nil {
			t.Errorf("%s: no difference seen", name)
		}
	}
}

func TestAsmNamesWhatItDoesNotKnow(t *testing.T) {
	for _, src := range []string{"1 2 addd", "@nowhere jump"} {
		if code, err := Asm(src); err == nil {
			t.Errorf("%q assembles to %x", src, code)
		}
	}
	for _, src := range []string{token, pool, counter, tally, readOne, probe, probeOld, forward, payOut, sweep, relay, destroy, failing,
		invalid, endless, accept, maybe, blockInfo, factory, factory2, transient} {
		if _, err := Asm(src); err != nil {
			t.Errorf("%v: %q", err, src)
		}
	}
}
