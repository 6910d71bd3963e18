package opchain

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/txpool/legacypool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/miner"
)

// fillLimit is how long a build may take before the miner cuts it short.
const fillLimit = 10 * time.Second

// Local is a chain within the process: block chain, transaction pool and op-geth's own
// miner, over a database in memory.
type Local struct {
	chain *core.BlockChain
	pool  *txpool.TxPool
	miner *miner.Miner
}

// NewLocal starts a local chain from a genesis. Close ends it.
func NewLocal(genesis *core.Genesis) (*Local, error) {
	consensus := beacon.New(nil)
	chain, err := core.NewBlockChain(rawdb.NewMemoryDatabase(), genesis, consensus, core.DefaultConfig())
	if err != nil {
		return nil, fmt.Errorf("starting the chain: %w", err)
	}
	config := legacypool.DefaultConfig
	config.Journal = ""
	config.AccountSlots, config.GlobalSlots = 1<<16, 1<<20
	config.AccountQueue, config.GlobalQueue = 1<<16, 1<<20
	pool, err := txpool.New(1, chain, []txpool.SubPool{legacypool.New(config, chain)}, nil)
	if err != nil {
		chain.Stop()
		return nil, fmt.Errorf("starting the transaction pool: %w", err)
	}
	l := &Local{chain: chain, pool: pool}
	mining := miner.DefaultConfig
	mining.Recommit = fillLimit
	l.miner = miner.New(l, mining, consensus)
	return l, nil
}

// BlockChain implements miner.Backend.
func (l *Local) BlockChain() *core.BlockChain { return l.chain }

// TxPool implements miner.Backend.
func (l *Local) TxPool() *txpool.TxPool { return l.pool }

// Miner returns the miner.
func (l *Local) Miner() *miner.Miner { return l.miner }

// Close ends the chain.
func (l *Local) Close() error {
	l.miner.Close()
	err := l.pool.Close()
	l.chain.Stop()
	return err
}

// Build has the miner build the block after the head from the pool and does not import
// it. Its first try is taken.
func (l *Local) Build(attrs *engine.PayloadAttributes) (*types.Block, error) {
	forced := make(types.Transactions, len(attrs.Transactions))
	for i, data := range attrs.Transactions {
		forced[i] = new(types.Transaction)
		if err := forced[i].UnmarshalBinary(data); err != nil {
			return nil, fmt.Errorf("forced transaction %d: %w", i, err)
		}
	}
	payload, err := l.miner.BuildPayload(context.Background(), &miner.BuildPayloadArgs{
		Parent:        l.chain.CurrentBlock().Hash(),
		Timestamp:     attrs.Timestamp,
		FeeRecipient:  attrs.SuggestedFeeRecipient,
		Random:        attrs.Random,
		Withdrawals:   attrs.Withdrawals,
		BeaconRoot:    attrs.BeaconRoot,
		Version:       engine.PayloadV3,
		NoTxPool:      attrs.NoTxPool,
		Transactions:  forced,
		GasLimit:      attrs.GasLimit,
		EIP1559Params: attrs.EIP1559Params,
		MinBaseFee:    attrs.MinBaseFee,
	}, false)
	if err != nil {
		return nil, fmt.Errorf("building on block %d: %w", l.chain.CurrentBlock().Number, err)
	}
	if !attrs.NoTxPool {
		awaitFull(payload)
	}
	envelope := payload.ResolveFull()
	if envelope == nil {
		return nil, fmt.Errorf("building on block %d gave no payload", l.chain.CurrentBlock().Number)
	}
	return engine.ExecutableDataToBlock(*envelope.ExecutionPayload, nil, attrs.BeaconRoot, [][]byte{}, l.chain.Config())
}

// awaitFull returns when the first try is done; resolving earlier would cut it short.
// WaitFull alone would sleep forever if the try is done before it is called.
func awaitFull(payload *miner.Payload) {
	done := make(chan struct{})
	go func() {
		payload.WaitFull()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(fillLimit + 5*time.Second):
	}
}

// Import executes a block, verifies it against its header and makes it the head.
func (l *Local) Import(block *types.Block) error {
	if _, err := l.chain.InsertChain(types.Blocks{block}); err != nil {
		return fmt.Errorf("importing block %d: %w", block.NumberU64(), err)
	}
	if _, err := l.chain.SetCanonical(block); err != nil {
		return fmt.Errorf("making block %d the head: %w", block.NumberU64(), err)
	}
	return l.pool.Sync()
}
