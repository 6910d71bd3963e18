package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/consensus/misc"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// spuriousShare is how many of 100 valid executions a disturbed replay throws away.
const spuriousShare = 20

// ReplayOptions say how often a dumped block is built again, and how.
type ReplayOptions struct {
	Workers []int // numbers of workers, at least 1 each
	Rounds  int   // builds with a disturbed schedule, for each of them
	Seed    int64 // of the first disturbed schedule, the next ones follow

	// Wrap puts something before the parent state that parallel builds read, as a test
	// that plants a fault does. nil: nothing.
	Wrap func(state.Reader) state.Reader
}

// Replay executes a dumped block again, sequentially and in parallel, and writes what
// differs where. It returns the number of parallel builds that were not the sequential
// one. The error is about a dump that cannot be replayed.
//
// The state that a dump holds is the part that was read, so roots are not those of the
// chain. A precondition on the storage root of an account may therefore hold no longer; it
// does so in all builds alike.
func Replay(w io.Writer, dump *miner.Dump, opts ReplayOptions) (differ int, err error) {
	r, err := newReplay(dump)
	if err != nil {
		return 0, err
	}
	r.describe(w)
	if err := r.execute(w); err != nil {
		return 0, err
	}
	want, touched, err := r.build(Sequential, nil, nil)
	if err != nil {
		return 0, fmt.Errorf("building sequentially: %w", err)
	}
	fmt.Fprintf(w, "built sequentially from the candidates: %d transactions, gas %d\n", len(want.Txs), want.Header.GasUsed)
	builds := 0
	for _, workers := range opts.Workers {
		for round := -1; round < opts.Rounds; round++ {
			var (
				chaos blockstm.Chaos
				how   = fmt.Sprintf("%d workers, schedule undisturbed", workers)
			)
			if round >= 0 {
				seed := opts.Seed + int64(round)
				chaos = buildtest.NewSchedule(seed, workers, spuriousShare)
				how = fmt.Sprintf("%d workers, schedule of seed %d (-workers %d -seed %d -rounds 1)", workers, seed, workers, seed)
			}
			builds++
			got, more, err := r.build(workers, chaos, opts.Wrap)
			if err == nil {
				err = got.same(want)
			}
			if err == nil {
				continue
			}
			differ++
			fmt.Fprintf(w, "DIFFERS with %s: %v\n", how, err)
			if got != nil {
				for addr, keys := range touched {
					more.Account(addr)
					for key := range keys {
						more.Slot(addr, key)
					}
				}
				writeDifferences(w, more.Differences(got.State, want.State))
			}
		}
	}
	_, err = fmt.Fprintf(w, "%d parallel builds, %d differ from the sequential one\n", builds, differ)
	return differ, err
}

// replay is a dump that is ready to be executed.
type replay struct {
	dump   *miner.Dump
	block  *types.Block
	chain  *chain
	pre    *preState
	forced int // transactions at the head of the block that are not from the pool
	runs   []replayRun
}

// replayRun is one run of the builder over the block.
type replayRun struct {
	txs    []*txpool.LazyTransaction
	from   []common.Address
	limits miner.Limits
}

// list returns the run's list of transactions with blobs, or of those without.
func (r *replayRun) list(blobs bool) miner.TxSource {
	l := ranked{ranks: make(map[common.Hash]uint64)}
	var (
		txs  []*txpool.LazyTransaction
		from []common.Address
	)
	for i, tx := range r.txs {
		if (tx.BlobGas > 0) == blobs {
			txs, from = append(txs, tx), append(from, r.from[i])
			l.ranks[tx.Hash] = uint64(len(r.txs) - i)
		}
	}
	l.Fixed = buildtest.NewFixed(txs, from)
	return l
}

// ranked is a list whose tips keep the order in which the transactions of both of a run's
// lists were taken.
type ranked struct {
	*buildtest.Fixed
	ranks map[common.Hash]uint64
}

// Peek implements miner.TxSource.
func (l ranked) Peek() (*txpool.LazyTransaction, *uint256.Int) {
	tx, tip := l.Fixed.Peek()
	if tx != nil {
		tip = uint256.NewInt(l.ranks[tx.Hash])
	}
	return tx, tip
}

func newReplay(dump *miner.Dump) (*replay, error) {
	if dump.Config == nil || dump.Parent == nil || len(dump.Pre) == 0 {
		return nil, errors.New("the dump has no config, parent or state to start from, so that only the node that it comes from can execute it")
	}
	sealed, err := dump.Sealed()
	if err != nil {
		return nil, err
	}
	r := &replay{dump: dump, block: sealed.Block}
	hashOf := func(n uint64) common.Hash { return dump.BlockHashes[n] }
	r.chain = &chain{dump.Config, hashOf}
	if r.pre, err = newPreState(dump.Pre); err != nil {
		return nil, err
	}
	return r, r.readRuns()
}

// readRuns makes the runs' lists of candidates. What the block has and no run was
// offered comes from the sequential path and goes last.
func (r *replay) readRuns() error {
	header := r.block.Header()
	signer := types.MakeSigner(r.dump.Config, header.Number, header.Time)
	offered := make(map[common.Hash]bool)
	add := func(run *replayRun, tx *types.Transaction, daBytes *hexutil.Big, conditional *types.TransactionConditional) error {
		from, err := types.Sender(signer, tx)
		if err != nil {
			return fmt.Errorf("candidate %s: %w", tx.Hash(), err)
		}
		tx = withSidecar(tx)
		if conditional != nil {
			tx.SetConditional(conditional)
		}
		l := lazy([]*types.Transaction{tx})[0]
		l.DABytes = daBytes.ToInt()
		run.txs, run.from = append(run.txs, l), append(run.from, from)
		offered[tx.Hash()] = true
		return nil
	}
	for _, dumped := range r.dump.Runs {
		run := replayRun{limits: r.limits()}
		run.limits.MaxDABlockSize, run.limits.MaxSize = dumped.MaxDABlockSize.ToInt(), uint64(dumped.MaxSize)
		for i, c := range dumped.Candidates {
			tx := new(types.Transaction)
			if err := tx.UnmarshalBinary(c.Tx); err != nil {
				return fmt.Errorf("candidate %d: %w", i, err)
			}
			if err := add(&run, tx, c.DABytes, c.Conditional); err != nil {
				return err
			}
		}
		r.runs = append(r.runs, run)
	}
	rest, forced := replayRun{limits: r.limits()}, true
	for _, tx := range r.block.Transactions() {
		switch {
		case offered[tx.Hash()]:
			forced = false
		case forced && (tx.IsDepositTx() || len(r.runs) > 0):
			r.forced++
		default:
			forced = false
			if err := add(&rest, tx, (*hexutil.Big)(tx.RollupCostData().EstimatedDASize()), nil); err != nil {
				return err
			}
		}
	}
	if len(rest.txs) > 0 {
		r.runs = append(r.runs, rest)
	}
	return nil
}

func (r *replay) limits() miner.Limits {
	config, time := r.dump.Config, r.dump.Header.Time
	return miner.Limits{
		MaxBlobs: func() int { return eip4844.MaxBlobsPerBlock(config, time) },
		MaxSize:  params.MaxBlockSize,
	}
}

// describe writes what the dump says.
func (r *replay) describe(w io.Writer) {
	d := r.dump
	fmt.Fprintf(w, "block %d, %s on %s: %d transactions, gas %d\nreason: %s\n", d.Number, r.block.Hash(), d.ParentHash,
		len(d.Transactions), d.Header.GasUsed, d.Reason)
	if d.Incomplete != "" {
		fmt.Fprintf(w, "the dump is incomplete: %s\n", d.Incomplete)
	}
	for i, run := range d.Runs {
		seed := "schedule undisturbed"
		if run.Seed != nil {
			seed = fmt.Sprintf("schedule of seed %d", *run.Seed)
		}
		fmt.Fprintf(w, "run %d: %d workers, %s, %d candidates, %d committed, %d executions, %d of them again", i+1, run.Threads, seed,
			len(run.Candidates), run.Committed, run.Executions, run.Reexecutions)
		if run.Fallback != "" {
			fmt.Fprintf(w, "; fell back: %s", run.Fallback)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "recorded: %d values differ\n", len(d.Differences))
	writeDifferences(w, d.Differences)
	if len(d.Misread) > 0 {
		fmt.Fprintf(w, "recorded: %d values of the parent state were misread by the parallel builder\n", len(d.Misread))
		writeDifferences(w, d.Misread)
	}
}

// maxDifferences is how many differences of one comparison are written.
const maxDifferences = 20

func writeDifferences(w io.Writer, all []pstate.Difference) {
	for i, d := range all {
		if i == maxDifferences {
			fmt.Fprintf(w, "  ... and %d more\n", len(all)-i)
			return
		}
		fmt.Fprintf(w, "  %v\n", d)
	}
}

// execute has op-geth's processor execute the dumped block, and compares with what that
// gave when it was dumped.
func (r *replay) execute(w io.Writer) error {
	db, err := state.New(r.pre.root, r.pre.db)
	if err != nil {
		return err
	}
	result, err := core.NewStateProcessor(r.chain).Process(context.Background(), r.block, db, vm.Config{})
	recorded := r.dump.Sequential
	switch {
	case err != nil && recorded == nil:
		fmt.Fprintf(w, "executed sequentially: fails, as it did: %v\n", err)
		return nil
	case err != nil:
		return fmt.Errorf("executing the block sequentially fails, which it did not when it was dumped: %w", err)
	case recorded == nil:
		return errors.New("executing the block sequentially works, which it did not when it was dumped")
	}
	root := types.DeriveSha(result.Receipts, newListHasher())
	if root != recorded.ReceiptsRoot || result.GasUsed != uint64(recorded.GasUsed) {
		return fmt.Errorf("executing the block sequentially gives receipts root %s and gas %d, when it was dumped %s and %d", root, result.GasUsed,
			recorded.ReceiptsRoot, recorded.GasUsed)
	}
	fmt.Fprintf(w, "executed sequentially: receipts root %s, gas %d, as when it was dumped\n", root, result.GasUsed)
	return nil
}

// build builds the block from the candidates, and returns what was read for it too.
func (r *replay) build(workers int, chaos blockstm.Chaos, wrap func(state.Reader) state.Reader) (*outcome, pstate.Touched, error) {
	reader, err := r.pre.db.Reader(r.pre.root)
	if err != nil {
		return nil, nil, err
	}
	touched := make(pstate.Touched)
	reader = pstate.NewReadLog(reader, touched)
	if wrap != nil && workers != Sequential {
		reader = wrap(reader)
	}
	db, err := state.NewWithReader(r.pre.root, r.pre.db, reader)
	if err == nil && workers != Sequential {
		db, err = miner.PrepareState(r.pre.root, db, nil)
	}
	if err != nil {
		return nil, nil, err
	}
	b, err := r.begin(db)
	if err != nil {
		return nil, nil, err
	}
	out := &outcome{Block: b}
	for _, run := range r.runs {
		req := &miner.Request{
			Threads: workers,
			Chaos:   chaos,
			Plain:   run.list(false),
			Blob:    run.list(true),
			Limits:  run.limits,
		}
		if workers == Sequential {
			buildtest.Reference(b, req)
			continue
		}
		if res := miner.Fill(context.Background(), b, req); res.Fallback != nil {
			return nil, nil, fmt.Errorf("fell back to sequential: %w", res.Fallback)
		}
	}
	return out, touched, nil
}

// begin makes the block up to the pool's transactions.
func (r *replay) begin(db *state.StateDB) (*miner.Block, error) {
	config, header := r.dump.Config, r.block.Header()
	header.GasUsed = 0
	if header.BlobGasUsed != nil {
		header.BlobGasUsed = new(uint64)
	}
	b := &miner.Block{
		Config: config, Chain: r.chain, Header: header, Coinbase: header.Coinbase, State: db,
		Signer:  types.MakeSigner(config, header.Number, header.Time),
		GasPool: core.NewGasPool(header.GasLimit),
		Size:    uint64(header.Size()),
	}
	misc.EnsureCreate2Deployer(config, header.Time, db)
	evm := vm.NewEVM(core.NewEVMBlockContext(header, r.chain, &b.Coinbase, config, db), db, config, vm.Config{})
	if header.ParentBeaconRoot != nil {
		core.ProcessBeaconBlockRoot(*header.ParentBeaconRoot, evm)
	}
	if config.IsPrague(header.Number, header.Time) {
		core.ProcessParentBlockHash(header.ParentHash, evm)
	}
	forced := r.block.Transactions()[:r.forced]
	if config.IsJovian(r.dump.Parent.Time) && len(forced) > 0 {
		var err error
		if b.DAFootprintGasScalar, err = types.ExtractDAFootprintGasScalar(forced[0].Data()); err != nil {
			return nil, err
		}
	}
	for i, tx := range forced {
		if err := buildtest.Apply(b, tx); err != nil {
			return nil, fmt.Errorf("forced transaction %d: %w", i, err)
		}
	}
	return b, nil
}
