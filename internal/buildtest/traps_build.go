package buildtest

import (
	"context"
	"fmt"
	"math/big"
	"math/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Schedule is a blockstm.Chaos that forces bad schedules: it holds workers back, often
// with the lowest transactions in hand, while one runs ahead on what is not there yet,
// and throws away executions that are valid. What it does follows from the seed as far
// as the operating system lets it.
type Schedule struct {
	rngs     []lockedRand // by worker
	calls    atomic.Int64
	holding  atomic.Int32 // workers held at the moment
	holds    atomic.Int32 // left
	patience time.Duration
	spurious uint64 // of 100 valid executions, how many are thrown away
	seed     int64
}

type lockedRand struct {
	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

const (
	maxHolds = 20
	holdTime = 500 * time.Microsecond // with nobody else at work, unless told otherwise
)

// NewSchedule returns the schedule of a seed.
func NewSchedule(seed int64, workers, spurious int) *Schedule {
	s := &Schedule{rngs: make([]lockedRand, workers), spurious: uint64(spurious), patience: holdTime, seed: seed}
	for i := range s.rngs {
		s.rngs[i].rng = rand.New(rand.NewSource(seed*1000 + int64(i)))
	}
	s.holds.Store(maxHolds)
	return s
}

// Seed returns the schedule's seed.
func (s *Schedule) Seed() int64 { return s.seed }

// patient has the schedule hold workers longer, for machines that are busy otherwise.
func (s *Schedule) patient(times int64) *Schedule {
	s.patience *= time.Duration(times)
	return s
}

// Pause implements blockstm.Chaos.
func (s *Schedule) Pause(worker int) {
	now := s.calls.Add(1)
	r := &s.rngs[worker]
	r.mu.Lock()
	hold, length := r.rng.Intn(2) == 0, int64(1+r.rng.Intn(30))
	r.mu.Unlock()
	if !hold || s.holds.Load() <= 0 {
		return
	}
	defer s.holding.Add(-1)
	if int(s.holding.Add(1)) >= len(s.rngs) {
		return // somebody has to go on
	}
	s.holds.Add(-1)
	for deadline := time.Now().Add(s.patience); s.calls.Load() < now+length && time.Now().Before(deadline); {
		time.Sleep(20 * time.Microsecond)
	}
}

// Spurious implements blockstm.Chaos.
func (s *Schedule) Spurious(tx blockstm.TxIndex) bool {
	h := uint64(s.seed)*0x9e3779b97f4a7c15 ^ uint64(tx)<<32 ^ uint64(s.calls.Load())
	h = (h ^ h>>31) * 0xbf58476d1ce4e5b9
	return (h>>32)%100 < s.spurious
}

// attempt is one build of a scenario by Fill.
type attempt struct {
	workers   int
	chaos     blockstm.Chaos
	interrupt *atomic.Int32
	wrap      func(state.Reader) state.Reader // puts something before the parent state; may be nil
	change    func(b *miner.Block)            // changes the block before it is filled; may be nil
	lesson    *miner.Lesson                   // of another build of the block; may be nil
	repair    func()                          // called before a fallback goes on, and before the sealing; may be nil
}

// fill builds as Node.Build does, but admits transactions with no tip too and goes on
// sequentially after a fallback, as op-geth does.
func (n *Node) fill(a attempt) (*Built, error) {
	b, err := n.begin(a)
	if err != nil {
		return nil, err
	}
	out, err := n.fillBlock(b, a)
	if err != nil {
		return nil, err
	}
	if a.repair != nil {
		a.repair()
	}
	return out, n.seal(b, out)
}

// fillBlock fills a block that is begun.
func (n *Node) fillBlock(b *miner.Block, a attempt) (*Built, error) {
	out := &Built{Forced: len(b.Txs), State: b.State, Dropped: make(map[string]int)}
	lists, err := n.untipped(b)
	if err != nil {
		return nil, err
	}
	for _, pair := range lists {
		req := n.request(b, pair, a)
		if a.workers == Sequential {
			out.Signal = reference(b, req, out.Dropped)
		} else {
			res := miner.Fill(context.Background(), b, req)
			out.Runs = append(out.Runs, res)
			if res.Torn {
				return out, fmt.Errorf("torn: %w", res.Fallback)
			}
			out.Signal = res.Interrupt
			if res.Fallback != nil {
				if a.repair != nil {
					a.repair()
				}
				out.Signal = Reference(b, n.request(b, [2]map[common.Address][]*txpool.LazyTransaction{res.RestPlain, res.RestBlob}, a))
			}
		}
		if out.Signal != 0 {
			break
		}
	}
	out.Receipts = b.Receipts
	return out, nil
}

func (n *Node) request(b *miner.Block, pair [2]map[common.Address][]*txpool.LazyTransaction, a attempt) *miner.Request {
	req := &miner.Request{
		Threads: a.workers,
		Plain:   NewPriority(pair[0], b.Header.BaseFee),
		Blob:    NewPriority(pair[1], b.Header.BaseFee),
		Limits: miner.Limits{
			MaxBlobs:       func() int { return eip4844.MaxBlobsPerBlock(b.Config, b.Header.Time) },
			MaxDABlockSize: n.Scenario.MaxDABlockSize,
			MaxSize:        n.Scenario.maxSize(),
		},
		Interrupt: a.interrupt,
		Chaos:     a.chaos,
	}
	if storm, ok := a.chaos.(*Storm); ok {
		req.Watch = storm.Watch
	}
	return req
}

// untipped returns the pool's content as Node.lists does, with no minimum tip.
func (n *Node) untipped(b *miner.Block) ([][2]map[common.Address][]*txpool.LazyTransaction, error) {
	filter := txpool.PendingFilter{MinTip: new(uint256.Int), MaxDATxSize: n.Scenario.MaxDATxSize}
	if b.Header.BaseFee != nil {
		filter.BaseFee = uint256.MustFromBig(b.Header.BaseFee)
	}
	var all, prio [2]map[common.Address][]*txpool.LazyTransaction
	for i := range all {
		filter.BlobTxs = i == 1
		txs, _, err := n.Scenario.lazies(filter)
		if err != nil {
			return nil, err
		}
		all[i], prio[i] = txs, make(map[common.Address][]*txpool.LazyTransaction)
		for _, addr := range n.Scenario.Prio {
			if list, ok := txs[addr]; ok {
				prio[i][addr] = list
				delete(txs, addr)
			}
		}
	}
	if len(prio[0])+len(prio[1]) == 0 {
		return [][2]map[common.Address][]*txpool.LazyTransaction{all}, nil
	}
	return [][2]map[common.Address][]*txpool.LazyTransaction{prio, all}, nil
}

// begin returns the block before the pool's transactions. With a reader to wrap the
// parent state's, it does over it what Node.prepare has done without.
func (n *Node) begin(a attempt) (*miner.Block, error) {
	b, err := n.prepare(a.workers != Sequential, a.lesson)
	if err != nil {
		return nil, err
	}
	if a.wrap != nil {
		db, err := n.chain.StateAt(n.parent.Root)
		if err != nil {
			return nil, err
		}
		if db, err = state.NewWithReader(n.parent.Root, db.Database(), a.wrap(db.Reader())); err != nil {
			return nil, err
		}
		if db, err = miner.PrepareState(n.parent.Root, db, a.lesson); err != nil {
			return nil, err
		}
		if err := n.restart(b, db); err != nil {
			return nil, err
		}
	}
	if a.change != nil {
		a.change(b)
	}
	return b, nil
}

// restart puts a block that holds the forced transactions on another state.
func (n *Node) restart(b *miner.Block, db *state.StateDB) error {
	b.State = db
	b.Txs, b.Receipts, b.TxCount = nil, nil, 0
	b.GasPool = core.NewGasPool(b.Header.GasLimit)
	b.Header.GasUsed = 0
	b.Size = uint64(b.Header.Size())
	evm := vm.NewEVM(core.NewEVMBlockContext(b.Header, n.chain, &b.Coinbase, b.Config, db), db, b.Config, vm.Config{})
	if b.Header.ParentBeaconRoot != nil {
		core.ProcessBeaconBlockRoot(*b.Header.ParentBeaconRoot, evm)
	}
	if b.Config.IsPrague(b.Header.Number, b.Header.Time) {
		core.ProcessParentBlockHash(b.Header.ParentHash, evm)
	}
	for _, tx := range n.Scenario.Forced {
		if err := Apply(b, tx); err != nil {
			return err
		}
	}
	return nil
}

// payloadWithoutMinimumTip has op-geth's miner build the scenario with no minimum tip.
func (n *Node) payloadWithoutMinimumTip(threads int) (*engine.ExecutionPayloadEnvelope, error) {
	m := n.Miner(threads)
	defer m.Close()
	if err := m.SetGasTip(new(big.Int)); err != nil {
		return nil, err
	}
	payload, err := m.BuildPayload(context.Background(), n.args(), false)
	if err != nil {
		return nil, err
	}
	payload.WaitFull()
	env := payload.Resolve()
	if env == nil {
		return nil, fmt.Errorf("no payload of %s", n.Scenario.Name)
	}
	return env, nil
}
