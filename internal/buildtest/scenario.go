package buildtest

import (
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// Scenario is everything that decides which block is built.
type Scenario struct {
	Name   string
	Seed   int64
	Config *params.ChainConfig

	Alloc      types.GenesisAlloc // state of the parent
	Coinbase   common.Address
	GasLimit   uint64
	Forced     []*types.Transaction // deposits, in the block before the pool's
	Candidates []Candidate          // the pool, in order of arrival; one sender's in nonce order
	Prio       []common.Address     // senders served first

	MaxDATxSize    *big.Int // as miner_setMaxDASize sets them; nil: unlimited
	MaxDABlockSize *big.Int
	MaxSize        uint64 // bytes that the block stays below; 0: what op-geth has, and can't be told

	// What the sequential block must look like for the scenario to mean anything.
	MinIncluded int
	MinLeftOut  int
}

// Candidate is a transaction of the pool.
type Candidate struct {
	From        common.Address
	Tx          *types.Transaction
	Conditional *types.TransactionConditional
	Evicted     bool // gone from the pool by the time it is resolved
	UnknownDA   bool // the pool does not state its DA size
}

// genesisTime is the timestamp of the parent block; the block follows blockTime later.
const (
	genesisTime = 1_750_000_000
	blockTime   = 12
)

var (
	noEviction = evicted{}
	gwei       = big.NewInt(params.GWei)
)

// evicted resolves no transaction.
type evicted struct{}

// Get implements txpool.LazyResolver.
func (evicted) Get(common.Hash) *types.Transaction { return nil }

// lazies returns the pool's content as the miner gets it, by sender. The transactions are
// shared between calls, but those that a build can mark as rejected are not.
func (s *Scenario) lazies(filter txpool.PendingFilter) (map[common.Address][]*txpool.LazyTransaction, int, error) {
	var (
		out    = make(map[common.Address][]*txpool.LazyTransaction)
		closed = make(map[common.Address]bool)
		count  int
	)
	for i, c := range s.Candidates {
		isBlob := c.Tx.Type() == types.BlobTxType
		if isBlob != filter.BlobTxs || closed[c.From] {
			continue
		}
		if !passes(c.Tx, filter) {
			closed[c.From] = true // nothing after it could be executed
			continue
		}
		tx := c.Tx
		if c.Conditional != nil {
			raw, err := tx.MarshalBinary()
			if err != nil {
				return nil, 0, err
			}
			tx = new(types.Transaction)
			if err := tx.UnmarshalBinary(raw); err != nil {
				return nil, 0, err
			}
			tx.SetConditional(c.Conditional)
		}
		ltx := &txpool.LazyTransaction{
			Hash:      tx.Hash(),
			Tx:        tx,
			Time:      time.Unix(genesisTime, 0).Add(time.Duration(i) * time.Millisecond),
			GasFeeCap: uint256.MustFromBig(tx.GasFeeCap()),
			GasTipCap: uint256.MustFromBig(tx.GasTipCap()),
			Gas:       tx.Gas(),
			BlobGas:   tx.BlobGas(),
		}
		if !c.UnknownDA {
			ltx.DABytes = tx.RollupCostData().EstimatedDASize()
		}
		if c.Evicted {
			ltx.Tx, ltx.Pool = nil, noEviction
		}
		out[c.From] = append(out[c.From], ltx)
		count++
	}
	return out, count, nil
}

// passes applies the filter as op-geth's pools do.
func passes(tx *types.Transaction, filter txpool.PendingFilter) bool {
	if filter.MinTip != nil && filter.BaseFee != nil {
		if tip, err := tx.EffectiveGasTip(filter.BaseFee.ToBig()); err != nil || tip.Cmp(filter.MinTip.ToBig()) < 0 {
			return false
		}
	}
	if filter.GasLimitCap != 0 && tx.Gas() > filter.GasLimitCap {
		return false
	}
	if tx.Type() == types.BlobTxType {
		if filter.BlobFee != nil && tx.BlobGasFeeCap().Cmp(filter.BlobFee.ToBig()) < 0 {
			return false
		}
		return tx.BlobTxSidecar() != nil && tx.BlobTxSidecar().Version == filter.BlobVersion
	}
	return filter.MaxDATxSize == nil || tx.RollupCostData().EstimatedDASize().Cmp(filter.MaxDATxSize) <= 0
}

// maxSize returns what the block's size stays below, bytes.
func (s *Scenario) maxSize() uint64 {
	if s.MaxSize > 0 {
		return s.MaxSize
	}
	return maxBlockSize
}

// genesis returns the parent block's specification.
func (s *Scenario) genesis() *core.Genesis {
	g := &core.Genesis{
		Config:     s.Config,
		Timestamp:  genesisTime,
		GasLimit:   s.GasLimit,
		Difficulty: new(big.Int),
		Alloc:      s.Alloc,
	}
	if s.Config.IsLondon(new(big.Int)) {
		g.BaseFee = gwei
	}
	g.ExtraData = optimismExtra(s.Config, genesisTime)
	return g
}
