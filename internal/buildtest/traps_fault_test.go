package buildtest

import (
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

var errFault = errors.New("the disk is on fire")

// fault is a way in which reading the parent state goes wrong.
type fault int

const (
	failsOnce fault = iota
	failsFromThenOn
	panicsOnce
	faultKinds
)

func (f fault) String() string {
	return [...]string{"fails once", "fails from then on", "panics once"}[f]
}

// faultyReader is a parent state that goes wrong at one of its reads.
type faultyReader struct {
	state.Reader
	kind  fault
	at    int64 // read, from 0, that goes wrong
	armed atomic.Bool
	reads atomic.Int64
	fired atomic.Int64
}

func (r *faultyReader) read() error {
	if !r.armed.Load() {
		return nil
	}
	n := r.reads.Add(1) - 1
	if n == r.at || n > r.at && r.kind == failsFromThenOn {
		r.fired.Add(1)
		if r.kind == panicsOnce {
			panic(errFault)
		}
		return errFault
	}
	return nil
}

// Account implements state.StateReader.
func (r *faultyReader) Account(addr common.Address) (*types.StateAccount, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	return r.Reader.Account(addr)
}

// Storage implements state.StateReader.
func (r *faultyReader) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	if err := r.read(); err != nil {
		return common.Hash{}, err
	}
	return r.Reader.Storage(addr, key)
}

// Code implements state.ContractCodeReader: nothing is how it says that it failed.
func (r *faultyReader) Code(addr common.Address, hash common.Hash) []byte {
	if r.read() != nil {
		return nil
	}
	return r.Reader.Code(addr, hash)
}

// faultScenario reads accounts, slots and codes all along, some of which the deposits
// have touched before.
func faultScenario(rules string, seed int64) (*Scenario, error) {
	w := newTrapWorld("trap/fault/"+rules, rules, seed)
	c, look := w.Contract(addr("counter", 0), counter), w.Contract(addr("copy", 0), copyCode)
	if w.Optimism() {
		w.Deposit(types.DepositTx{From: w.Fresh(), To: &c, Mint: ether(1), Value: big.NewInt(5), Gas: 200_000})
	}
	for i := range 6 {
		t := w.Contract(addr("token", i), token)
		from := w.Rich()
		w.Slot(t, common.BytesToHash(from[:]), big.NewInt(1000))
		w.ok(Send{From: from, To: &t, Data: words(w.Fresh(), 7)})
		w.ok(w.call(c))
		w.ok(w.call(look, t))
		w.Contract(addr("end", i), destroyOnWord)
		w.ok(w.call(addr("end", i), w.Fresh()))
		w.bystander()
	}
	return w.Scenario(30, 0)
}

func TestAFaultOfTheDatabaseEndsInTheSequentialBlock(t *testing.T) {
	for _, rules := range []string{"Jovian", "Shanghai"} {
		s, err := faultScenario(rules, caseSeed())
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		want := buildReference(t, n)
		for kind := range faultKinds {
			t.Run(fmt.Sprintf("%s/%v", rules, kind), func(t *testing.T) { failEverywhere(t, n, want, kind) })
		}
	}
}

// failEverywhere has one read after the other go wrong, until there are no more.
func failEverywhere(t *testing.T, n *Node, want *Built, kind fault) {
	step := int64(1)
	if testing.Short() {
		step = 9
	}
	var (
		before           = runtime.NumGoroutine()
		faults, fallback int
		inMiddle         bool // some prefix was neither nothing nor all
	)
	for at := int64(0); ; at += step {
		workers := workerCounts()[at/step%4]
		var reader *faultyReader
		a := attempt{
			workers: workers,
			chaos:   NewSchedule(n.Scenario.Seed+at, workers, 10),
			wrap: func(r state.Reader) state.Reader {
				reader = &faultyReader{Reader: r, kind: kind, at: at}
				return reader
			},
			change: func(*miner.Block) { reader.armed.Store(true) },
			repair: func() { reader.armed.Store(false) },
		}
		got, err := n.fill(a)
		if err == nil {
			err = Diff(n.Scenario, want, got)
		}
		if err == nil {
			err = settle(before)
		}
		if err != nil {
			t.Fatalf("read %d %v, %d workers: %v\n%s", at, kind, workers, err, replay(t, n.Scenario.Seed))
		}
		if reader.fired.Load() == 0 {
			t.Logf("%d faults, %d fallbacks", faults, fallback)
			if faults < 10/int(step) || fallback == 0 || !inMiddle {
				t.Errorf("%d faults led to %d fallbacks, in the middle of a block: %t", faults, fallback, inMiddle)
			}
			if kind == panicsOnce && fallback == faults {
				t.Errorf("of %d panics none was contained", faults)
			}
			return
		}
		faults++
		switch run := got.Runs[0]; {
		case run.Fallback == nil && kind != panicsOnce:
			t.Errorf("read %d %v, %d workers: no fallback\n%s", at, kind, workers, replay(t, n.Scenario.Seed))
		case run.Fallback == nil:
		case kind == panicsOnce && !errors.Is(run.Fallback, blockstm.ErrPanic):
			t.Errorf("read %d %v, %d workers: fallback says %v\n%s", at, kind, workers, run.Fallback, replay(t, n.Scenario.Seed))
		default:
			fallback++
			inMiddle = inMiddle || run.Stats.Committed > 0 && run.Stats.Committed < len(n.Scenario.Candidates)
		}
	}
}

// interrupter sets an interrupt at one of the engine's decision points.
type interrupter struct {
	*Schedule
	at     int64
	points atomic.Int64
	signal atomic.Int32
}

// Pause implements blockstm.Chaos.
func (i *interrupter) Pause(worker int) {
	if i.points.Add(1)-1 == i.at {
		i.signal.Store(2)
	}
	i.Schedule.Pause(worker)
}

func TestAnInterruptAtEveryDecisionPointLeavesAPrefix(t *testing.T) {
	for _, rules := range []string{"Jovian", "London"} {
		s, err := faultScenario(rules, caseSeed())
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		want := buildReference(t, n)
		before, replays, lengths := runtime.NumGoroutine(), make(map[int]*Built), make(map[int]bool)
		step := int64(2)
		if testing.Short() {
			step = 20
		}
		points := 0
		for at, beyond := int64(0), 0; beyond < len(workerCounts()); at += step { // more workers pass more points
			workers := workerCounts()[at/step%4]
			i := &interrupter{Schedule: NewSchedule(s.Seed+at, workers, 10), at: at}
			got, err := n.fill(attempt{workers: workers, chaos: i, interrupt: &i.signal})
			if err == nil {
				err = checkPrefix(n, want, got, replays)
			}
			if err == nil {
				err = settle(before)
			}
			if err == nil && got.Signal == 0 && len(got.Block.Transactions()) != len(want.Block.Transactions()) {
				err = errors.New("cut short with no signal")
			}
			if err != nil {
				t.Fatalf("%s, %d workers, interrupt at point %d: %v\n%s", rules, workers, at, err, replay(t, s.Seed))
			}
			lengths[len(got.Block.Transactions())] = true
			if beyond++; i.signal.Load() != 0 {
				beyond = 0
				points++
			}
		}
		t.Logf("%s: %d points, prefixes of %d lengths", rules, points, len(lengths))
		if len(lengths) < 4 {
			t.Errorf("%s: interrupts left prefixes of %d lengths only", rules, len(lengths))
		}
	}
}

// longChain is a chain with many headers behind the block.
type longChain struct {
	*core.BlockChain
	headers []*types.Header

	mu    sync.Mutex // guards asked
	asked int
}

// GetHeader implements consensus.ChainHeaderReader.
func (c *longChain) GetHeader(hash common.Hash, number uint64) *types.Header {
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	if h := c.headers[number]; h.Hash() == hash {
		return h
	}
	return nil
}

func TestBlockHashesAreTheSameFromEveryWorker(t *testing.T) {
	w := newTrapWorld("trap/blockhash", "Jovian", caseSeed())
	c := w.Contract(addr("hash", 0), `0 sload pop 0 calldataload number sub blockhash 0 mstore 1 number sub blockhash 32 mstore 64 0 log0 caller sload 1 add caller sstore stop`)
	depths := []int{1, 2, 100, 255, 256, 257, 299, 0, 7, 256, 3, 200}
	var calls []sent
	for _, depth := range depths {
		calls = append(calls, w.ok(w.call(c, depth)))
	}
	s, err := w.Scenario(len(depths), 0)
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	chain := &longChain{BlockChain: n.chain}
	for i := range 300 {
		h := &types.Header{Number: big.NewInt(int64(i)), Difficulty: new(big.Int), Extra: []byte("longer")}
		if i > 0 {
			h.ParentHash = chain.headers[i-1].Hash()
		}
		chain.headers = append(chain.headers, h)
	}
	change := func(b *miner.Block) {
		b.Chain = chain
		b.Header.Number = big.NewInt(300)
		b.Header.ParentHash = chain.headers[299].Hash()
	}
	build := func(workers int, chaos blockstm.Chaos) (*Built, common.Hash) {
		a := attempt{workers: workers, chaos: chaos, change: change}
		b, err := n.begin(a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := n.fillBlock(b, a)
		if err != nil {
			t.Fatal(err)
		}
		return got, got.State.IntermediateRoot(true)
	}
	want, wantRoot := build(Sequential, nil)
	for i, depth := range depths {
		hash := common.Hash{}
		if depth > 0 && depth <= 256 {
			hash = chain.headers[300-depth].Hash()
		}
		data, err := calls[i].logged(want)
		if err != nil || string(data) != string(words(hash, chain.headers[299].Hash())) {
			t.Fatalf("depth %d: %x, want %s: %v", depth, data, hash, err)
		}
	}
	for _, workers := range workerCounts() {
		for seed := range int64(4) {
			got, root := build(workers, NewSchedule(seed, workers, 20))
			if err := diffReceipts(want, got, true); err != nil || root != wantRoot {
				t.Errorf("%d workers: state root %s, want %s; %v\n%s", workers, root, wantRoot, err, replay(t, s.Seed))
			}
		}
	}
	if chain.asked == 0 {
		t.Error("nobody asked the chain")
	}
}

func TestABuildDoesNotChangeWhatAnEarlierOneReturned(t *testing.T) {
	// Workers and views serve one transaction after the other: what they hand out must be
	// the receiver's own.
	for _, rules := range []string{"Jovian", "Shanghai"} {
		s, err := faultScenario(rules, caseSeed())
		if err != nil {
			t.Fatal(err)
		}
		n := openNode(t, s, "")
		want := buildReference(t, n)
		var builds []*Built
		for _, workers := range workerCounts() {
			got, err := n.fill(attempt{workers: workers, chaos: NewSchedule(s.Seed, workers, 30)})
			if err != nil {
				t.Fatal(err)
			}
			builds = append(builds, got)
			for i, b := range builds {
				if err := diffReceipts(want, b, true); err != nil {
					t.Errorf("%s: build %d, after build %d: %v\n%s", rules, i, len(builds), err, replay(t, s.Seed))
				}
				if root := b.State.IntermediateRoot(true); root != want.Block.Root() {
					t.Errorf("%s: build %d, after build %d: state root %s, want %s\n%s", rules, i, len(builds), root, want.Block.Root(), replay(t, s.Seed))
				}
			}
		}
	}
}
