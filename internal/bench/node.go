package bench

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"runtime/pprof"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/ethdb"
	"github.com/ethereum/go-ethereum/log"
	geth "github.com/ethereum/go-ethereum/miner"

	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

const (
	// blockGas is the gas limit of the blocks: the workload decides how much is in them.
	blockGas = uint64(1) << 42

	// patience is how long a build may take. Nothing cuts it short before.
	patience = 10 * time.Minute
)

// Node is the part of a node that builds blocks. Its parent block is the genesis.
type Node struct {
	store   *Store
	latency time.Duration // added to every read of the parent state

	db     ethdb.Database
	chain  *core.BlockChain
	txs    *txpool.TxPool
	pool   *pool
	probe  *probe
	miners map[int]*geth.Miner // by threads
	lesson *miner.Lesson       // for the blocks that are filled here; nil: none
}

// NewNode starts a node on the store. Every read of the parent state, by whichever path,
// takes longer by the latency.
func NewNode(store *Store, latency time.Duration) (*Node, error) {
	n := &Node{store: store, latency: latency, probe: &probe{Engine: beacon.New(nil)}}
	n.pool = &pool{probe: n.probe}
	log.SetDefault(log.NewLogger(n.probe))
	return n, n.open()
}

// open opens the database and starts what is on top of it.
func (n *Node) open() (err error) {
	if n.db, n.chain, err = n.store.open(n.probe); err != nil {
		return err
	}
	if n.txs, err = txpool.New(1, n.chain, []txpool.SubPool{n.pool}, nil); err != nil {
		n.chain.Stop()
		return errors.Join(err, n.db.Close())
	}
	n.miners = make(map[int]*geth.Miner)
	return nil
}

// Close stops the node.
func (n *Node) Close() error {
	for _, m := range n.miners {
		m.Close()
	}
	err := n.txs.Close()
	n.chain.Stop()
	return errors.Join(err, n.db.Close())
}

// Chill restarts the node on a database whose files are not in memory.
func (n *Node) Chill() error {
	if err := n.Close(); err != nil {
		return err
	}
	if err := n.store.evict(); err != nil {
		return err
	}
	return n.open()
}

// BlockChain implements the miner's Backend.
func (n *Node) BlockChain() *core.BlockChain { return n.chain }

// TxPool implements the miner's Backend.
func (n *Node) TxPool() *txpool.TxPool { return n.txs }

// StateAtBlock implements the miner's BackendWithHistoricalState, as a node does.
func (n *Node) StateAtBlock(_ context.Context, block *types.Block, _ uint64, _ *state.StateDB, _, _ bool) (*state.StateDB, tracers.StateReleaseFunc, error) {
	db, err := n.state(block.Root())
	return db, func() {}, err
}

// state returns the state of a root, with the latency.
func (n *Node) state(root common.Hash) (*state.StateDB, error) {
	db, err := n.chain.StateAt(root)
	if err != nil || n.latency == 0 {
		return db, err
	}
	return state.NewWithReader(root, db.Database(), slowReader{db.Reader(), n.latency})
}

// slowReader takes longer for every account and slot.
type slowReader struct {
	state.Reader
	latency time.Duration
}

// Account implements state.StateReader.
func (r slowReader) Account(addr common.Address) (*types.StateAccount, error) {
	time.Sleep(r.latency)
	return r.Reader.Account(addr)
}

// Storage implements state.StateReader.
func (r slowReader) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	time.Sleep(r.latency)
	return r.Reader.Storage(addr, key)
}

// Offer puts a workload into the pool, in place of what was there.
func (n *Node) Offer(txs []*types.Transaction) error {
	signer := types.LatestSigner(n.chain.Config())
	pending, err := lazies(txs, signer)
	if err != nil {
		return err
	}
	n.pool.fill(pending, len(txs))
	return nil
}

// miner returns op-geth's miner, with that many builder threads.
func (n *Node) miner(threads int) *geth.Miner {
	if m := n.miners[threads]; m != nil {
		return m
	}
	n.miners[threads] = n.newMiner(threads, 0)
	return n.miners[threads]
}

// newMiner returns a miner that has not built before. Fewer transactions than minTxs are filled
// in sequentially; 0: a default.
func (n *Node) newMiner(threads, minTxs int) *geth.Miner {
	cfg := geth.Config{GasCeil: blockGas, GasPrice: big.NewInt(1), Recommit: patience}
	setThreads(&cfg, threads)
	setMinTxs(&cfg, minTxs)
	return geth.New(n, cfg, n.probe)
}

// attributes returns the payload attributes of the block to build.
func (n *Node) attributes() (*geth.BuildPayloadArgs, error) {
	parent := n.chain.CurrentBlock()
	attrs, err := opchain.Attributes(parent, opchain.AttributesOptions{GasLimit: blockGas})
	if err != nil {
		return nil, err
	}
	args := &geth.BuildPayloadArgs{
		Parent:        parent.Hash(),
		Timestamp:     attrs.Timestamp,
		FeeRecipient:  attrs.SuggestedFeeRecipient,
		Random:        attrs.Random,
		Withdrawals:   attrs.Withdrawals,
		BeaconRoot:    attrs.BeaconRoot,
		Version:       engine.PayloadV3,
		GasLimit:      attrs.GasLimit,
		EIP1559Params: attrs.EIP1559Params,
		MinBaseFee:    attrs.MinBaseFee,
	}
	for _, data := range attrs.Transactions {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(data); err != nil {
			return nil, err
		}
		args.Transactions = append(args.Transactions, tx)
	}
	return args, nil
}

// Build has a new miner of op-geth's build the block with that many threads: 1 is
// upstream's sequential path. Profiles show under the label "threads" whose time it was.
func (n *Node) Build(threads int) (*Build, error) {
	if m := n.miners[threads]; m != nil {
		m.Close()
		delete(n.miners, threads)
	}
	return n.Rebuild(threads)
}

// Rebuild has the miner of the last Build with that many threads build the block again, as
// it does several times a slot.
func (n *Node) Rebuild(threads int) (*Build, error) {
	args, err := n.attributes()
	if err != nil {
		return nil, err
	}
	m, w := n.miner(threads), n.probe.start()
	defer n.probe.stop()

	var payload *geth.Payload
	labels := pprof.Labels("threads", fmt.Sprint(threads))
	pprof.Do(context.Background(), labels, func(ctx context.Context) {
		payload, err = m.BuildPayload(ctx, args, false)
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-w.done:
	case <-time.After(patience):
		return nil, fmt.Errorf("no block with %d threads after %v", threads, patience)
	}
	if w.failure != "" {
		return nil, fmt.Errorf("building with %d threads: %s", threads, w.failure)
	}
	payload.Resolve() // ends the miner's goroutine for it
	b := w.build()
	switch {
	case b.Engine.Fallback != "":
		return nil, fmt.Errorf("building with %d threads fell back to sequential: %s", threads, b.Engine.Fallback)
	case threads > 1 && !b.Engine.Small && b.Engine.Committed != b.Pooled:
		return nil, fmt.Errorf("building with %d threads: %d transactions by the parallel path, the block has %d", threads, b.Engine.Committed, b.Pooled)
	}
	return b, nil
}
