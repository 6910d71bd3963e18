package miner_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

func TestABuildIsCountedRememberedAndTraced(t *testing.T) {
	const txs = 40
	pool := newBenchBlock(t, workload.Transfer, txs)
	parent := pool.chain.CurrentBlock()
	block := pool.block(t)
	db, err := pool.chain.StateAt(parent.Root)
	if err != nil {
		t.Fatal(err)
	}
	var (
		recorder miner.Recorder
		threads  = 2
	)
	state, build := recorder.Begin(miner.Plan{Config: block.Config, Header: block.Header, Threads: &threads, Offered: txs}, parent.Root, db)
	block.State = state
	build.Expect(0, txs)
	if !build.Parallel() {
		t.Fatalf("%d transactions are not filled in parallel", txs)
	}
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	ctx, parentSpan := provider.Tracer("").Start(context.Background(), "miner.commitTransactions")
	result := build.Fill(ctx, block, &miner.Request{Plain: buildtest.NewFixed(pool.txs, pool.froms), Limits: miner.Limits{MaxSize: 1 << 40, MaxBlobs: func() int { return 0 }}})
	parentSpan.End()
	if result.Fallback != nil {
		t.Fatal(result.Fallback)
	}
	build.Filled(block.Header, block.TxCount)

	reports, err := recorder.Last(nil)
	if err != nil || len(reports) != 1 {
		t.Fatalf("%d reports, %v", len(reports), err)
	}
	r, s := reports[0], result.Stats
	if !r.Parallel || r.Workers != 2 || r.Offered != txs || r.Txs != txs || r.Committed != txs || r.Gas != block.Header.GasUsed || r.Hash != nil || r.Reason != "" {
		t.Errorf("the report is %+v", r)
	}
	sum := 0
	for _, n := range r.ByWorker {
		sum += n
	}
	if r.Executions < txs || sum != r.Executions || r.Reexecutions != r.Executions-txs || s.HeadRuns < 1 || s.HeadRuns > s.Executions {
		t.Errorf("the executions are %+v", r)
	}
	if s.Elapsed <= 0 || s.Committing <= 0 || s.Committing > s.Elapsed || s.Working+s.Waited > s.Available || s.Available > 2*s.Elapsed || s.Working <= 0 {
		t.Errorf("the times are %+v", s)
	}
	if r.Utilisation <= 0 || r.Utilisation > 1 || r.Speedup <= 0 || r.Speedup > 2 || r.FillMS <= 0 || r.InterruptedMS != 0 {
		t.Errorf("the report is %+v", r)
	}

	ended := spans.Ended()
	if len(ended) != 2 || ended[0].Name() != "miner.parallel.fill" || ended[0].Parent().SpanID() != parentSpan.SpanContext().SpanID() {
		t.Fatalf("the spans are %v", ended)
	}
	found := false
	for _, a := range ended[0].Attributes() {
		found = found || a.Key == "txs.count" && a.Value.AsInt64() == txs
	}
	if !found {
		t.Errorf("the span's attributes are %v", ended[0].Attributes())
	}
}

func TestWhatParallelBuildingHasNothingToDoWithIsLeftAlone(t *testing.T) {
	pool := newBenchBlock(t, workload.Transfer, 1)
	parent, block := pool.chain.CurrentBlock(), pool.block(t)
	db, err := pool.chain.StateAt(parent.Root)
	if err != nil {
		t.Fatal(err)
	}
	var recorder miner.Recorder
	one, two := 1, 2
	state, build := recorder.Begin(miner.Plan{Config: block.Config, Header: block.Header, Threads: &one, Offered: 5000}, parent.Root, db)
	if state != db || build != nil {
		t.Error("with one thread there is a build")
	}
	build.Expect(0, 5000)
	build.Filled(block.Header, 1)
	if err := build.Sealed(nil, db); err != nil {
		t.Error(err)
	}
	if build.Parallel() || build.Verify(context.Background(), context.Background(), nil, nil, "") != nil {
		t.Error("no build is filled in parallel or verified")
	}
	if state, build = recorder.Begin(miner.Plan{Config: block.Config, Header: block.Header, Threads: &two, Offered: 1}, parent.Root, db); state != db || build.Parallel() {
		t.Error("a state is prepared for a single transaction")
	}
	// The pool may have filled up since: the state is not prepared for that.
	if build.Expect(0, 5000); build.Parallel() {
		t.Error("a block on a state that is not prepared is filled in parallel")
	}
	build.Filled(block.Header, 1)
	if reports, err := recorder.Last(nil); err != nil || len(reports) != 1 || reports[0].Parallel || reports[0].Reason != miner.ReasonSmall || reports[0].Workers != 1 {
		t.Errorf("the reports are %+v, %v", reports, err)
	}
}
