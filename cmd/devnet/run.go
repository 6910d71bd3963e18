package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/internal/sender"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// consensus is what a consensus client asks of geth: engineapi.Client, or in tests one
// that goes wrong.
type consensus interface {
	StartPayload(ctx context.Context, head common.Hash, attrs *engine.PayloadAttributes) (engine.PayloadID, error)
	GetPayload(ctx context.Context, id engine.PayloadID) (*engine.ExecutionPayloadEnvelope, error)
	NewPayload(ctx context.Context, payload *engine.ExecutableData, beaconRoot common.Hash) error
	SetHead(ctx context.Context, head common.Hash) error
}

// run is one chain on one geth.
type run struct {
	settings *settings
	threads  int
	dir      string // holds geth's data directory and log
	out      io.Writer

	node   *engineapi.Node // nil with -stack
	rpc    *rpc.Client     // to geth
	api    consensus       // nil with -stack
	log    *buildLog
	sender *sender.Sender
	report *report
}

// single makes one run.
func single(ctx context.Context, s *settings, out io.Writer) error {
	if err := prepareDatadir(s.datadir); err != nil {
		return err
	}
	report, err := execute(ctx, s, s.threads, uint64(time.Now().Unix()), out)
	if report != nil && len(report.Blocks) > 0 {
		report.print(out)
		err = errors.Join(err, writeJSON(s.json, report))
	}
	return err
}

// execute runs a chain whose genesis is of a given time. The report is of what was done
// before an error, too, and nil only where nothing was.
func execute(ctx context.Context, s *settings, threads int, genesisTime uint64, out io.Writer) (*report, error) {
	r, gen, alloc, err := newRun(s, threads, "threads-"+strconv.Itoa(threads), out)
	if err != nil {
		return nil, err
	}
	genesis, err := opchain.Genesis(opchain.Options{Time: genesisTime, GasLimit: s.gasLimit, Alloc: alloc})
	if err != nil {
		return nil, err
	}
	return r.report, r.execute(ctx, genesis, gen)
}

// newRun returns a run in a directory of its own, with the transactions to send and what
// the genesis needs for them.
func newRun(s *settings, threads int, dir string, out io.Writer) (*run, *workload.Generator, types.GenesisAlloc, error) {
	r := &run{
		settings: s,
		threads:  threads,
		dir:      filepath.Join(s.datadir, dir),
		out:      out,
		log:      newBuildLog(),
		report:   newReport(s, threads),
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, nil, nil, fmt.Errorf("-datadir: %w", err)
	}
	fmt.Fprintf(out, "making the genesis: chain %d, %d accounts, mix %s, seed %d\n", opchain.DefaultChainID, s.accounts, s.mix, s.seed)
	gen, err := workload.New(workload.Options{Seed: s.seed, ChainID: opchain.DefaultChainID, Mix: s.mix, Accounts: s.accounts, Pools: s.pools})
	if err != nil {
		return nil, nil, nil, err
	}
	alloc, err := gen.Alloc()
	return r, gen, alloc, err
}

// execute starts geth, builds the blocks and stops geth.
func (r *run) execute(ctx context.Context, genesis *core.Genesis, gen *workload.Generator) (err error) {
	logFile, err := os.Create(filepath.Join(r.dir, "geth.log"))
	if err != nil {
		return fmt.Errorf("-datadir: %w", err)
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()

	fmt.Fprintf(r.out, "starting %s, %s, log in %s\n", r.settings.geth, threadsText(r.threads), logFile.Name())
	// Not ctx: on Ctrl-C the work ends first, then geth.
	r.node, err = engineapi.Start(context.WithoutCancel(ctx), engineapi.Config{
		Binary:  r.settings.geth,
		Datadir: r.dir,
		Genesis: genesis,
		Args:    gethArgs(r.threads),
		Log:     logFile,
		OnLog:   r.log.record,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.node.Stop()) }()
	fmt.Fprintf(r.out, "geth answers at %s\n", r.node.HTTP())
	r.api = r.node.Engine()
	if r.settings.wrap != nil {
		r.api = r.settings.wrap(r.api)
	}
	r.rpc = r.node.RPC()
	r.sender = sender.New(r.rpc, gen)

	// Everything ends when geth does.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-r.node.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	stop, err := r.startStream(ctx)
	if err != nil {
		return err
	}
	err = r.chain(ctx, genesis.ToBlock().Header())
	return errors.Join(err, stop(), r.finish(context.WithoutCancel(ctx)))
}

// startStream starts sending at the rate that is set, if one is, after what makes up for
// the first block. The function that it returns ends it.
func (r *run) startStream(ctx context.Context) (stop func() error, err error) {
	rate := r.settings.rate
	if rate == 0 {
		return func() error { return nil }, nil
	}
	if err := r.sender.Send(ctx, int(float64(rate)*r.settings.blockTime.Seconds())); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.sender.Stream(ctx, rate) }()
	return func() error {
		cancel()
		return <-done
	}, nil
}

// gethArgs returns the arguments of a sequencer with a pool large enough for what is sent.
func gethArgs(threads int) []string {
	args := []string{
		"--networkid", strconv.Itoa(opchain.DefaultChainID),
		"--http.api", "eth,net,web3,txpool,debug",
		"--rpc.txfeecap", "0",
		"--txpool.nolocals", "--txpool.journal", "",
		"--txpool.accountslots", "1000000", "--txpool.globalslots", "1000000",
		"--txpool.accountqueue", "1000000", "--txpool.globalqueue", "1000000",
		"--rollup.disabletxpoolgossip",
	}
	// Sequential building is the default, and unpatched op-geth does not know the flag.
	if threads != params.SequentialThreads {
		args = append(args, "--"+params.ThreadsFlag, strconv.Itoa(threads))
	}
	return args
}

// chain builds the blocks.
func (r *run) chain(ctx context.Context, parent *types.Header) error {
	r.report.printHead(r.out)
	for i := 0; i < r.settings.blocks || r.settings.keep; i++ {
		header, err := r.block(ctx, parent)
		switch {
		case err == nil:
			parent = header
		case r.gone():
			return fmt.Errorf("%w: %w", err, engineapi.ErrExited) // Stop tells why
		case ctx.Err() != nil && i >= r.settings.blocks:
			return nil // the Ctrl-C that -keep waits for
		default:
			return err
		}
	}
	return nil
}

// block builds the block after parent, has it checked and makes it the head.
func (r *run) block(ctx context.Context, parent *types.Header) (*types.Header, error) {
	if r.settings.backlog > 0 {
		if err := r.sender.Fill(ctx, r.settings.backlog); err != nil {
			return nil, err
		}
	}
	before, err := r.sender.Status(ctx)
	if err != nil {
		return nil, err
	}
	// Header times are whole seconds.
	seconds := uint64((r.settings.blockTime + time.Second - 1) / time.Second)
	attrs, err := opchain.Attributes(parent, opchain.AttributesOptions{Time: parent.Time + seconds})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	id, err := r.api.StartPayload(ctx, parent.Hash(), attrs)
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Until(start.Add(r.settings.blockTime))):
	}
	envelope, err := r.api.GetPayload(ctx, id)
	if err != nil {
		return nil, err
	}
	payload := envelope.ExecutionPayload
	imported := time.Now()
	if err := r.api.NewPayload(ctx, payload, *attrs.BeaconRoot); err != nil {
		if errors.Is(err, engineapi.ErrNotValid) {
			err = errors.Join(err, r.keepBadBlock(parent.Hash(), attrs, payload))
		}
		return nil, err
	}
	importTime := time.Since(imported)
	if err := r.api.SetHead(ctx, payload.BlockHash); err != nil {
		return nil, err
	}
	block, err := engine.ExecutableDataToBlock(*payload, nil, attrs.BeaconRoot, [][]byte{}, opchain.Config(opchain.DefaultChainID))
	if err != nil {
		return nil, fmt.Errorf("block %d is not what its hash says: %w", payload.Number, err)
	}
	return block.Header(), r.account(ctx, block, int(before.Pending), importTime)
}

// account checks what became of the block's transactions and adds the block to the report.
func (r *run) account(ctx context.Context, block *types.Block, pending int, importTime time.Duration) error {
	var receipts []struct {
		Hash   common.Hash    `json:"transactionHash"`
		Status hexutil.Uint64 `json:"status"`
	}
	if err := r.rpc.CallContext(ctx, &receipts, "eth_getBlockReceipts", block.Hash()); err != nil {
		return fmt.Errorf("receipts of block %d: %w", block.NumberU64(), err)
	}
	if len(receipts) != len(block.Transactions()) {
		return fmt.Errorf("block %d has %d transactions and %d receipts", block.NumberU64(), len(block.Transactions()), len(receipts))
	}
	failed, deposits := 0, 0
	for i, receipt := range receipts {
		fails, ours := r.sender.Included(receipt.Hash)
		if block.Transactions()[i].IsDepositTx() {
			deposits++
		} else if !ours {
			return fmt.Errorf("transaction %d of block %d, %s, was not sent", i, block.NumberU64(), receipt.Hash)
		}
		if (receipt.Status == 0) != fails {
			return fmt.Errorf("transaction %d of block %d, %s, has status %d, but it should have the other", i, block.NumberU64(), receipt.Hash, receipt.Status)
		}
		if fails {
			failed++
		}
	}
	b := blockReport{
		Number:     block.NumberU64(),
		Hash:       block.Hash(),
		Txs:        len(receipts) - deposits,
		Failed:     failed,
		Gas:        block.GasUsed(),
		GasLimit:   block.GasLimit(),
		DAGas:      *block.BlobGasUsed(),
		Pending:    pending,
		Import:     importTime,
		buildStats: r.log.take(block.NumberU64()),
	}
	b.print(r.out)
	r.report.Blocks = append(r.report.Blocks, b)
	return nil
}

// finish adds to the report what is known in the end.
func (r *run) finish(ctx context.Context) error {
	sent, refused, strange, first := r.sender.Counts()
	r.report.Sent, r.report.Refused = sent, refused
	if strange > 0 {
		return fmt.Errorf("the pool refused %d transactions that it should have taken, the first: %w", strange, first)
	}
	if r.gone() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	status, err := r.sender.Settled(ctx)
	r.report.LeftPending, r.report.LeftQueued = int(status.Pending), int(status.Queued)
	return err
}

// gone reports whether geth has ended.
func (r *run) gone() bool {
	if r.node == nil {
		return false
	}
	select {
	case <-r.node.Exited():
		return true
	default:
		return false
	}
}

func threadsText(threads int) string {
	switch threads {
	case params.AutoThreads:
		return "building on all usable CPUs"
	case params.SequentialThreads:
		return "building sequentially"
	}
	return fmt.Sprintf("building on %d threads", threads)
}
