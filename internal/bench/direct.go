package bench

import (
	"context"
	"fmt"
	"math/big"
	"runtime/pprof"
	"time"

	"github.com/ethereum/go-ethereum/consensus/misc"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	geth "github.com/ethereum/go-ethereum/miner"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// maxBlockSize is what op-geth's miner lets a block grow to, bytes.
const maxBlockSize = params.MaxBlockSize - 1_000_000

// Direct builds the block as op-geth's miner does with parallel threads, by the same
// calls in the same order, but with any number of workers, one included.
//
// A recorder, if there is one, notes what the workers do.
func (n *Node) Direct(workers int, r *recorder) (built *Build, err error) {
	args, err := n.attributes()
	if err != nil {
		return nil, err
	}
	w := n.probe.start()
	defer n.probe.stop()
	pprof.Do(context.Background(), pprof.Labels("threads", fmt.Sprintf("direct %d", workers)), func(ctx context.Context) {
		err = n.direct(ctx, args, workers, r)
	})
	if err != nil {
		return nil, err
	}
	return w.build(), nil
}

func (n *Node) direct(ctx context.Context, args *geth.BuildPayloadArgs, workers int, r *recorder) error {
	block, err := n.prepare(args, true)
	if err != nil {
		return err
	}
	defer block.State.StopPrefetcher()
	filter := txpool.PendingFilter{MinTip: uint256.NewInt(1), BaseFee: uint256.MustFromBig(block.Header.BaseFee)}
	pending, _ := n.txs.Pending(filter)
	filter.BlobTxs = true
	n.txs.Pending(filter)

	request := &miner.Request{
		Threads: workers,
		Plain:   newPriority(pending, block.Header.BaseFee),
		Limits:  miner.Limits{MaxBlobs: func() int { return 0 }, MaxSize: maxBlockSize},
	}
	if r != nil {
		request.Chaos = r
		r.begin = time.Now()
	}
	result := miner.Fill(ctx, block, request)
	if result.Fallback != nil {
		return fmt.Errorf("filling directly with %d workers fell back to sequential: %w", workers, result.Fallback)
	}
	n.probe.with(func(w *watch) {
		w.stats = EngineStats{
			Committed:    result.Stats.Committed,
			Executions:   result.Stats.Executions,
			Reexecutions: result.Stats.Reexecutions,
			ByWorker:     result.Stats.ByWorker,
		}
	})
	requests := types.CalcRequestsHash([][]byte{})
	block.Header.RequestsHash = &requests
	body := &types.Body{Transactions: block.Txs, Withdrawals: args.Withdrawals}
	_, err = n.probe.FinalizeAndAssemble(ctx, n.chain, block.Header, block.State, body, block.Receipts)
	return err
}

// start returns the block before the pool's transactions, on a StateDB as upstream's.
func (n *Node) start() (*miner.Block, error) {
	args, err := n.attributes()
	if err != nil {
		return nil, err
	}
	return n.prepare(args, false)
}

// prepare does what comes before the pool's transactions.
func (n *Node) prepare(args *geth.BuildPayloadArgs, parallel bool) (*miner.Block, error) {
	var (
		parent = n.chain.CurrentBlock()
		config = n.chain.Config()
	)
	h := &types.Header{
		ParentHash:       parent.Hash(),
		Coinbase:         args.FeeRecipient,
		Number:           new(big.Int).Add(parent.Number, big.NewInt(1)),
		GasLimit:         *args.GasLimit,
		Time:             args.Timestamp,
		MixDigest:        args.Random,
		BaseFee:          eip1559.CalcBaseFee(config, parent, args.Timestamp),
		Extra:            eip1559.EncodeJovianExtraData(opchain.EIP1559Denominator, opchain.EIP1559Elasticity, *args.MinBaseFee),
		BlobGasUsed:      new(uint64),
		ExcessBlobGas:    new(uint64),
		ParentBeaconRoot: args.BeaconRoot,
	}
	if err := n.probe.Prepare(n.chain, h); err != nil {
		return nil, err
	}
	db, err := n.state(parent.Root)
	if err != nil {
		return nil, err
	}
	db = db.Copy() // as the miner does
	if parallel {
		if db, err = miner.PrepareState(parent.Root, db, n.lesson); err != nil {
			return nil, err
		}
		db.StartPrefetcher("miner", nil)
	}
	block := &miner.Block{
		Config:   config,
		Chain:    n.chain,
		Header:   h,
		Coinbase: args.FeeRecipient,
		Signer:   types.MakeSigner(config, h.Number, h.Time),
		State:    db,
		GasPool:  core.NewGasPool(h.GasLimit),
		Size:     uint64(h.Size()),
	}
	if block.DAFootprintGasScalar, err = types.ExtractDAFootprintGasScalar(args.Transactions[0].Data()); err != nil {
		return nil, err
	}
	evm := vm.NewEVM(core.NewEVMBlockContext(h, n.chain, &block.Coinbase, config, db), db, config, vm.Config{})
	core.ProcessBeaconBlockRoot(*h.ParentBeaconRoot, evm)
	core.ProcessParentBlockHash(h.ParentHash, evm)
	misc.EnsureCreate2Deployer(config, h.Time, db)
	for _, tx := range args.Transactions {
		db.SetTxContext(tx.Hash(), block.TxCount)
		receipt, err := core.ApplyTransaction(evm, block.GasPool, db, h, tx)
		if err != nil {
			return nil, fmt.Errorf("forced transaction %s: %w", tx.Hash(), err)
		}
		h.GasUsed = block.GasPool.Used()
		block.Txs = append(block.Txs, tx)
		block.Receipts = append(block.Receipts, receipt)
		block.Size += tx.Size()
		block.TxCount++
	}
	return block, nil
}
