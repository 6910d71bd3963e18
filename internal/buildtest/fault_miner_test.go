//go:build patched

package buildtest

import (
	"context"
	"fmt"
	"math/big"
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	geth "github.com/ethereum/go-ethereum/miner"
	"github.com/ethereum/go-ethereum/params"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// failingReader is a parent state in which an account cannot be read, once or always.
type failingReader struct {
	state.Reader
	on   common.Address
	once bool
	met  *atomic.Int32
}

// Account implements state.StateReader.
func (r failingReader) Account(addr common.Address) (*types.StateAccount, error) {
	if addr == r.on && (r.met.Add(1) == 1 || !r.once) {
		return nil, errFault
	}
	return r.Reader.Account(addr)
}

func TestTheMinerGoesOnSequentiallyAfterAReadError(t *testing.T) {
	// The account is one that does not exist: so it is to op-geth's sequential path, which
	// takes an account that it cannot read for one that is not there.
	w := NewWorld("unreadable-account", "Jovian", caseSeed())
	var unreadable common.Address
	for i := range 60 {
		to := w.Fresh()
		if i == 30 {
			unreadable = to
		}
		w.Send(Send{From: w.Rich(), To: &to, Value: big.NewInt(1), Gas: params.TxGas, Tip: gweis(100 - i)})
	}
	s, err := w.Scenario(60, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	want := buildReference(t, n)
	parallelRuns(t) // the metrics have a goroutine
	for name, once := range map[string]bool{"once": true, "always": false} {
		for _, threads := range workerCounts()[1:] {
			var met atomic.Int32
			before := runtime.NumGoroutine()
			b := &tampered{Node: n, times: 1, tamper: func(r state.Reader) state.Reader {
				return failingReader{Reader: r, on: unreadable, once: once, met: &met}
			}}
			_, fallbacks := parallelRuns(t)
			m := b.miner(threads, nil)
			got := b.firstPayload(t, m)
			m.Close()
			if met.Load() == 0 {
				t.Fatalf("%s, %d threads: the account was not read\n%s", name, threads, replay(t, s.Seed))
			}
			if hash := got.ExecutionPayload.BlockHash; hash != want.Block.Hash() {
				t.Errorf("%s, %d threads: block %s with %d transactions, want %s with %d\n%s", name, threads, hash, len(got.ExecutionPayload.Transactions),
					want.Block.Hash(), len(want.Block.Transactions()), replay(t, s.Seed))
			}
			if _, more := parallelRuns(t); more != fallbacks+1 {
				t.Errorf("%s, %d threads: %d fallbacks counted, want 1\n%s", name, threads, more-fallbacks, replay(t, s.Seed))
			}
			if err := settle(before); err != nil {
				t.Errorf("%s, %d threads: %v\n%s", name, threads, err, replay(t, s.Seed))
			}
		}
	}
}

// payloadOf returns what the miner's first build for the arguments makes.
func payloadOf(m *geth.Miner, args *geth.BuildPayloadArgs) (*engine.ExecutionPayloadEnvelope, error) {
	payload, err := m.BuildPayload(context.Background(), args, false)
	if err != nil {
		return nil, err
	}
	payload.WaitFull()
	env := payload.Resolve()
	if env == nil {
		return nil, fmt.Errorf("no payload for the id %v", args.Id())
	}
	return env, nil
}

func TestThreadsSetWhileBuildingLeaveEveryPayloadTheSequentialOne(t *testing.T) {
	s, err := loadCases()[0].Scenario("Jovian", caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	want := buildReference(t, n)
	before := runtime.NumGoroutine()
	m := n.Miner(4)
	fills, fallbacks := parallelRuns(t)

	var (
		wg   sync.WaitGroup
		done = make(chan struct{})
		sets atomic.Int32
	)
	wg.Add(1)
	go func() {
		defer wg.Done()
		for rng := rand.New(rand.NewSource(s.Seed)); ; sets.Add(1) {
			select {
			case <-done:
				return
			case <-time.After(time.Duration(rng.Intn(500)) * time.Microsecond):
			}
			if err := m.SetParallelThreads(pick(rng, []int{0, 1, 2, 4, 8})); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := range 40 {
		got, err := payloadOf(m, n.args())
		if err != nil {
			t.Errorf("build %d: %v\n%s", i, err, replay(t, s.Seed))
			break
		}
		if hash := got.ExecutionPayload.BlockHash; hash != want.Block.Hash() {
			t.Errorf("build %d, after %d changes: block %s, want %s\n%s", i, sets.Load(), hash, want.Block.Hash(), replay(t, s.Seed))
		}
	}
	close(done)
	wg.Wait()
	m.Close()
	if err := settle(before); err != nil {
		t.Errorf("%v\n%s", err, replay(t, s.Seed))
	}
	moreFills, moreFallbacks := parallelRuns(t)
	if moreFills == fills || moreFallbacks != fallbacks {
		t.Errorf("%d fills in parallel and %d fallbacks, want some and none\n%s", moreFills-fills, moreFallbacks-fallbacks, replay(t, s.Seed))
	}
	t.Logf("%d changes while %d blocks were filled in parallel", sets.Load(), moreFills-fills)
}

func TestTwoPayloadsAndThePendingBlockAreBuiltAtOnce(t *testing.T) {
	// Rules in which a pending block needs neither deposits nor a beacon root.
	s, err := Random("Shanghai", caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	argsOf := func(i int) *geth.BuildPayloadArgs {
		args := n.args()
		args.Random = common.Hash{7, byte(i)}
		return args
	}
	var want [2]*engine.ExecutionPayloadEnvelope
	m := n.Miner(1)
	for i := range want {
		if want[i], err = payloadOf(m, argsOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	m.Close()
	if want[0].ExecutionPayload.BlockHash == want[1].ExecutionPayload.BlockHash {
		t.Fatal("the two payloads are the same")
	}
	parent, err := n.chain.StateAt(n.parent.Root)
	if err != nil {
		t.Fatal(err)
	}
	_, fallbacks := parallelRuns(t)
	before := runtime.NumGoroutine()
	for round := range 6 {
		threads := workerCounts()[1+round%3]
		m := n.Miner(threads)
		var (
			wg      sync.WaitGroup
			got     [2]*engine.ExecutionPayloadEnvelope
			errs    [2]error
			pending *types.Block
		)
		wg.Add(3)
		for i := range got {
			go func() {
				defer wg.Done()
				got[i], errs[i] = payloadOf(m, argsOf(i))
			}()
		}
		go func() {
			defer wg.Done()
			pending, _, _ = m.Pending()
		}()
		wg.Wait()
		m.Close()
		for i := range got {
			if errs[i] != nil {
				t.Errorf("round %d, %d threads, payload %d: %v\n%s", round, threads, i, errs[i], replay(t, s.Seed))
			} else if err := diffPayloads(want[i], got[i]); err != nil {
				t.Errorf("round %d, %d threads, payload %d: %v\n%s", round, threads, i, err, replay(t, s.Seed))
			}
		}
		if pending == nil {
			t.Fatalf("round %d, %d threads: no pending block\n%s", round, threads, replay(t, s.Seed))
		}
		if len(pending.Transactions()) == 0 {
			t.Errorf("round %d, %d threads: the pending block is empty\n%s", round, threads, replay(t, s.Seed))
		}
		if err := miner.Verify(context.Background(), n.chain, &miner.Sealed{Block: pending, Parent: parent.Database()}, ""); err != nil {
			t.Errorf("round %d, %d threads: the pending block is not valid: %v\n%s", round, threads, err, replay(t, s.Seed))
		}
		if err := settle(before); err != nil {
			t.Errorf("round %d, %d threads: %v\n%s", round, threads, err, replay(t, s.Seed))
		}
	}
	if _, more := parallelRuns(t); more != fallbacks {
		t.Errorf("%d fallbacks, want none\n%s", more-fallbacks, replay(t, s.Seed))
	}
}

func TestClosingTheMinerInTheMiddleOfABuildLeavesAPrefixAndNothingRunning(t *testing.T) {
	s, err := longRunning(caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	first := openNode(t, s, "")
	full := buildReference(t, first).Block
	if _, err := first.chain.InsertBlockWithoutSetHead(context.Background(), full, false); err != nil { // starts goroutines that stay
		t.Fatal(err)
	}
	all := full.Transactions()
	rng, cut := rand.New(rand.NewSource(s.Seed)), 0
	for round := range 8 {
		threads, delay := workerCounts()[1+round%3], time.Duration(rng.Int63n(int64(60*time.Millisecond)))
		before := runtime.NumGoroutine()
		n, err := NewNode(s, "")
		if err != nil {
			t.Fatal(err)
		}
		m := n.Miner(threads)
		payload, err := m.BuildPayload(context.Background(), n.args(), false)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay)
		m.Close()
		got := payload.Resolve() // must come before the chain's end: op-geth waits forever for a build that fails
		if got == nil {
			t.Fatalf("round %d, %d threads, closed after %v: no payload\n%s", round, threads, delay, replay(t, s.Seed))
		}
		txs := got.ExecutionPayload.Transactions
		if len(txs) < len(all) {
			cut++
		}
		for i, raw := range txs {
			if w, err := all[i].MarshalBinary(); err != nil || string(w) != string(raw) {
				t.Fatalf("round %d, %d threads, closed after %v: transaction %d is not that of the full block (%v)\n%s", round, threads, delay, i, err, replay(t, s.Seed))
			}
		}
		if err := n.insert(got); err != nil {
			t.Errorf("round %d, %d threads, closed after %v: not a valid block: %v\n%s", round, threads, delay, err, replay(t, s.Seed))
		}
		if err := n.Close(); err != nil {
			t.Errorf("round %d: closing the node: %v\n%s", round, err, replay(t, s.Seed))
		}
		if err := settle(before); err != nil {
			t.Errorf("round %d, %d threads, closed after %v: %v\n%s", round, threads, delay, err, replay(t, s.Seed))
		}
	}
	if cut == 0 {
		t.Errorf("no build was under way\n%s", replay(t, s.Seed))
	}
}
