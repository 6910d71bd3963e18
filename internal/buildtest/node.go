package buildtest

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethdb"
	"github.com/ethereum/go-ethereum/ethdb/pebble"
	"github.com/ethereum/go-ethereum/event"
	geth "github.com/ethereum/go-ethereum/miner"
	"github.com/ethereum/go-ethereum/params"
)

// Node is the part of a node that block building needs: a chain whose head is the
// scenario's parent block, and its pool.
type Node struct {
	Scenario *Scenario
	chain    *core.BlockChain
	pool     *txpool.TxPool
	engine   consensus.Engine
	db       ethdb.Database
	parent   *types.Header // what every block builds on

	// MinTxs is how many transactions there must be for the miner to build in parallel,
	// 0 its default. It is 1 in a new node.
	MinTxs int
}

// NewNode opens a node on the scenario. dir is where the database goes, which then has
// the path scheme; empty means in memory, with the hash scheme.
func NewNode(s *Scenario, dir string) (*Node, error) {
	n := &Node{Scenario: s, MinTxs: 1, engine: beacon.New(ethash.NewFaker()), db: rawdb.NewMemoryDatabase()}
	cfg := core.DefaultConfig().WithStateScheme(rawdb.HashScheme)
	if dir != "" {
		kv, err := pebble.New(dir, 16, 16, "", false)
		if err != nil {
			return nil, err
		}
		n.db = rawdb.NewDatabase(kv)
		cfg = core.DefaultConfig().WithStateScheme(rawdb.PathScheme)
	}
	var err error
	if n.chain, err = core.NewBlockChain(n.db, s.genesis(), n.engine, cfg); err != nil {
		n.db.Close()
		return nil, fmt.Errorf("chain of %s: %w", s.Name, err)
	}
	n.parent = n.chain.CurrentBlock()
	if n.pool, err = txpool.New(1, n.chain, []txpool.SubPool{&snapshotPool{scenario: s}}, nil); err != nil {
		n.chain.Stop()
		n.db.Close()
		return nil, err
	}
	return n, nil
}

// Close releases the node.
func (n *Node) Close() error {
	err := n.pool.Close()
	n.chain.Stop()
	return errors.Join(err, n.db.Close())
}

// BlockChain implements op-geth's miner.Backend.
func (n *Node) BlockChain() *core.BlockChain { return n.chain }

// TxPool implements op-geth's miner.Backend.
func (n *Node) TxPool() *txpool.TxPool { return n.pool }

// Miner returns op-geth's miner on the node, with that many builder threads. It must be
// closed by the caller.
func (n *Node) Miner(threads int) *geth.Miner {
	cfg := geth.Config{
		GasCeil:        n.Scenario.GasLimit,
		GasPrice:       big.NewInt(1),
		Recommit:       20 * time.Millisecond,
		MaxDATxSize:    n.Scenario.MaxDATxSize,
		MaxDABlockSize: n.Scenario.MaxDABlockSize,
	}
	setThreads(&cfg, threads, n.MinTxs)
	m := geth.New(n, cfg, n.engine)
	m.SetPrioAddresses(n.Scenario.Prio)
	return m
}

// args returns the payload attributes.
func (n *Node) args() *geth.BuildPayloadArgs {
	s, time := n.Scenario, uint64(genesisTime+blockTime)
	args := &geth.BuildPayloadArgs{
		Parent:       n.parent.Hash(),
		Timestamp:    time,
		FeeRecipient: s.Coinbase,
		Random:       common.Hash{7},
		Version:      engine.PayloadV3,
		Transactions: s.Forced,
		GasLimit:     &s.GasLimit,
	}
	if s.Config.IsShanghai(common.Big1, time) {
		args.Withdrawals = types.Withdrawals{}
	}
	if s.Config.IsCancun(common.Big1, time) {
		args.BeaconRoot = &common.Hash{9}
	}
	if s.Config.IsHolocene(time) {
		args.EIP1559Params = eip1559.EncodeHolocene1559Params(250, 6)
	}
	if s.Config.IsJovian(time) {
		args.MinBaseFee = new(uint64)
	}
	return args
}

// BuildPayload has op-geth's miner build the block to its end. It waits for as many
// rebuilds of the payload as told, 1 being the first build; only what differs from the
// first in worth shows.
func (n *Node) BuildPayload(threads, rebuilds int) (*engine.ExecutionPayloadEnvelope, error) {
	m := n.Miner(threads)
	defer m.Close()
	payload, err := m.BuildPayload(context.Background(), n.args(), false)
	if err != nil {
		return nil, err
	}
	for range rebuilds {
		// Should the first build be done before we wait, the next one wakes us.
		payload.WaitFull()
	}
	env := payload.Resolve()
	if env == nil {
		return nil, fmt.Errorf("no payload of %s with %d threads", n.Scenario.Name, threads)
	}
	return env, nil
}

// snapshotPool is a pool that holds the scenario's candidates.
type snapshotPool struct {
	scenario *Scenario
	scope    event.SubscriptionScope

	mu  sync.Mutex
	err error // guarded by mu; first failure to copy a transaction
}

func (p *snapshotPool) Filter(*types.Transaction) bool                         { return true }
func (p *snapshotPool) FilterType(byte) bool                                   { return true }
func (p *snapshotPool) Init(uint64, *types.Header, txpool.Reserver) error      { return nil }
func (p *snapshotPool) SetIngressFilters([]txpool.IngressFilter)               {}
func (p *snapshotPool) Close() error                                           { p.scope.Close(); return p.failure() }
func (p *snapshotPool) Reset(_, _ *types.Header)                               {}
func (p *snapshotPool) SetGasTip(*big.Int)                                     {}
func (p *snapshotPool) Has(common.Hash) bool                                   { return false }
func (p *snapshotPool) Get(common.Hash) *types.Transaction                     { return nil }
func (p *snapshotPool) GetRLP(common.Hash) []byte                              { return nil }
func (p *snapshotPool) GetMetadata(common.Hash) *txpool.TxMetadata             { return nil }
func (p *snapshotPool) ValidateTxBasics(*types.Transaction) error              { return nil }
func (p *snapshotPool) Add(txs []*types.Transaction, _ bool) []error           { return make([]error, len(txs)) }
func (p *snapshotPool) Nonce(common.Address) uint64                            { return 0 }
func (p *snapshotPool) Stats() (int, int)                                      { return len(p.scenario.Candidates), 0 }
func (p *snapshotPool) Status(common.Hash) txpool.TxStatus                     { return txpool.TxStatusUnknown }
func (p *snapshotPool) Clear()                                                 {}
func (p *snapshotPool) ContentFrom(common.Address) (a, b []*types.Transaction) { return nil, nil }

func (p *snapshotPool) Content() (a, b map[common.Address][]*types.Transaction) { return nil, nil }

func (p *snapshotPool) SubscribeTransactions(ch chan<- core.NewTxsEvent, _ bool) event.Subscription {
	return p.scope.Track(new(event.Feed).Subscribe(make(chan core.NewTxsEvent)))
}

// Pending implements txpool.SubPool.
func (p *snapshotPool) Pending(filter txpool.PendingFilter) (map[common.Address][]*txpool.LazyTransaction, int) {
	txs, count, err := p.scenario.lazies(filter)
	if err != nil {
		p.mu.Lock()
		p.err = errors.Join(p.err, err)
		p.mu.Unlock()
	}
	return txs, count
}

func (p *snapshotPool) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// maxBlockSize is what op-geth's miner lets a block grow to.
const maxBlockSize = params.MaxBlockSize - 1_000_000
