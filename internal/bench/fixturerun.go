package bench

import (
	"context"
	"fmt"
	"runtime"

	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// fill fills the block with that many workers, or as op-geth's own loop does, and checks
// gas and receipts against the block's own header. Only filling is timed: the part of the
// state that a fixture has is not enough to seal the block.
func (f *Fixture) fill(workers int, parallel bool) (*Build, error) {
	block, err := f.prepare(parallel)
	if err != nil {
		return nil, err
	}
	defer block.State.StopPrefetcher()
	request := &miner.Request{
		Threads: workers,
		Limits: miner.Limits{
			MaxBlobs: func() int { return eip4844.MaxBlobsPerBlock(f.config, block.Header.Time) },
			MaxSize:  maxBlockSize,
		},
		Plain: buildtest.NewFixed(f.lazies, f.from),
		Blob:  buildtest.NewFixed(nil, nil),
	}
	var result miner.Result
	runtime.GC()
	begin := read()
	if parallel {
		result = miner.Fill(context.Background(), block, request)
	} else {
		buildtest.Reference(block, request)
	}
	end := read()
	if result.Fallback != nil {
		return nil, fmt.Errorf("%s with %d workers fell back to sequential: %w", f.Name, workers, result.Fallback)
	}
	b := &Build{
		Fill:        end.time.Sub(begin.time),
		CPU:         end.cpu - begin.cpu,
		Objects:     end.objects - begin.objects,
		Bytes:       end.bytes - begin.bytes,
		FillObjects: end.objects - begin.objects,
		FillBytes:   end.bytes - begin.bytes,
		Txs:         len(block.Txs),
		Pooled:      len(block.Txs) - len(f.forced),
		Gas:         block.Header.GasUsed,
		Engine: EngineStats{
			Committed:    result.Stats.Committed,
			Executions:   result.Stats.Executions,
			Reexecutions: result.Stats.Reexecutions,
			ByWorker:     result.Stats.ByWorker,
		},
	}
	if err := f.check(block); err != nil {
		return nil, err
	}
	b.Hash = block.State.IntermediateRoot(f.config.IsEIP158(block.Header.Number))
	return b, nil
}

// check compares gas and receipts with those of the chain's block.
func (f *Fixture) check(block *miner.Block) error {
	if want := uint64(f.data.Expected.GasUsed); block.Header.GasUsed != want {
		return fmt.Errorf("%s: gas used is %d, the chain's block has %d", f.Name, block.Header.GasUsed, want)
	}
	if root := types.DeriveSha(types.Receipts(block.Receipts), trie.NewListHasher()); root != f.data.Expected.ReceiptsRoot {
		return fmt.Errorf("%s: receipts root is %s, the chain's block has %s", f.Name, root, f.data.Expected.ReceiptsRoot)
	}
	return nil
}

// compare fills the block sequentially and in parallel, in turn. Equal means that gas,
// receipts and the state after are.
func (f *Fixture) compare(ctx context.Context, c Comparison) (*Outcome, error) {
	out := &Outcome{Equal: true}
	for round := -1; round < c.Rounds; round++ {
		var (
			pair   Pair
			err    error
			before = usageNow()
		)
		if err = ctx.Err(); err != nil {
			return nil, err
		}
		if c.Sides != Parallel {
			runtime.GC()
			awaitQuiet(c.Quiet)
			if pair.Sequential, err = f.fill(0, false); err != nil {
				return nil, err
			}
		}
		if c.Sides != Sequential {
			runtime.GC()
			awaitQuiet(c.Quiet)
			if pair.Parallel, err = f.fill(c.Workers, true); err != nil {
				return nil, err
			}
		}
		if c.Limit != nil {
			if pair.Limit, err = c.Limit.Measure(c.Workers); err != nil {
				return nil, err
			}
		}
		pair.Others = usageNow().othersSince(before)
		if c.Sides == Both {
			out.Equal = out.Equal && pair.Sequential.Hash == pair.Parallel.Hash
		}
		if round >= 0 {
			out.Pairs = append(out.Pairs, pair)
		}
	}
	return out, nil
}

// runFixtures measures all blocks of a directory, and sums them up in one row for each
// number of workers: the mean of the blocks' ratios, and as the spread the worst and the
// best block.
func runFixtures(ctx context.Context, o *Options, report *Report) error {
	fixtures, err := LoadFixtures(o.Blocks)
	if err != nil {
		return err
	}
	limits := make([]*Limit, len(fixtures))
	bounds := make([]float64, len(fixtures))
	for i, f := range fixtures {
		o.Progress(f.Name + ": tracing")
		trace, err := NewTrace(f.start, f.txs)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		limits[i], bounds[i] = NewLimit(f.start, f.txs, trace), trace.Bound()
	}
	if o.Profile != nil && len(o.Workloads) == 0 {
		defer o.Profile()()
	}
	for _, workers := range o.Workers {
		var rows []Row
		for i, f := range fixtures {
			o.Progress(fmt.Sprintf("%s: %d workers", f.Name, workers))
			c := Comparison{Workers: workers, Rounds: o.Rounds, Sides: o.Sides, Quiet: o.Quiet}
			if o.Sides == Both {
				c.Limit = limits[i]
			}
			outcome, err := f.compare(ctx, c)
			if err != nil {
				return err
			}
			row := NewRow(f.Name, workers, outcome)
			row.Bound = bounds[i]
			rows = append(rows, row)
			report.Blocks = append(report.Blocks, row)
		}
		report.Rows = append(report.Rows, mean(rows))
	}
	return nil
}

// mean sums up rows of different blocks.
func mean(rows []Row) Row {
	sum := Row{Workload: FixtureWorkload, Workers: rows[0].Workers, Rounds: rows[0].Rounds, Equal: true}
	var ratios []float64
	n := float64(len(rows))
	for _, r := range rows {
		ratios = append(ratios, r.FillRatio)
		sum.Txs += r.Txs
		sum.GasUsed += r.GasUsed
		sum.Executions += r.Executions
		sum.Reexecutions += r.Reexecutions
		sum.FillRatio += r.FillRatio / n
		sum.LimitRatio += r.LimitRatio / n
		sum.LimitShare += r.LimitShare / n
		sum.Bound += r.Bound / n
		sum.AllocRatio += r.AllocRatio / n
		sum.AllocBytesRatio += r.AllocBytesRatio / n
		sum.FillAllocRatio += r.FillAllocRatio / n
		sum.CPURatio += r.CPURatio / n
		sum.OthersLoad += r.OthersLoad / n
		sum.Sequential.FillMS += r.Sequential.FillMS
		sum.Parallel.FillMS += r.Parallel.FillMS
		sum.Equal = sum.Equal && r.Equal
	}
	sum.FillSpread = spread(ratios)
	if sum.Txs > 0 {
		sum.ExecutedOnce = 1 - float64(min(sum.Reexecutions, sum.Txs))/float64(sum.Txs)
	}
	return sum
}
