package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
)

const (
	testSeed = 7
	testTxs  = 60
)

func testWorld() World { return World{Seed: testSeed, Senders: testTxs, Pools: 5} }

// newNode starts a node on a small state in memory.
func newNode(t *testing.T, setting Setting, accounts int, latency time.Duration) *Node {
	t.Helper()
	world := testWorld()
	alloc, err := world.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	store, err := NewStore(setting, t.TempDir(), accounts, alloc, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	n, err := NewNode(store, latency)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the node: %v", err)
		}
	})
	return n
}

// offer puts a workload into the node's pool and returns the block built sequentially.
func offer(t *testing.T, n *Node, load Workload) *Build {
	t.Helper()
	world := testWorld()
	txs, err := world.Transactions(load, testTxs)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Offer(txs); err != nil {
		t.Fatal(err)
	}
	b, err := n.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func find(t *testing.T, name string) Workload {
	t.Helper()
	loads, _, err := ParseWorkloads(name)
	if err != nil {
		t.Fatal(err)
	}
	return loads[0]
}

func TestDirectBuildingSealsTheMinersBlock(t *testing.T) {
	n := newNode(t, Memory, 100, 0)
	for _, load := range Workloads() {
		want := offer(t, n, load)
		if want.Pooled != testTxs {
			t.Errorf("%s: %d transactions of the pool are in the block, want %d; seed %d", load.Name, want.Pooled, testTxs, testSeed)
		}
		for _, workers := range []int{1, 3} {
			got, err := n.Direct(workers, nil)
			if err != nil {
				t.Fatalf("%s, %d workers: %v; seed %d", load.Name, workers, err, testSeed)
			}
			if got.Hash != want.Hash {
				t.Errorf("%s, %d workers: block %x, the miner's is %x; seed %d", load.Name, workers, got.Hash, want.Hash, testSeed)
			}
			if got.Engine.Committed != testTxs {
				t.Errorf("%s, %d workers: %d transactions by the parallel path, want %d", load.Name, workers, got.Engine.Committed, testTxs)
			}
		}
	}
}

func TestTheThreePhasesMakeUpABuild(t *testing.T) {
	n := newNode(t, Memory, 100, 0)
	b := offer(t, n, find(t, "erc20"))
	if b.Fill <= 0 || b.Seal <= 0 || b.Fill+b.Seal > b.Total {
		t.Errorf("filling took %v, sealing %v, all of it %v", b.Fill, b.Seal, b.Total)
	}
	if b.FillObjects == 0 || b.Objects < b.FillObjects || b.Bytes < b.FillBytes {
		t.Errorf("allocations: %d objects in filling of %d, %d bytes of %d", b.FillObjects, b.Objects, b.FillBytes, b.Bytes)
	}
}

func TestAllStateSettingsGiveTheSameBlock(t *testing.T) {
	blocks := make(map[[32]byte]Setting)
	for _, setting := range Settings() {
		n := newNode(t, setting, 1000, 0)
		b := offer(t, n, find(t, "erc20"))
		blocks[b.Hash] = setting
		if setting == Memory {
			continue
		}
		if err := n.Chill(); err != nil {
			t.Fatalf("%s: %v", setting, err)
		}
		again, err := n.Build(1)
		if err != nil {
			t.Fatalf("%s: %v", setting, err)
		}
		if again.Hash != b.Hash {
			t.Errorf("%s: another block after a restart", setting)
		}
	}
	if len(blocks) != 1 {
		t.Errorf("%d different blocks by state setting", len(blocks))
	}
}

func TestReadLatencySlowsBothPathsDown(t *testing.T) {
	const latency = 200 * time.Microsecond
	n := newNode(t, Memory, 0, latency)
	sequential := offer(t, n, find(t, "transfers"))
	// Every sender and every recipient is read.
	if least := 2 * testTxs * latency; sequential.Fill < least {
		t.Errorf("filling sequentially took %v, want at least %v", sequential.Fill, least)
	}
	parallel, err := n.Direct(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if least := 2 * testTxs * latency; parallel.Fill < least {
		t.Errorf("filling with one worker took %v, want at least %v", parallel.Fill, least)
	}
}

func TestNineOfTenArbitrageTradesFail(t *testing.T) {
	n := newNode(t, Memory, 0, 0)
	b := offer(t, n, find(t, "arbitrage"))
	block, err := n.start()
	if err != nil {
		t.Fatal(err)
	}
	evm := vm.NewEVM(core.NewEVMBlockContext(block.Header, block.Chain, &block.Coinbase, block.Config, block.State), block.State, block.Config, vm.Config{})
	failed := 0
	for i, tx := range b.txs {
		block.State.SetTxContext(tx.Hash(), i)
		receipt, err := core.ApplyTransaction(evm, block.GasPool, block.State, block.Header, tx)
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Status == types.ReceiptStatusFailed {
			failed++
		}
	}
	if want := testTxs * 9 / 10; failed != want {
		t.Errorf("%d of %d trades failed, want %d; seed %d", failed, testTxs, want, testSeed)
	}
}

func TestTheBoundFollowsTheDependencies(t *testing.T) {
	n := newNode(t, Memory, 0, 0)
	for name, chained := range map[string]bool{
		"transfers": false, "ring": false, "transfers-hot": false, "erc20": false, "vaults": false,
		"one-sender": true, "one-pool": true, "mint": true, "erc20-hot": true,
	} {
		b := offer(t, n, find(t, name))
		trace, err := NewTrace(n.start, b.txs)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range trace.Txs {
			trace.Txs[i].Duration = time.Microsecond // the shape is what is tested
		}
		bound := trace.Bound()
		if chained && bound > 1.5 {
			t.Errorf("%s: bound %.1f, but every transaction depends on the one before", name, bound)
		}
		if !chained && bound < testTxs/2 {
			t.Errorf("%s: bound %.1f, but nothing depends on anything", name, bound)
		}
	}
}

func TestTheLimitExecutesEveryTransactionOnce(t *testing.T) {
	n := newNode(t, Memory, 0, 0)
	for _, name := range []string{"one-sender", "base"} {
		b := offer(t, n, find(t, name))
		trace, err := NewTrace(n.start, b.txs)
		if err != nil {
			t.Fatal(err)
		}
		limit := NewLimit(n.start, b.txs, trace)
		for _, workers := range []int{1, 2, 7, 100} {
			cuts := limit.cuts(workers)
			if len(cuts) != workers+1 || cuts[0] != 0 || cuts[workers] != len(b.txs) {
				t.Fatalf("%s, %d workers: cuts %v of %d transactions", name, workers, cuts, len(b.txs))
			}
			for i := range workers {
				if cuts[i] > cuts[i+1] {
					t.Fatalf("%s, %d workers: cuts %v are not in order", name, workers, cuts)
				}
			}
			if took, err := limit.Measure(workers); err != nil || took <= 0 {
				t.Errorf("%s, %d workers: %v, %v", name, workers, took, err)
			}
		}
	}
}

func TestAScheduleHasEveryExecution(t *testing.T) {
	n := newNode(t, Memory, 0, 0)
	offer(t, n, find(t, "transfers"))
	s, err := n.schedule("transfers", 2)
	if err != nil {
		t.Fatal(err)
	}
	if s == nil {
		t.Fatal("the scheduler's decision points have changed: recorder no longer makes sense of them")
	}
	runs := 0
	for _, step := range s.Steps {
		if step.What == "run" {
			runs++
		}
		if step.ToMS < step.FromMS {
			t.Errorf("step %+v ends before it begins", step)
		}
	}
	if runs < testTxs {
		t.Errorf("%d executions for %d transactions", runs, testTxs)
	}
}

func TestFixtureBlocksComeOutAsOnTheirChain(t *testing.T) {
	fixtures, err := LoadFixtures("../../../shared/fixtures/opstack")
	if errors.Is(err, ErrNoFixtures) {
		t.Skip("../shared/fixtures is not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures {
		outcome, err := f.compare(t.Context(), Comparison{Workers: 2, Rounds: 1}) // checks gas and receipts
		if err != nil {
			t.Fatal(err)
		}
		if !outcome.Equal {
			t.Errorf("%s: the state after differs", f.Name)
		}
	}
}

func TestUnknownWorkloadsAreNamed(t *testing.T) {
	_, _, err := ParseWorkloads("transfers,nonsense")
	if !errors.Is(err, ErrUnknownWorkload) || !strings.Contains(err.Error(), `"nonsense"`) || !strings.Contains(err.Error(), "erc20-hot") {
		t.Errorf("error %v, want one that names the workload and those there are", err)
	}
	all, fixtures, err := ParseWorkloads("all,fixtures,erc20")
	if err != nil || !fixtures || len(all) != len(Workloads()) {
		t.Errorf("%d workloads, fixtures %v, error %v", len(all), fixtures, err)
	}
}

// sample is an outcome with ratios 2, 4 and 3.
func sample() *Outcome {
	build := func(fill int) *Build {
		d := time.Duration(fill) * time.Millisecond
		return &Build{Fill: d, Seal: time.Millisecond, Total: d + time.Millisecond, Objects: 10, Pooled: 5, CPU: d}
	}
	o := &Outcome{Equal: true, PeakSequential: []float64{100}, PeakParallel: []float64{110}}
	for _, fill := range []int{20, 40, 30} {
		parallel := build(10)
		parallel.Engine = EngineStats{Executions: 6, Reexecutions: 1}
		o.Pairs = append(o.Pairs, Pair{Sequential: build(fill), Parallel: parallel, Limit: 5 * time.Millisecond})
	}
	return o
}

func TestRatiosAreMediansOfTheRounds(t *testing.T) {
	r := NewRow("sample", 2, sample())
	if r.FillRatio != 3 || r.FillSpread != [2]float64{2, 4} || r.LimitRatio != 6 || r.LimitShare != 0.5 || r.Reexecutions != 1 || r.ExecutedOnce != 0.8 {
		t.Errorf("%+v", r)
	}
	if r.AllocRatio != 1 || r.PeakMemoryRatio != 1.1 {
		t.Errorf("allocations %v, memory %v", r.AllocRatio, r.PeakMemoryRatio)
	}
}

func TestALimitThatIsBeatenIsNone(t *testing.T) {
	o := sample()
	for i := range o.Pairs {
		o.Pairs[i].Limit = 12 * time.Millisecond // the parallel filling takes 10
	}
	if r := NewRow("sample", 2, o); r.LimitShare != 1 || r.LimitRatio != r.FillRatio {
		t.Errorf("%v of a limit of %v, with a speed-up of %v", r.LimitShare, r.LimitRatio, r.FillRatio)
	}
}

func TestTheJSONIsWhatOthersRead(t *testing.T) {
	row := NewRow("sample", 2, sample())
	row.Bound = 7
	report := &Report{Machine: ThisMachine(), Conditions: Conditions{State: Warm, Accounts: 5}, Rows: []Row{row}}
	fixture := NewRow("fixtures/1", 2, sample())
	report.Blocks, report.Rows = []Row{fixture}, append(report.Rows, mean([]Row{fixture}))
	var text bytes.Buffer
	if err := report.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["machine"] == nil || got["rows"] == nil {
		t.Errorf("the object has other fields than machine and rows:\n%s", text.String())
	}
	var machine map[string]any
	if err := json.Unmarshal(got["machine"], &machine); err != nil || machine["cpu"] == "" || machine["cores"] == nil || machine["state"] != "warm" {
		t.Errorf("machine %v (%v), want its CPU, its cores and where the state was", machine, err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(got["rows"], &rows); err != nil || len(rows) != 3 {
		t.Fatalf("%d rows (%v), want that of the workload, of all fixtures and of the fixture", len(rows), err)
	}
	for i, want := range []string{"sample", "fixtures", "fixtures/1"} {
		checkRow(t, want, rows[i])
	}
	for name, want := range map[string]any{"txs": 5.0, "rounds": 3.0, "workers": 2.0, "fill_ratio": 3.0, "limit_share": 0.5, "bound": 7.0, "alloc_ratio": 1.0, "peak_memory_ratio": 1.1, "reexecutions": 1.0, "equal": true} {
		if rows[0][name] != want {
			t.Errorf("%s is %v, want %v", name, rows[0][name], want)
		}
	}

	// Without results there still is a list.
	text.Reset()
	if err := new(Report).WriteJSON(&text); err != nil || !strings.Contains(text.String(), `"rows": []`) {
		t.Errorf("no results are written as %s (%v)", text.String(), err)
	}
}

// checkRow checks that a row has every field that others read, of the right type.
func checkRow(t *testing.T, name string, row map[string]any) {
	t.Helper()
	if row["workload"] != name {
		t.Errorf("row of %v, want that of %s", row["workload"], name)
	}
	for _, field := range []string{"workers", "txs", "rounds", "fill_ratio", "seal_ratio", "total_ratio", "limit_share", "bound", "alloc_ratio", "peak_memory_ratio", "reexecutions"} {
		if v, ok := row[field].(float64); !ok || v < 0 {
			t.Errorf("%s: %s is %v, want a number", name, field, row[field])
		}
	}
	if share, _ := row["limit_share"].(float64); share > 1 {
		t.Errorf("%s: limit_share is %v, more than all", name, share)
	}
	if _, ok := row["equal"].(bool); !ok {
		t.Errorf("%s: equal is %v", name, row["equal"])
	}
	reach, _ := row["fill_spread"].([]any)
	if len(reach) != 2 {
		t.Fatalf("%s: fill_spread is %v, want [least, most]", name, row["fill_spread"])
	}
	least, _ := reach[0].(float64)
	most, _ := reach[1].(float64)
	if ratio, _ := row["fill_ratio"].(float64); least > ratio || ratio > most {
		t.Errorf("%s: fill_ratio %v is not within %v", name, ratio, reach)
	}
}

func TestReportsHaveEveryRow(t *testing.T) {
	report := &Report{Machine: ThisMachine(), Schedule: &Schedule{Workload: "w", Workers: 1, EndMS: 2, Steps: []Step{{0, "run", 0, 1}}}}
	for _, workers := range []int{1, 2} {
		report.Rows = append(report.Rows, NewRow("sample", workers, sample()))
	}
	report.Blocks = []Row{NewRow("fixtures/1", 2, sample())}
	var table, page, lines, markdown bytes.Buffer
	for _, err := range []error{report.WriteTable(&table), report.WriteHTML(&page), report.WriteCSV(&lines), report.WriteMarkdown(&markdown)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"table": table.String(), "page": page.String(), "CSV": lines.String()} {
		if strings.Count(text, "sample") < 2 || !strings.Contains(text, "fixtures/1") {
			t.Errorf("the %s lacks rows:\n%s", name, text)
		}
	}
	if rows := strings.Count(markdown.String(), "| sample |"); rows != 2 {
		t.Errorf("the document's table has %d rows, want 2", rows)
	}
	if strings.Count(page.String(), "<svg") != 3 {
		t.Errorf("the page has %d plots, want 3", strings.Count(page.String(), "<svg"))
	}
	if rows := strings.Count(lines.String(), "\n"); rows != 4 {
		t.Errorf("the CSV has %d lines, want 4", rows)
	}
}
