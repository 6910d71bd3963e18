package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

const opstackFixture = "../../../shared/fixtures/opstack/8138510.json.gz"

func explainOptions(t *testing.T) ExplainOptions {
	return ExplainOptions{Workers: []int{1, 2, 8}, Picture: 4, Top: 3, Seed: testSeed, Rounds: 3, Progress: func(text string) { t.Log(text) }}
}

func explainWorkload(t *testing.T, name string, o ExplainOptions) *Explanation {
	t.Helper()
	var found *Explanation
	err := WorkloadSubjects(testWorld(), []Workload{find(t, name)}, testTxs, o.Progress, func(s *Subject) (err error) {
		found, err = Explain(t.Context(), s, o)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v; seed %d", name, err, testSeed)
	}
	return found
}

func TestOnePoolIsExplainedByItsReserves(t *testing.T) {
	e := explainWorkload(t, "one-pool", explainOptions(t))
	if len(e.Chain) != testTxs || e.Bound > 1.01 || e.Txs != testTxs {
		t.Errorf("the longest chain has %d of %d transactions, bound %.2f; seed %d", len(e.Chain), e.Txs, e.Bound, testSeed)
	}
	if len(e.Keys) != 3 {
		t.Fatalf("%d hot keys, want the 3 that were asked for; seed %d", len(e.Keys), testSeed)
	}
	hot := e.Keys[0]
	if hot.Slot == nil || hot.Waits != testTxs-1 || hot.Writers != testTxs || hot.Readers != testTxs {
		t.Errorf("hottest key %+v, want a slot that all %d transactions read and write; seed %d", hot, testTxs, testSeed)
	}
	if last := e.Chain[testTxs-1]; last.Via == nil || last.Via.Slot == nil || last.Index != testTxs-1 {
		t.Errorf("the chain's last link %+v does not say what it reads; seed %d", last, testSeed)
	}
	for _, f := range e.Forecasts {
		if f.AtBest > 1.01 || f.Speedup > 1.05 {
			t.Errorf("%d threads: %.2f at best, %.2f simulated, but every transaction depends on the one before; seed %d", f.Workers, f.AtBest, f.Speedup, testSeed)
		}
	}
	if e.Forecasts[2].Repeats == 0 {
		t.Errorf("8 threads never executed anything in vain; seed %d", testSeed)
	}
	if e.Schedule == nil || e.Schedule.Workers != 4 || e.Schedule.EndMS <= 0 {
		t.Errorf("schedule %+v", e.Schedule)
	}
}

func TestTransfersHaveNoConflictsAndFourHotVaults(t *testing.T) {
	e := explainWorkload(t, "transfers", explainOptions(t))
	if len(e.Keys) != 0 || len(e.Chain) != 1 {
		t.Errorf("hot keys %+v, longest chain of %d; seed %d", e.Keys, len(e.Chain), testSeed)
	}
	if len(e.Additions) != 3 || e.Additions[0].Writers != testTxs {
		t.Errorf("additions %+v, want the first 3 of the vaults, with %d writers; seed %d", e.Additions, testTxs, testSeed)
	}
	for _, f := range e.Forecasts {
		if f.Repeats != 0 || f.Speedup <= 0 || f.Speedup > float64(f.Workers) {
			t.Errorf("forecast %+v; seed %d", f, testSeed)
		}
	}
}

func TestACheckComparesWithARealFilling(t *testing.T) {
	o := explainOptions(t)
	o.Workers, o.Check = nil, []int{1, 2}
	e := explainWorkload(t, "erc20", o)
	if len(e.Checks) != 2 {
		t.Fatalf("%d checks, want 2", len(e.Checks))
	}
	for _, c := range e.Checks {
		t.Logf("%d threads: simulated %.2f ms, real %.2f ms", c.Workers, c.PredictedMS, c.RealMS)
		// How good the simulation is is told by 'make simulate' on a quiet machine.
		if c.PredictedMS <= 0 || c.RealMS <= 0 || c.RealSpread[0] > c.RealMS || c.Within != (c.Error >= -Tolerance && c.Error <= Tolerance) {
			t.Errorf("check %+v", c)
		}
	}
	if c := e.Machine; c.Threads < 1 || c.Slow < 1 || c.CollectorMS < 0 {
		t.Errorf("threads slow each other down by %+v", c)
	}
	if one := e.Checks[0]; one.Error < -0.5 || one.Error > 1 {
		t.Errorf("with one thread %.2f ms are simulated and %.2f real; seed %d", one.PredictedMS, one.RealMS, testSeed)
	}
}

func TestExplanationsAreWrittenInFull(t *testing.T) {
	all := []*Explanation{explainWorkload(t, "one-pool", explainOptions(t)), explainWorkload(t, "transfers", explainOptions(t))}
	var text, page, object bytes.Buffer
	for _, e := range all {
		if err := e.WriteText(&text); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteExplanationsHTML(&page, ThisMachine(), all); err != nil {
		t.Fatal(err)
	}
	if err := WriteExplanationsJSON(&object, ThisMachine(), all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hottest keys", "longest chain:", "at best", "arXiv:2203.06871", "no transaction reads what another one writes", all[0].Keys[0].Address.Hex()} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	if got, want := strings.Count(page.String(), "<circle"), 0; got != want { // the curves end at 8 threads
		t.Errorf("the page has %d published points, want %d", got, want)
	}
	// A curve each, and a lane for each of the 4 threads in the picture.
	if got := strings.Count(page.String(), "<svg"); got != 2*(1+4) {
		t.Errorf("the page has %d drawings, want 10", got)
	}
	if strings.Contains(page.String(), "<script") || strings.Contains(page.String(), "http") {
		t.Error("the page needs something else")
	}
	var back struct {
		Blocks []map[string]any `json:"blocks"`
	}
	if err := json.Unmarshal(object.Bytes(), &back); err != nil || len(back.Blocks) != 2 {
		t.Fatalf("%d blocks in the JSON (%v)", len(back.Blocks), err)
	}
	for _, name := range []string{"block", "txs", "bound", "hot_keys", "longest_chain", "forecasts", "schedule", "published"} {
		if _, ok := back.Blocks[0][name]; !ok {
			t.Errorf("the JSON has no field %q", name)
		}
	}
}

// opstack returns the fixture of an OP Stack chain.
func opstack(t *testing.T) *Fixture {
	t.Helper()
	f, err := LoadFixture(opstackFixture)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("../shared/fixtures is not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sameBlock checks that two fixtures hold the same block, and that it comes out.
func sameBlock(t *testing.T, got, want *Fixture) {
	t.Helper()
	if got.data.Header.Hash() != want.data.Header.Hash() || !reflect.DeepEqual(hashes(got.txs), hashes(want.txs)) || len(got.forced) != len(want.forced) {
		t.Fatalf("block %v with %d transactions and %d deposits, want %v with %d and %d", got.data.Header.Hash(), len(got.txs), len(got.forced),
			want.data.Header.Hash(), len(want.txs), len(want.forced))
	}
	s := got.Subject()
	s.check = want.check
	for _, workers := range []int{sequential, 1, 2} {
		if _, err := s.fill(workers, nil); err != nil {
			t.Errorf("%d workers: %v", workers, err)
		}
	}
}

func hashes(txs []*types.Transaction) (out []common.Hash) {
	for _, tx := range txs {
		out = append(out, tx.Hash())
	}
	return out
}

func TestADumpIsReadAsABlock(t *testing.T) {
	f := opstack(t)
	text, err := json.Marshal(&miner.Dump{
		Header: f.data.Header, Transactions: f.data.Transactions, Parallel: new(miner.DumpedOutcome),
		Config: f.config, Pre: f.data.Pre, BlockHashes: f.data.BlockHashes,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadDump(path)
	if err != nil {
		t.Fatal(err)
	}
	sameBlock(t, got, f)

	if err := os.WriteFile(path, []byte(`{"header": null}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDump(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names the file", err)
	}
}

// fakeNode serves a fixture as a node would serve the block.
type fakeNode struct{ f *Fixture }

func (n *fakeNode) block(t *testing.T) []byte {
	body := types.Body{Withdrawals: types.Withdrawals{}}
	for _, raw := range n.f.data.Transactions {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			t.Fatal(err)
		}
		body.Transactions = append(body.Transactions, tx)
	}
	raw, err := rlp.EncodeToBytes(types.NewBlockWithHeader(n.f.data.Header).WithBody(body))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type fakeEth struct{ f *Fixture }

func (e *fakeEth) GetBlockByNumber(number string, _ bool) map[string]common.Hash {
	if number == "0x2" {
		return nil
	}
	return map[string]common.Hash{"hash": e.f.data.Header.Hash()}
}

//nolint:staticcheck // its name makes it eth_chainId
func (e *fakeEth) ChainId() *hexutil.Big { return (*hexutil.Big)(e.f.config.ChainID) }

type fakeDebug struct {
	f   *Fixture
	raw hexutil.Bytes
}

func (d *fakeDebug) GetRawBlock(rpc.BlockNumberOrHash) hexutil.Bytes { return d.raw }

// TraceBlockByHash has the first transaction find everything, and the others something
// else, which must not matter.
func (d *fakeDebug) TraceBlockByHash(common.Hash, json.RawMessage) (out []map[string]any) {
	found := make(map[common.Address]any)
	later := make(map[common.Address]any)
	for addr, a := range d.f.data.Pre {
		found[addr] = map[string]any{"balance": (*hexutil.Big)(a.Balance), "nonce": a.Nonce, "code": hexutil.Bytes(a.Code), "storage": a.Storage}
		spoilt := make(map[common.Hash]common.Hash)
		for key := range a.Storage {
			spoilt[key] = common.Hash{1}
		}
		later[addr] = map[string]any{"balance": "0x1", "nonce": a.Nonce + 7, "storage": spoilt}
	}
	for i := range d.f.data.Transactions {
		result := later
		if i == 0 {
			result = found
		}
		out = append(out, map[string]any{"result": result})
	}
	return out
}

func TestABlockIsReadFromANode(t *testing.T) {
	f := opstack(t)
	server := rpc.NewServer()
	defer server.Stop()
	node := &fakeNode{f}
	for name, service := range map[string]any{"eth": &fakeEth{f}, "debug": &fakeDebug{f, node.block(t)}} {
		if err := server.RegisterName(name, service); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(server)
	defer web.Close()
	got, err := FetchFixture(t.Context(), web.URL, "latest")
	if err != nil {
		t.Fatal(err)
	}
	sameBlock(t, got, f)

	for block, want := range map[string]string{"2": "does not have it", "soon": "allowed are latest"} {
		if _, err := FetchFixture(t.Context(), web.URL, block); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), block) {
			t.Errorf("block %q: error %v, want one that says %q and names it", block, err, want)
		}
	}
}
