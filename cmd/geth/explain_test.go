package geth

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// explained is what the test looks at of what explain -json gives.
type explained struct {
	Blocks []struct {
		Txs  int     `json:"txs"`
		Keys []key   `json:"hot_keys"`
		Work float64 `json:"work_ms"`

		Chain []struct {
			Hash common.Hash `json:"hash"`
			Via  *key        `json:"via"`
		} `json:"longest_chain"`
		Forecasts []struct {
			Workers int     `json:"workers"`
			Speedup float64 `json:"speedup"`
			AtBest  float64 `json:"at_best"`
		} `json:"forecasts"`
		Schedule *json.RawMessage `json:"schedule"`
	} `json:"blocks"`
}

type key struct {
	Address common.Address `json:"address"`
	Field   string         `json:"field"`
	Slot    *common.Hash   `json:"slot"`
	Readers int            `json:"readers"`
	Writers int            `json:"writers"`
	Waits   int            `json:"conflicts"`
}

func TestABlockThatTheNodeBuiltIsExplainedOverRPC(t *testing.T) {
	const accounts, calls = 60, 40
	path, explain := patched(t), binary(t, "EXPLAIN")
	c, datadir := newChain(t, path, accounts)
	c.start(t, path, datadir, "--miner.parallel-threads", "2")
	c.send(t, func(i int, nonce uint64) *types.DynamicFeeTx {
		to := common.BigToAddress(big.NewInt(int64(0x10_0000 * (i + 1))))
		if i < calls {
			to = counter
		}
		return &types.DynamicFeeTx{To: &to, Gas: 100_000}
	})
	payload := c.build(t)
	c.importPayload(t, payload)

	// That it is one of those that were built in parallel is what miner_parallelStats says.
	var builds []miner.Report
	if err := c.node.client(t).CallContext(t.Context(), &builds, "miner_parallelStats", 5); err != nil {
		t.Fatal(err)
	}
	own := false
	for _, b := range builds {
		own = own || b.Hash != nil && *b.Hash == payload.ExecutionPayload.BlockHash && b.Parallel && b.Committed == accounts
	}
	if !own {
		t.Errorf("block %s, of %d transactions, is not among the parallel builds %+v", payload.ExecutionPayload.BlockHash, accounts, builds)
	}

	page := filepath.Join(t.TempDir(), "block.html")
	for _, block := range []string{"latest", "1", payload.ExecutionPayload.BlockHash.Hex()} {
		r := run(t, explain, nil, "-rpc", c.node.http, "-block", block, "-html", page)
		if r.code != 0 {
			t.Fatalf("-block %s: code %d\n%s", block, r.code, r.stderr)
		}
		text := strings.Join(strings.Fields(r.stdout), " ")
		for _, want := range []string{
			fmt.Sprintf("%d transactions, ", accounts),
			fmt.Sprintf("longest chain of dependencies: %d transactions", calls),
			fmt.Sprintf("%s slot 0 %d ", counter.Hex(), calls-1),
			"threads at best ",
			" 64 ", " held up by",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("-block %s: the table lacks %q:\n%s", block, want, r.stdout)
			}
		}
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "<rect", counter.Hex(), "64"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	r := run(t, explain, nil, "-rpc", c.node.http, "-json")
	var got explained
	if err := json.Unmarshal([]byte(r.stdout), &got); r.code != 0 || err != nil || len(got.Blocks) != 1 {
		t.Fatalf("code %d, %v:\n%s\n%s", r.code, err, r.stdout, r.stderr)
	}
	b := got.Blocks[0]
	if b.Txs != accounts || b.Work <= 0 || b.Schedule == nil {
		t.Errorf("the block has %d transactions that take %v ms, want %d and a schedule", b.Txs, b.Work, accounts)
	}
	if want := (key{counter, "slot", new(common.Hash), calls, calls, calls - 1}); len(b.Keys) == 0 || !b.Keys[0].is(want) {
		t.Errorf("the hottest keys are %+v, want first %+v", b.Keys, want)
	}
	if len(b.Chain) != calls || b.Chain[calls-1].Via == nil || b.Chain[calls-1].Via.Address != counter {
		t.Errorf("the longest chain is %+v, want the %d calls of the counter", b.Chain, calls)
	}
	for i, f := range b.Forecasts {
		if want := 1 << i; f.Workers != want || f.Speedup <= 0 || f.AtBest <= 0 || f.AtBest > float64(want) {
			t.Errorf("forecast %d is %+v, want one for %d threads", i, f, want)
		}
	}
	if len(b.Forecasts) != 7 {
		t.Errorf("%d forecasts, want those for 1 to 64 threads", len(b.Forecasts))
	}
}

// is reports whether two keys are the same, slots by value.
func (k key) is(o key) bool {
	same := k.Slot != nil && o.Slot != nil && *k.Slot == *o.Slot
	k.Slot, o.Slot = nil, nil
	return same && k == o
}

func TestExplainSaysWhatANodeLacks(t *testing.T) {
	path, explain := patched(t), binary(t, "EXPLAIN")
	c, datadir := newChain(t, path, 1)
	c.start(t, path, datadir)
	without := start(t, path, t.TempDir(), "--http.api", "eth")
	for _, test := range []struct {
		args  []string
		code  int
		words []string
	}{
		{[]string{"-rpc", c.node.http, "-block", "7"}, 1, []string{"-block", "7", "does not have it"}},
		{[]string{"-rpc", c.node.http, "-block", "soon"}, 2, []string{"-block", `"soon"`, "latest, a number"}},
		{[]string{"-rpc", without.http}, 1, []string{"debug", "--http.api"}},
		{[]string{"-rpc", "http://" + freeAddress(t)}, 1, []string{"connection refused"}},
		{[]string{"-rpc", "nowhere"}, 2, []string{"-rpc", `"nowhere"`, "http://"}},
	} {
		r := run(t, explain, nil, test.args...)
		if r.code != test.code || r.stdout != "" {
			t.Errorf("%v ends with code %d, want %d, and prints %q", test.args, r.code, test.code, r.stdout)
		}
		for _, word := range test.words {
			if !strings.Contains(r.stderr, word) {
				t.Errorf("%v: the error does not say %q: %s", test.args, word, r.stderr)
			}
		}
	}
}
