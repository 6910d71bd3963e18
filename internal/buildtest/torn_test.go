//go:build patched

package buildtest

import (
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

func TestABlockTornInTheMiddleOfACommitIsBuiltAgainSequentially(t *testing.T) {
	s, about := conditionalScenario(t)
	builtAgain(t, s, func(panics *atomic.Int32) func(state.Reader) state.Reader {
		return func(r state.Reader) state.Reader {
			// Only the ordered commit asks for this account, when it checks the precondition.
			return watchedReader{Reader: r, account: func(addr common.Address) {
				if addr == about {
					panics.Add(1)
					panic("the database is gone")
				}
			}}
		}
	})
}

func TestABlockWhoseParallelPartPanicsAtItsBeginningIsBuiltSequentially(t *testing.T) {
	w := NewWorld("deposit-from-a-contract", "Jovian", caseSeed())
	from := w.Contract(addr("depositor", 0), counter)
	to := w.Fresh()
	w.Deposit(types.DepositTx{From: from, To: &to, Mint: ether(1), Value: ether(1), Gas: 100_000})
	for range 20 {
		to := w.Fresh()
		w.Send(Send{From: w.Rich(), To: &to, Value: ether(1), Gas: params.TxGas})
	}
	s, err := w.Scenario(20, 0)
	if err != nil {
		t.Fatal(err)
	}
	builtAgain(t, s, func(panics *atomic.Int32) func(state.Reader) state.Reader {
		return func(r state.Reader) state.Reader {
			// The deposit touches its sender, but only the parallel part looks at the code.
			return watchedReader{Reader: r, code: func(addr common.Address) {
				if addr == from {
					panics.Add(1)
					panic("the database is gone")
				}
			}}
		}
	})
}

// builtAgain checks that the payload is the sequential one, though the state panics once
// while the miner builds in parallel.
func builtAgain(t *testing.T, s *Scenario, tamper func(panics *atomic.Int32) func(state.Reader) state.Reader) {
	n := openNode(t, s, "")
	want := buildReference(t, n)
	for _, threads := range workerCounts()[1:] {
		var panics atomic.Int32
		b := &tampered{Node: n, times: 1, tamper: tamper(&panics)}
		_, fallbacks := parallelRuns(t)
		m := b.miner(threads, nil)
		got := b.firstPayload(t, m)
		m.Close()

		if panics.Load() != 1 || b.asked.Load() < 2 {
			t.Fatalf("%d threads: the parallel run met %d panics, want 1; the miner began %d times, want 2 or more\n%s",
				threads, panics.Load(), b.asked.Load(), replay(t, s.Seed))
		}
		if hash := got.ExecutionPayload.BlockHash; hash != want.Block.Hash() {
			t.Errorf("%d threads: block %s with %d transactions, want %s with %d\n%s", threads, hash, len(got.ExecutionPayload.Transactions),
				want.Block.Hash(), len(want.Block.Transactions()), replay(t, s.Seed))
		}
		if _, more := parallelRuns(t); more != fallbacks+1 {
			t.Errorf("%d threads: %d fallbacks counted, want 1\n%s", threads, more-fallbacks, replay(t, s.Seed))
		}
	}
}
