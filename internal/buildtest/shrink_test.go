package buildtest

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
)

// confusedReader is a planted bug: once a slot of one contract and one of another have
// been read, the parent state lies about the second.
type confusedReader struct {
	state.Reader
	pair [2]common.Address
	key  common.Hash

	mu   sync.Mutex // guards seen
	seen [2]bool
}

// Storage implements state.StateReader.
func (r *confusedReader) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	value, err := r.Reader.Storage(addr, key)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, a := range r.pair {
		if addr == a && key == r.key {
			r.seen[i] = true
			if r.seen[1-i] {
				value[31] ^= 1
			}
		}
	}
	return value, err
}

// plantedBug returns a trial in which two counters are confused, and a random block that
// uses both.
func plantedBug(t *testing.T, seed int64) (Trial, *Plan) {
	t.Helper()
	p, err := RandomPlan("Jovian", seed)
	if err != nil {
		t.Fatal(err)
	}
	p.GasLimit, p.Deposits = roomyGasLimit, nil
	var pair [2]common.Address
	for i, name := range []Ref{"c2", "c11"} { // counter and maybe: both read slot 0
		if pair[i], err = name.Address(); err != nil {
			t.Fatal(err)
		}
	}
	trial := Trial{Workers: []int{2}, Disturbed: 1, Wrap: func(r state.Reader) state.Reader {
		return &confusedReader{Reader: r, pair: pair}
	}}
	return trial, p
}

func TestAPlantedBugIsFoundAndTheBlockShrinksToAFewTransactions(t *testing.T) {
	seed := int64(3)
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	trial, p := plantedBug(t, seed)
	_, err := trial.Try(p)
	if err == nil {
		t.Fatalf("the bug does not show\n%s", replay(t, seed))
	}
	dir := t.TempDir()
	text := trial.report(t, p, err, dir)
	small, err := ReadPlan(filepath.Join(dir, "block-3.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trial.Try(small); err == nil {
		t.Errorf("what was written down does not fail:\n%s", small)
	}
	statements, slots := 0, 0
	for _, a := range small.Accounts {
		statements += len(a.Program)
		slots += len(a.Slots)
	}
	t.Logf("from %d transactions and %d accounts to\n%s", len(p.Txs), len(p.Accounts), text)
	if len(small.Txs) == 0 || len(small.Txs) > 3 || len(small.Accounts) > 6 || statements > 4 || slots > 2 || len(small.Deposits)+len(small.Prio) > 0 {
		t.Errorf("%d transactions, %d accounts, %d statements and %d slots are left:\n%s", len(small.Txs), len(small.Accounts), statements, slots, small)
	}
	for _, want := range []string{"seed 3", "-seed=3", "-plan=" + filepath.Join(dir, "block-3.json"), "Jovian", "pool, in order of arrival", "sload"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
}

func TestShrinkingEndsWithItsTime(t *testing.T) {
	trial, p := plantedBug(t, 3)
	tries := 0
	limited, stop := context.WithCancel(context.Background())
	defer stop()
	small := Shrink(limited, p, func(p *Plan) bool {
		if tries++; tries == 5 {
			stop()
		}
		_, err := trial.Try(p)
		return err != nil
	})
	if tries != 5 {
		t.Errorf("%d tries, want 5", tries)
	}
	if _, err := trial.Try(small); err == nil {
		t.Errorf("what is left does not fail:\n%s", small)
	}
}

func TestAPlanNamesWhatItDoesNotKnow(t *testing.T) {
	for _, p := range []Plan{
		{Rules: "Tomorrow"},
		{Rules: "Jovian", Coinbase: "q7"},
		{Rules: "Jovian", Accounts: []PlanAccount{{Who: "c1", Program: []string{"$q7 balance"}}}},
		{Rules: "Jovian", Accounts: []PlanAccount{{Who: "c1", Program: []string{"1 2 addd"}}}},
		{Rules: "Jovian", Txs: []PlanTx{{From: "s0", Gas: 21000, Tip: gwei, Auths: new([]PlanAuth)}}},
		{Rules: "Jovian", Txs: []PlanTx{{From: "s0", To: "s1", Gas: 21000, Tip: gwei, Data: []string{"seven"}}}},
	} {
		if _, err := p.Scenario(); err == nil {
			t.Errorf("no error:\n%s", &p)
		}
	}
}

func TestAPlanThatIsReadBackMakesTheSameBlock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.json")
	for seed := int64(1); seed <= 12; seed++ {
		p, err := RandomPlan(RandomRules(seed), seed)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Write(file); err != nil {
			t.Fatal(err)
		}
		back, err := ReadPlan(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := p.Scenario()
		if err != nil {
			t.Fatal(err)
		}
		got, err := back.Scenario()
		if err != nil {
			t.Fatal(err)
		}
		if p.String() != back.String() || len(want.Candidates) != len(got.Candidates) || want.genesis().ToBlock().Hash() != got.genesis().ToBlock().Hash() {
			t.Errorf("seed %d: the plan read back is another:\n%s\n%s", seed, p, back)
			continue
		}
		for i, c := range want.Candidates {
			if g := got.Candidates[i]; c.Tx.Hash() != g.Tx.Hash() || c.Evicted != g.Evicted || c.UnknownDA != g.UnknownDA || (c.Conditional == nil) != (g.Conditional == nil) {
				t.Errorf("seed %d: transaction %d is another: %s", seed, i, &p.Txs[i])
			}
		}
	}
}
