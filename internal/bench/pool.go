package bench

import (
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/event"
	"github.com/holiman/uint256"
)

// pool is a sub-pool that holds one workload. It implements what block building calls;
// the embedded interface stands for the rest and is nil.
type pool struct {
	txpool.SubPool
	probe *probe
	scope event.SubscriptionScope

	mu      sync.Mutex
	pending map[common.Address][]*txpool.LazyTransaction // guarded by mu
	count   int                                          // guarded by mu
}

// lazies returns transactions as a pool offers them, by sender. As in a pool, what does
// not depend on the block is known already: sender, hash, size and cost of the data.
func lazies(txs []*types.Transaction, signer types.Signer) (map[common.Address][]*txpool.LazyTransaction, error) {
	out := make(map[common.Address][]*txpool.LazyTransaction)
	for i, tx := range txs {
		from, err := types.Sender(signer, tx)
		if err != nil {
			return nil, err
		}
		tx.Size()
		out[from] = append(out[from], &txpool.LazyTransaction{
			Hash:      tx.Hash(),
			Tx:        tx,
			Time:      time.Unix(int64(i), 0),
			GasFeeCap: uint256.MustFromBig(tx.GasFeeCap()),
			GasTipCap: uint256.MustFromBig(tx.GasTipCap()),
			Gas:       tx.Gas(),
			BlobGas:   tx.BlobGas(),
			DABytes:   tx.RollupCostData().EstimatedDASize(),
		})
	}
	return out, nil
}

// fill replaces what the pool holds.
func (p *pool) fill(pending map[common.Address][]*txpool.LazyTransaction, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending, p.count = pending, count
}

// snapshot returns what the pool holds, in a map and in slices of the caller's own.
func (p *pool) snapshot() (map[common.Address][]*txpool.LazyTransaction, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]txpool.LazyTransaction, 0, p.count)
	out := make(map[common.Address][]*txpool.LazyTransaction, len(p.pending))
	for from, list := range p.pending {
		fresh := make([]*txpool.LazyTransaction, len(list))
		for i, lazy := range list {
			all = append(all, *lazy)
			fresh[i] = &all[len(all)-1]
		}
		out[from] = fresh
	}
	return out, p.count
}

// Pending implements txpool.SubPool. The miner asks twice, the second time for
// transactions with blobs, of which there are none; filling begins with its answer.
func (p *pool) Pending(filter txpool.PendingFilter) (map[common.Address][]*txpool.LazyTransaction, int) {
	if filter.BlobTxs {
		p.probe.filling()
		return nil, 0
	}
	return p.snapshot()
}

// Stats implements txpool.SubPool.
func (p *pool) Stats() (int, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count, 0
}

func (p *pool) Init(uint64, *types.Header, txpool.Reserver) error { return nil }
func (p *pool) SetIngressFilters([]txpool.IngressFilter)          {}
func (p *pool) Reset(_, _ *types.Header)                          {}
func (p *pool) SetGasTip(*big.Int)                                {}
func (p *pool) Close() error                                      { p.scope.Close(); return nil }

func (p *pool) SubscribeTransactions(ch chan<- core.NewTxsEvent, _ bool) event.Subscription {
	return p.scope.Track(new(event.Feed).Subscribe(make(chan core.NewTxsEvent)))
}
