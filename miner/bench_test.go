package miner_test

import (
	"context"
	"fmt"
	"math/big"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

const benchTxs = 5000

// benchBlock is a chain in memory and a pool for one block on top of it.
type benchBlock struct {
	chain *core.BlockChain
	txs   []*txpool.LazyTransaction
	froms []common.Address
}

func newBenchBlock(b testing.TB, kind workload.Kind, count int) *benchBlock {
	config, err := buildtest.Rules("Jovian")
	if err != nil {
		b.Fatal(err)
	}
	gen, err := workload.New(workload.Options{Seed: 1, ChainID: config.ChainID.Uint64(), Mix: workload.Only(kind), Accounts: count})
	if err != nil {
		b.Fatal(err)
	}
	txs, err := gen.Take(count)
	if err != nil {
		b.Fatal(err)
	}
	alloc, err := gen.Alloc()
	if err != nil {
		b.Fatal(err)
	}
	alloc[types.L1BlockAddr] = types.Account{Nonce: 1, Balance: new(big.Int), Code: []byte{0}, Storage: map[common.Hash]common.Hash{
		types.L1BaseFeeSlot:         common.BigToHash(big.NewInt(9e9)),
		types.L1BlobBaseFeeSlot:     common.BigToHash(big.NewInt(1e9)),
		types.L1FeeScalarsSlot:      {15: 1, 19: 1},
		types.OperatorFeeParamsSlot: {23: 9, 31: 7},
	}}
	db := rawdb.NewMemoryDatabase()
	genesis := &core.Genesis{Config: config, GasLimit: 1e10, Difficulty: new(big.Int), BaseFee: big.NewInt(1e9), Alloc: alloc, Timestamp: 1_750_000_000, ExtraData: make([]byte, 17)}
	chain, err := core.NewBlockChain(db, genesis, beacon.New(ethash.NewFaker()), core.DefaultConfig().WithStateScheme(rawdb.PathScheme))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(chain.Stop)
	bench := &benchBlock{chain: chain}
	signer := types.LatestSignerForChainID(config.ChainID)
	for _, tx := range txs {
		if _, err := types.Sender(signer, tx.Transaction); err != nil {
			b.Fatal(err)
		}
		bench.txs = append(bench.txs, &txpool.LazyTransaction{
			Hash: tx.Hash(), Tx: tx.Transaction, Time: time.Unix(1, 0), Gas: tx.Gas(),
			GasFeeCap: uint256.MustFromBig(tx.GasFeeCap()), GasTipCap: uint256.MustFromBig(tx.GasTipCap()),
			DABytes: tx.RollupCostData().EstimatedDASize(),
		})
		bench.froms = append(bench.froms, tx.From)
	}
	return bench
}

func (bench *benchBlock) block(b testing.TB) *miner.Block {
	parent := bench.chain.CurrentBlock()
	db, err := bench.chain.StateAt(parent.Root)
	if err != nil {
		b.Fatal(err)
	}
	if db, err = state.New(parent.Root, db.Database()); err != nil {
		b.Fatal(err)
	}
	if db, err = miner.PrepareState(parent.Root, db, nil); err != nil {
		b.Fatal(err)
	}
	header := &types.Header{ParentHash: parent.Hash(), Number: big.NewInt(1), GasLimit: 1e10, Time: parent.Time + 2,
		BaseFee: big.NewInt(1e9), Difficulty: new(big.Int), BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64)}
	config := bench.chain.Config()
	return &miner.Block{Config: config, Chain: bench.chain, Header: header, Coinbase: common.Address{0x42, 19: 0x11}, State: db,
		Signer: types.MakeSigner(config, header.Number, header.Time), GasPool: core.NewGasPool(header.GasLimit), DAFootprintGasScalar: 1}
}

// BenchmarkFill times Fill alone, per block. It is for profiling the engine; what the
// whole payload gains over upstream's path is the business of cmd/blockbench.
func BenchmarkFill(b *testing.B) {
	for _, kind := range workload.Kinds() {
		b.Run(string(kind), func(b *testing.B) {
			bench := newBenchBlock(b, kind, benchTxs)
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
					b.ReportAllocs()
					var reruns, committed int
					var cpu time.Duration
					var workers []int
					for range b.N {
						b.StopTimer()
						block := bench.block(b)
						source := buildtest.NewFixed(bench.txs, bench.froms)
						b.StartTimer()
						before := cpuTime(b)
						res := miner.Fill(context.Background(), block, &miner.Request{Threads: threads, Plain: source, Limits: miner.Limits{MaxSize: 1 << 40, MaxBlobs: func() int { return 0 }}})
						cpu += cpuTime(b) - before
						if res.Fallback != nil {
							b.Fatal(res.Fallback)
						}
						reruns += res.Stats.Reexecutions
						committed += res.Stats.Committed
						workers = res.Stats.ByWorker
					}
					b.ReportMetric(float64(reruns)/float64(b.N), "reruns/op")
					b.ReportMetric(float64(workers[0]), "by0")
					b.ReportMetric(float64(cpu.Microseconds())/float64(committed), "cpu-µs/tx")
					b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(committed), "µs/tx")
				})
			}
		})
	}
}

// cpuTime returns the processor time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
