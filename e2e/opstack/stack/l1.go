package stack

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
)

const (
	// l1Period is the time between L1's blocks.
	l1Period = 2 * time.Second

	// l1BuildTime is how long a block of L1 is built.
	l1BuildTime = 300 * time.Millisecond

	// l1GasLimit lets several batches of calldata into a block of L1.
	l1GasLimit = 60_000_000

	// l1Finality is how many blocks behind the head L1's finalized block is.
	l1Finality = 16
)

// l1 is a chain of geth's developer genesis. It is driven over the Engine API: geth --dev,
// which drives itself, stands still for good when a block is built before it waits for it,
// and on a busy machine it is.
type l1 struct {
	node   *engineapi.Node
	log    *os.File
	port   int
	config *params.ChainConfig
	blocks []common.Hash // all of them by number; of drive's goroutine

	cancel context.CancelFunc
	done   chan struct{} // closed when no more blocks are made
	err    error         // why, set before done is closed
}

// startL1 starts L1 and returns it with its first block after the genesis. That of the
// genesis, of 1970, will not do: L2 would have to catch up with the time since then.
func startL1(ctx context.Context, dir, binary string) (_ *l1, _ *types.Header, err error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, nil, err
	}
	batcher := batcherAddress()
	genesis := core.DeveloperGenesisBlock(l1GasLimit, &batcher)
	genesis.Config.OsakaTime = nil // Prague: the Engine API of the same versions as on L2
	l := &l1{port: ports[0], config: genesis.Config, blocks: []common.Hash{genesis.ToBlock().Hash()}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.stop())
		}
	}()
	data := filepath.Join(dir, "l1")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, nil, fmt.Errorf("data directory of L1: %w", err)
	}
	if l.log, err = os.Create(logFile(dir, "l1")); err != nil {
		return nil, nil, fmt.Errorf("log of L1: %w", err)
	}
	// Not ctx: it is stopped when those that use it are.
	l.node, err = engineapi.Start(context.WithoutCancel(ctx), engineapi.Config{
		Binary:  binary,
		Datadir: data,
		Genesis: genesis,
		Args:    []string{"--http.port", strconv.Itoa(l.port), "--networkid", genesis.Config.ChainID.String(), "--cache", "256"},
		Log:     l.log,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("L1: %w", err)
	}
	head, err := l.produce(ctx, genesis.ToBlock().Header())
	if err != nil {
		return nil, nil, fmt.Errorf("L1: %w", err)
	}
	driving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel, l.done = cancel, make(chan struct{})
	go func() {
		defer close(l.done)
		l.err = l.drive(driving, head)
	}()
	return l, head, nil
}

// drive makes a block each period, until ctx ends.
func (l *l1) drive(ctx context.Context, head *types.Header) error {
	ticker := time.NewTicker(l1Period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		next, err := l.produce(ctx, head)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("L1: %w", err)
		}
		head = next
	}
}

// produce makes the block after parent.
func (l *l1) produce(ctx context.Context, parent *types.Header) (*types.Header, error) {
	number := new(big.Int).Add(parent.Number, common.Big1).Bytes()
	beacon := crypto.Keccak256Hash([]byte("beacon root of L1"), number)
	api := l.node.Engine()
	id, err := api.StartPayload(ctx, parent.Hash(), &engine.PayloadAttributes{
		Timestamp:             max(uint64(time.Now().Unix()), parent.Time+1),
		Random:                crypto.Keccak256Hash([]byte("randao of L1"), number),
		SuggestedFeeRecipient: common.HexToAddress("0xfee0000000000000000000000000000000000001"),
		Withdrawals:           []*types.Withdrawal{},
		BeaconRoot:            &beacon,
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(l1BuildTime):
	}
	envelope, err := api.GetPayload(ctx, id)
	if err != nil {
		return nil, err
	}
	payload := envelope.ExecutionPayload
	if err := api.NewPayload(ctx, payload, beacon); err != nil {
		return nil, err
	}
	l.blocks = append(l.blocks, payload.BlockHash)
	state := engine.ForkchoiceStateV1{
		HeadBlockHash:      payload.BlockHash,
		SafeBlockHash:      payload.BlockHash,
		FinalizedBlockHash: l.blocks[max(0, len(l.blocks)-1-l1Finality)],
	}
	if err := api.SetForkchoice(ctx, state); err != nil {
		return nil, err
	}
	block, err := engine.ExecutableDataToBlock(*payload, []common.Hash{}, &beacon, [][]byte{}, l.config)
	if err != nil {
		return nil, fmt.Errorf("block %d is not what its hash says: %w", payload.Number, err)
	}
	return block.Header(), nil
}

// check fails if L1 makes no more blocks.
func (l *l1) check() error {
	select {
	case <-l.done:
		return l.err
	default:
		return nil
	}
}

// stop stops L1. It may be called repeatedly.
func (l *l1) stop() error {
	var errs []error
	if l.cancel != nil {
		l.cancel()
		<-l.done
		errs = append(errs, l.err)
	}
	if l.node != nil {
		errs = append(errs, l.node.Stop())
	}
	if l.log != nil {
		if err := l.log.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
