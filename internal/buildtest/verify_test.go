//go:build patched

package buildtest

import (
	"context"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/metrics"
	geth "github.com/ethereum/go-ethereum/miner"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
	settings "github.com/op-geth-parallel/op-geth-parallel/params"
)

// lie is how a parent state is wrong that a miner is made to build on in parallel.
type lie struct {
	name    string
	account func(addr common.Address, a *types.StateAccount)
	storage func(addr common.Address, value common.Hash) common.Hash
}

// richerBy is a lie that only the state root shows.
func richerBy(who common.Address, wei uint64) lie {
	return lie{name: "a balance that only the state root shows", account: func(addr common.Address, a *types.StateAccount) {
		if addr == who {
			a.Balance = new(uint256.Int).AddUint64(a.Balance, wei)
		}
	}}
}

// lyingReader reads what the lie makes of the state.
type lyingReader struct {
	state.Reader
	lie lie
}

// Account implements state.StateReader.
func (r lyingReader) Account(addr common.Address) (*types.StateAccount, error) {
	a, err := r.Reader.Account(addr)
	if a != nil && r.lie.account != nil {
		a = a.Copy()
		r.lie.account(addr, a)
	}
	return a, err
}

// Storage implements state.StateReader.
func (r lyingReader) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	value, err := r.Reader.Storage(addr, key)
	if r.lie.storage != nil {
		value = r.lie.storage(addr, value)
	}
	return value, err
}

// verifyScenario counts a slot up, pays, and has a sender who can't.
func verifyScenario(t *testing.T) (s *Scenario, counts, payee, poor common.Address) {
	t.Helper()
	w := NewWorld("planted-writes", "Jovian", caseSeed())
	counts = w.Contract(addr("counter", 0), counter)
	w.Slot(counts, common.Hash{}, big.NewInt(5))
	payee, poor = w.Rich(), w.Account(big.NewInt(1))
	w.Send(Send{From: poor, To: &payee, Value: ether(1), Gas: params.TxGas})
	for range 20 {
		w.Send(Send{From: w.Rich(), To: &payee, Value: ether(1), Gas: params.TxGas})
		w.Send(Send{From: w.Rich(), To: &counts})
	}
	s, err := w.Scenario(40, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s, counts, payee, poor
}

func refutations(t *testing.T) int64 {
	t.Helper()
	metrics.Enable()
	counter, ok := metrics.DefaultRegistry.Get("miner/parallel/verify/failures").(*metrics.Counter)
	if !ok {
		t.Fatal("the patched miner registers no counter miner/parallel/verify/failures")
	}
	return counter.Snapshot().Count()
}

func TestAWrongParallelBlockIsReplacedByTheSequentialOneAndWrittenDown(t *testing.T) {
	s, counts, payee, poor := verifyScenario(t)
	n := openNode(t, s, "")
	want := buildReference(t, n)
	const threads = 4
	for _, l := range []lie{
		richerBy(payee, 1),
		{name: "a slot", storage: func(addr common.Address, value common.Hash) common.Hash {
			if addr == counts {
				return common.Hash{}
			}
			return value
		}},
		{name: "means for a transaction that there are none for", account: func(addr common.Address, a *types.StateAccount) {
			if addr == poor {
				a.Balance = uint256.MustFromBig(ether(1000))
			}
		}},
	} {
		t.Run(l.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dumps")
			b := &tampered{Node: n, times: 1, tamper: func(r state.Reader) state.Reader { return lyingReader{Reader: r, lie: l} }}
			refuted := refutations(t)
			m := b.miner(threads, func(cfg *geth.Config) { cfg.ParallelVerify, cfg.ParallelDumpDir = true, dir })
			defer m.Close()

			got := b.firstPayload(t, m)
			if hash := got.ExecutionPayload.BlockHash; hash != want.Block.Hash() {
				t.Errorf("delivered block %s with %d transactions, want the sequential one, %s with %d\n%s", hash,
					len(got.ExecutionPayload.Transactions), want.Block.Hash(), len(want.Block.Transactions()), replay(t, s.Seed))
			}
			if more := refutations(t); more != refuted+1 {
				t.Errorf("%d failures counted, want 1\n%s", more-refuted, replay(t, s.Seed))
			}
			checkDump(t, n, dir, want)

			off, _ := parallelRuns(t)
			b.firstPayload(t, m)
			if runs, _ := parallelRuns(t); runs != off {
				t.Errorf("parallel building is not off: %d more blocks filled in parallel\n%s", runs-off, replay(t, s.Seed))
			}
			if err := m.SetParallelThreads(threads); err != nil {
				t.Fatal(err)
			}
			got = b.firstPayload(t, m)
			if runs, _ := parallelRuns(t); runs == off {
				t.Errorf("SetParallelThreads did not switch parallel building on again\n%s", replay(t, s.Seed))
			}
			if hash := got.ExecutionPayload.BlockHash; hash != want.Block.Hash() || refutations(t) != refuted+1 {
				t.Errorf("on the true state: block %s, want %s, and %d failures, want none\n%s", hash, want.Block.Hash(),
					refutations(t)-refuted-1, replay(t, s.Seed))
			}
		})
	}
}

// checkDump checks that there is one dump in the directory, that it can be read, that it
// holds another block than want, on the same parent, and that executing that again refutes
// it again.
func checkDump(t *testing.T, n *Node, dir string, want *Built) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files in the directory of dumps (%v), want 1\n%s", len(files), err, replay(t, n.Scenario.Seed))
	}
	dump, err := miner.ReadDump(filepath.Join(dir, files[0].Name()))
	if err != nil {
		t.Fatalf("%v\n%s", err, replay(t, n.Scenario.Seed))
	}
	sealed, err := dump.Sealed()
	if err != nil {
		t.Fatalf("%s: %v\n%s", files[0].Name(), err, replay(t, n.Scenario.Seed))
	}
	if sealed.Block.Hash() == want.Block.Hash() || sealed.Block.ParentHash() != n.parent.Hash() {
		t.Errorf("the dumped block is %s on %s: not the wrong one\n%s", sealed.Block.Hash(), sealed.Block.ParentHash(), replay(t, n.Scenario.Seed))
	}
	if seq := dump.Sequential; seq != nil && seq.StateRoot == dump.Parallel.StateRoot {
		t.Errorf("the dump has state root %s both ways\n%s", seq.StateRoot, replay(t, n.Scenario.Seed))
	}
	db, err := n.chain.StateAt(n.parent.Root)
	if err != nil {
		t.Fatal(err)
	}
	sealed.Parent = db.Database()
	if err := miner.Verify(context.Background(), n.chain, sealed, ""); !errors.Is(err, miner.ErrUnverified) {
		t.Errorf("executing the dumped block again: %v, want %v\n%s", err, miner.ErrUnverified, replay(t, n.Scenario.Seed))
	}
}

func TestVerificationConfirmsEveryCase(t *testing.T) {
	forEachCase(t, func(t *testing.T, n *Node) {
		refuted := refutations(t)
		want := buildReference(t, n)
		b := &tampered{Node: n, tamper: func(r state.Reader) state.Reader { return r }}
		m := b.miner(4, func(cfg *geth.Config) {
			cfg.ParallelVerify, cfg.ParallelDumpDir = true, t.TempDir()
			cfg.MaxDATxSize, cfg.MaxDABlockSize = n.Scenario.MaxDATxSize, n.Scenario.MaxDABlockSize
		})
		m.SetPrioAddresses(n.Scenario.Prio)
		defer m.Close()
		got := b.firstPayload(t, m)
		if hash := got.ExecutionPayload.BlockHash; hash != want.Block.Hash() || refutations(t) != refuted {
			t.Errorf("block %s, want %s; %d failures, want none\n%s", hash, want.Block.Hash(), refutations(t)-refuted, replay(t, n.Scenario.Seed))
		}
	})
}

func TestDumpsGoToTheDataDirectory(t *testing.T) {
	dir := t.TempDir()
	for datadir, want := range map[string]string{dir: filepath.Join(dir, "geth", settings.DumpDir), "": ""} {
		stack, err := node.New(&node.Config{DataDir: datadir, Name: "geth"})
		if err != nil {
			t.Fatal(err)
		}
		cfg := ethconfig.Defaults
		cfg.Genesis, cfg.SyncMode = core.DeveloperGenesisBlock(30_000_000, nil), ethconfig.FullSync
		if _, err := eth.New(stack, &cfg); err != nil {
			t.Fatal(err)
		}
		if got := cfg.Miner.ParallelDumpDir; got != want {
			t.Errorf("with the data directory %q dumps go to %q, want %q", datadir, got, want)
		}
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAPanicWhileVerifyingIsAFailure(t *testing.T) {
	s, _, payee, _ := verifyScenario(t)
	n := openNode(t, s, "")
	want := buildReference(t, n)
	var panics atomic.Int32
	sealed := &miner.Sealed{Block: want.Block, Receipts: want.Receipts, Parent: panickyDatabase{Database: want.State.Database(), on: payee, met: &panics}}
	err := miner.Verify(context.Background(), n.chain, sealed, t.TempDir())
	if !errors.Is(err, miner.ErrUnverified) || panics.Load() == 0 {
		t.Errorf("%d panics, error %v, want %v\n%s", panics.Load(), err, miner.ErrUnverified, replay(t, s.Seed))
	}
}

// panickyDatabase panics when an account is read.
type panickyDatabase struct {
	state.Database
	on  common.Address
	met *atomic.Int32
}

// Reader implements state.Database.
func (d panickyDatabase) Reader(root common.Hash) (state.Reader, error) {
	r, err := d.Database.Reader(root)
	return watchedReader{Reader: r, account: func(addr common.Address) {
		if addr == d.on {
			d.met.Add(1)
			panic("the database is gone")
		}
	}}, err
}
