package miner

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/log"
	ethparams "github.com/ethereum/go-ethereum/params"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// Build accompanies a block through op-geth's miner: it decides how the block is filled,
// and counts, logs and remembers how that went. A nil Build, on which every method may be
// called, is that of a block which parallel building has nothing to do with. One
// goroutine uses it at a time, the one that builds the block.
type Build struct {
	recorder *Recorder
	setting  *int
	minTxs   int
	workers  int // 1: what is still to be filled is filled sequentially
	forced   int // transactions in the block that are not from the pool

	state *state.StateDB // made by PrepareState; nil: there is none

	report   Report
	recorded *Report // the copy that the recorder has
	stats    Stats
	failure  error     // why a run fell back
	begun    time.Time // of filling
	filled   time.Time
}

// Plan is what a build depends on.
type Plan struct {
	Config  *ethparams.ChainConfig
	Header  *types.Header
	Threads *int // the setting, see params.ResolveThreads
	MinTxs  int  // see params.Workers
	Offered int  // transactions in the pool, at least as many as it is going to offer
}

// Begin begins a build on db, the unmodified state of root. It returns the state to build
// on, whose reads workers can share, or, with a nil Build, db itself.
func (r *Recorder) Begin(plan Plan, root common.Hash, db *state.StateDB) (*state.StateDB, *Build) {
	threads := params.ResolveThreads(plan.Threads)
	if threads == params.SequentialThreads || plan.Config.IsVerkle(plan.Header.Number, plan.Header.Time) {
		return db, nil
	}
	b := &Build{recorder: r, setting: plan.Threads, minTxs: plan.MinTxs, workers: threads}
	b.report = Report{Number: plan.Header.Number.Uint64(), ParentHash: plan.Header.ParentHash, Start: time.Now()}
	if b.expect(plan.Offered); b.workers == params.SequentialThreads {
		return db, b
	}
	shared, err := PrepareState(root, db, r.recall(root))
	if err != nil {
		b.giveUp(ReasonState)
		log.Warn("Parallel block building not possible, filling the block sequentially", "number", plan.Header.Number, "err", err)
		return db, b
	}
	b.state = shared
	return shared, b
}

// Expect tells how many transactions the block has before it is filled, and how many the
// pool offers.
func (b *Build) Expect(forced, offered int) {
	if b == nil {
		return
	}
	b.begun = time.Now()
	b.forced, b.report.Offered = forced, offered
	if b.workers > params.SequentialThreads {
		b.expect(offered)
	}
	published.builds.Inc(1)
	if b.report.Reason == ReasonSmall {
		published.small.Inc(1)
	}
}

// expect decides on the number of workers.
func (b *Build) expect(offered int) {
	if b.workers = params.Workers(b.setting, offered, b.minTxs); b.workers == params.SequentialThreads {
		b.report.Reason = ReasonSmall
	}
}

// Parallel reports whether what comes next is to be filled in parallel, by Fill.
func (b *Build) Parallel() bool { return b != nil && b.workers > params.SequentialThreads }

// Fill is the package's Fill, with the workers that the build has, a place in the trace
// and an outcome of which it takes note. It does not panic.
func (b *Build) Fill(ctx context.Context, block *Block, req *Request) (result Result) {
	ctx, end := span(ctx, "miner.parallel.fill")
	defer func() {
		if p := recover(); p != nil {
			result = Result{Torn: true, Fallback: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
		b.note(&result)
		end(result.Fallback,
			attribute.Int("workers", b.workers),
			attribute.Int("txs.count", result.Stats.Committed),
			attribute.Int("executions", result.Stats.Executions),
			attribute.Int("reexecutions", result.Stats.Reexecutions))
	}()
	req.Threads = b.workers
	b.report.Parallel, b.report.Workers = true, b.workers
	return Fill(ctx, block, req)
}

// note takes note of a run's outcome.
func (b *Build) note(result *Result) {
	b.stats.Add(&result.Stats)
	if result.Fallback == nil {
		return
	}
	b.failure = result.Fallback
	b.giveUp(reasonOf(result))
}

// giveUp has the rest of the block filled sequentially.
func (b *Build) giveUp(reason Reason) {
	b.report.Reason = reason
	b.workers = params.SequentialThreads
	published.fellBack(reason)
}

// Filled tells that filling has ended, with that much in the block. It writes the block's
// line to the log.
func (b *Build) Filled(header *types.Header, txs int) {
	if b == nil {
		return
	}
	b.filled = time.Now()
	elapsed := b.filled.Sub(b.begun)
	b.report.Txs, b.report.Gas, b.report.FillMS = txs, header.GasUsed, milliseconds(elapsed)
	s := &b.stats
	b.report.note(s)
	if !b.report.Parallel {
		b.report.Workers = params.SequentialThreads
	}
	b.recorded = b.recorder.put(nil, b.report)
	if !b.report.Parallel {
		logAt := log.Info
		if b.report.Offered == 0 {
			logAt = log.Debug
		}
		logAt("Filled block sequentially", "number", header.Number, "txs", txs-b.forced, "offered", b.report.Offered,
			"gas", header.GasUsed, "threads", b.report.Workers, "reason", b.report.Reason, "elapsed", common.PrettyDuration(elapsed))
		return
	}
	published.parallel.Inc(1)
	published.filled(s, b.report.Workers)
	log.Info("Filled block in parallel", "number", header.Number, "txs", s.Committed, "dropped", s.Dropped,
		"gas", header.GasUsed, "executions", s.Executions, "reexecutions", s.Reexecutions,
		"threads", b.report.Workers, "workers", s.ByWorker,
		"speedup", fmt.Sprintf("~%.2f", s.Speedup()), "elapsed", common.PrettyDuration(s.Elapsed))
	log.Debug("Details of filling in parallel", "number", header.Number, "offered", b.report.Offered, "drawn", s.Candidates,
		"dropped", s.Drops.ByReason(), "aborts", s.Aborts, "blocked", s.Blocked, "headruns", s.HeadRuns,
		"depth", fmt.Sprintf("%.1f", s.MeanDepth()), "utilisation", fmt.Sprintf("%.2f", s.Utilisation()),
		"commit", common.PrettyDuration(s.Committing), "wait", common.PrettyDuration(s.Waited),
		"interrupt", common.PrettyDuration(s.InterruptLatency), "reason", b.report.Reason)
	switch b.report.Reason {
	case "":
	case ReasonTorn:
		log.Error("Parallel block building failed", "number", header.Number, "err", b.failure)
	default:
		log.Warn("Parallel block building stopped, filling the rest sequentially", "number", header.Number, "err", b.failure)
	}
}

// Sealed tells that the block is finished, on that state. An error says that the block is
// not what it should be: it must be built again, sequentially.
func (b *Build) Sealed(block *types.Block, db *state.StateDB) error {
	if b == nil || b.filled.IsZero() {
		return nil
	}
	if err := Sealable(db); err != nil {
		b.giveUp(ReasonTries)
		b.recorded = b.recorder.put(b.recorded, b.report)
		log.Error("Parallel block building could not hash the state", "number", b.report.Number, "err", err)
		return err
	}
	took := time.Since(b.filled)
	hash := block.Hash()
	b.report.Hash, b.report.SealMS = &hash, milliseconds(took)
	b.recorded = b.recorder.put(b.recorded, b.report)
	if b.report.Parallel && b.failure == nil {
		b.recorder.learn(Learn(b.state))
	}
	if b.report.Parallel {
		published.seal.Update(took)
		log.Debug("Sealed block that was filled in parallel", "number", b.report.Number, "hash", hash, "elapsed", common.PrettyDuration(took))
	}
	return nil
}

// Verify executes the finished block again if it was filled in parallel, see the package's
// Verify. The error of a done context may be the closing database's: it is not counted.
func (b *Build) Verify(ctx, life context.Context, chain *core.BlockChain, sealed *Sealed, dir string) (err error) {
	if b == nil || !b.report.Parallel {
		return nil
	}
	_, end := span(ctx, "miner.parallel.verify")
	defer func() { end(err) }()
	defer published.verify.UpdateSince(time.Now())
	err = Verify(life, chain, sealed, dir)
	if err == nil || life.Err() != nil {
		return err
	}
	b.giveUp(ReasonRefuted)
	b.recorder.forget()
	b.recorded = b.recorder.put(b.recorded, b.report)
	published.refuted.Inc(1)
	log.Error("Parallel block building made a wrong block", "number", sealed.Block.Number(), "hash", sealed.Block.Hash(), "err", err)
	return err
}

// span begins a span below the context's, if that has one, and returns what ends it. An
// error marks it as failed.
func span(ctx context.Context, name string) (context.Context, func(error, ...attribute.KeyValue)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsValid() {
		return ctx, func(error, ...attribute.KeyValue) {}
	}
	ctx, s := parent.TracerProvider().Tracer("").Start(ctx, name)
	return ctx, func(err error, attributes ...attribute.KeyValue) {
		s.SetAttributes(attributes...)
		if err != nil && !errors.Is(err, context.Canceled) {
			s.RecordError(err)
			s.SetStatus(codes.Error, err.Error())
		}
		s.End()
	}
}
