package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Sequential is the number of workers that stands for the sequential reference.
const Sequential = 0

// preState is a state in memory that any number of blocks can start from.
type preState struct {
	root common.Hash
	db   state.Database
}

func newPreState(alloc types.GenesisAlloc) (*preState, error) {
	db := state.NewDatabase(triedb.NewDatabase(rawdb.NewMemoryDatabase(), triedb.HashDefaults), nil)
	st, err := state.New(types.EmptyRootHash, db)
	if err != nil {
		return nil, err
	}
	for addr, account := range alloc {
		balance := new(uint256.Int)
		if account.Balance != nil {
			if overflow := balance.SetFromBig(account.Balance); overflow {
				return nil, fmt.Errorf("balance of %s is above 256 bits", addr)
			}
		}
		st.SetBalance(addr, balance, tracing.BalanceChangeUnspecified)
		st.SetNonce(addr, account.Nonce, tracing.NonceChangeUnspecified)
		st.SetCode(addr, account.Code, tracing.CodeChangeUnspecified)
		for key, value := range account.Storage {
			st.SetState(addr, key, value)
		}
	}
	root, err := st.Commit(0, false, false) // empty accounts are part of some tests
	return &preState{root, db}, err
}

// job is a block to execute.
type job struct {
	pre    *preState
	config *params.ChainConfig
	chain  *chain
	header *types.Header              // with nothing used yet
	before func(b *miner.Block) error // pre-block changes and forced transactions; may be nil
	signer types.Signer
	txs    []*types.Transaction
	from   []common.Address
	chaos  blockstm.Chaos // disturbs the builder's schedule; may be nil
	da     uint16         // Jovian: gas per byte of DA size
}

// outcome is an executed block. The state is not finalised for the block's end.
type outcome struct {
	*miner.Block
	stats    miner.Stats
	fallback error // the parallel builder refused the block, so it is sequential
}

// disturbed returns the same job with a disturbed schedule.
func (j *job) disturbed(name string) *job {
	again := *j
	again.chaos = disturb(name)
	return &again
}

// run executes the job with that many workers.
func (j *job) run(workers int) (*outcome, error) {
	out, err := j.fill(workers)
	if err == nil && errors.Is(out.fallback, miner.ErrUnsupported) && !j.config.IsByzantium(j.header.Number) {
		refusal := out.fallback
		out, err = j.fill(Sequential)
		out.fallback = refusal
		return out, err
	}
	if err == nil && out.fallback != nil {
		err = fmt.Errorf("fell back to sequential: %w", out.fallback)
	}
	return out, err
}

func (j *job) fill(workers int) (*outcome, error) {
	st, err := state.New(j.pre.root, j.pre.db)
	if err != nil {
		return nil, err
	}
	if workers != Sequential {
		if st, err = miner.PrepareState(j.pre.root, st, nil); err != nil {
			return nil, err
		}
	}
	b := &miner.Block{
		Config: j.config, Chain: j.chain, Header: types.CopyHeader(j.header), Coinbase: j.header.Coinbase,
		Signer: j.signer, State: st, GasPool: core.NewGasPool(j.header.GasLimit), DAFootprintGasScalar: j.da,
	}
	if j.before != nil {
		if err := j.before(b); err != nil {
			return nil, err
		}
	}
	forced := len(b.Txs)
	// Plain and blob transactions share one list, so that the order is the given one.
	req := &miner.Request{
		Threads: workers,
		Chaos:   j.chaos,
		Plain:   buildtest.NewFixed(lazy(j.txs), j.from),
		Blob:    buildtest.NewFixed(nil, nil),
		Limits: miner.Limits{
			MaxBlobs: func() int { return eip4844.MaxBlobsPerBlock(j.config, j.header.Time) },
			MaxSize:  math.MaxUint64,
		},
	}
	out := &outcome{Block: b}
	if workers == Sequential {
		buildtest.Reference(b, req)
		return out, nil
	}
	res := miner.Fill(context.Background(), b, req)
	out.fallback = res.Fallback
	out.stats = res.Stats
	if res.Fallback == nil {
		if err := consistent(res.Stats, len(b.Txs)-forced); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// consistent checks that the parallel builder executed what it put into the block.
func consistent(s miner.Stats, included int) error {
	sum := 0
	for _, n := range s.ByWorker {
		sum += n
	}
	if s.Committed != included || sum != s.Executions || s.Executions < included {
		return fmt.Errorf("%d transactions included, which the builder's statistics don't explain: %+v", included, s)
	}
	return nil
}

func lazy(txs []*types.Transaction) []*txpool.LazyTransaction {
	out := make([]*txpool.LazyTransaction, len(txs))
	for i, tx := range txs {
		out[i] = &txpool.LazyTransaction{
			Hash: tx.Hash(), Tx: tx, Time: time.Unix(int64(i), 0), Gas: tx.Gas(), BlobGas: tx.BlobGas(),
			GasFeeCap: clamp(tx.GasFeeCap()), GasTipCap: clamp(tx.GasTipCap()),
			DABytes: tx.RollupCostData().EstimatedDASize(),
		}
	}
	return out
}

// clamp is for the order of candidates only, which is fixed here.
func clamp(v *big.Int) *uint256.Int {
	u, _ := uint256.FromBig(v)
	return u
}

// logsHash is the hash of the logs of all transactions.
func (o *outcome) logsHash() (common.Hash, error) {
	logs := []*types.Log{}
	for _, r := range o.Receipts {
		logs = append(logs, r.Logs...)
	}
	return rlpHash(logs)
}

// same compares everything of two executions of one job.
func (o *outcome) same(want *outcome) error {
	if len(o.Txs) != len(want.Txs) {
		return fmt.Errorf("%d transactions, sequentially %d", len(o.Txs), len(want.Txs))
	}
	for i, tx := range o.Txs {
		if tx.Hash() != want.Txs[i].Hash() {
			return fmt.Errorf("transaction %d is %s, sequentially %s", i, tx.Hash(), want.Txs[i].Hash())
		}
		got, err := o.Receipts[i].MarshalBinary()
		if err != nil {
			return err
		}
		ref, err := want.Receipts[i].MarshalBinary()
		if err != nil {
			return err
		}
		if !bytes.Equal(got, ref) || o.Receipts[i].ContractAddress != want.Receipts[i].ContractAddress {
			return fmt.Errorf("receipt %d is %+v, sequentially %+v", i, o.Receipts[i], want.Receipts[i])
		}
	}
	if o.Header.GasUsed != want.Header.GasUsed {
		return fmt.Errorf("gas used %d, sequentially %d", o.Header.GasUsed, want.Header.GasUsed)
	}
	empties := o.Config.IsEIP158(o.Header.Number)
	if a, b := o.State.IntermediateRoot(empties), want.State.IntermediateRoot(empties); a != b {
		return fmt.Errorf("state root %s, sequentially %s", a, b)
	}
	return nil
}
