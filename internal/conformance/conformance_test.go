package conformance

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/tests"
)

var fixtures = flag.String("fixtures", "../../../shared/fixtures", "folder with the test data that others wrote")

// smallTest is a state test in two forks, of one call that writes and logs and of one
// transaction that cannot pay. Its expectations are filled in by op-geth's own runner.
const smallTest = `{"small": {
	"env": {"currentCoinbase": "2adc25665018aa1fe0e6bc666dac8fc2697ff9ba", "currentDifficulty": "0x020000", "currentRandom": "0x020000",
		"currentGasLimit": "0x05f5e100", "currentNumber": "0x01", "currentTimestamp": "0x03e8", "currentBaseFee": "0x0a"},
	"pre": {
		"0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b": {"balance": "0x0de0b6b3a7640000", "nonce": "0x00", "code": "0x", "storage": {}},
		"0x0000000000000000000000000000000000001000": {"balance": "0x00", "nonce": "0x01", "code": "0x600054600101600055434060015560206000a0", "storage": {"0x00": "0x05"}}},
	"transaction": {"data": ["0x"], "gasLimit": ["0x0186a0"], "gasPrice": "0x0a", "nonce": "0x00", "value": ["0x00", "0x0de0b6b3a7640001"],
		"to": "0x0000000000000000000000000000000000001000", "secretKey": "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8"},
	"post": {"FORKS": [{"hash": "0x00", "logs": "0x00", "indexes": {"data": 0, "gas": 0, "value": 0}}]}}}`

// filled returns the small test under a fork with the root and the logs' hash that
// op-geth's runner finds.
func filled(t *testing.T, fork string) map[string]map[string]any {
	t.Helper()
	text := strings.ReplaceAll(smallTest, "FORKS", fork)
	var (
		upstream map[string]*tests.StateTest
		out      map[string]map[string]any
	)
	empty := `"` + strings.Repeat("00", 32) + `"`
	text = strings.NewReplacer(`"hash": "0x00"`, `"hash": `+empty, `"logs": "0x00"`, `"logs": `+empty).Replace(text)
	if err := json.Unmarshal([]byte(text), &upstream); err != nil {
		t.Fatal(err)
	}
	st, root, _, err := upstream["small"].RunNoVerify(tests.StateSubtest{Fork: fork}, vm.Config{}, false, rawdb.HashScheme)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	logs, err := rlpHash(st.StateDB.Logs())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	post := postOf(out, fork)
	post["hash"], post["logs"] = fmt.Sprintf("%x", root), fmt.Sprintf("%x", logs)
	return out
}

func postOf(test map[string]map[string]any, fork string) map[string]any {
	return test["small"]["post"].(map[string]any)[fork].([]any)[0].(map[string]any)
}

// runTest runs one file of state tests.
func runTest(t *testing.T, test map[string]map[string]any, sequential bool) *Report {
	t.Helper()
	data, err := json.Marshal(test)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "small.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Run(context.Background(), Options{Tests: []string{dir}, Workers: []int{1, 2, 4, 8}, Sequential: sequential})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAStateTestFilledByOpGethPasses(t *testing.T) {
	for _, fork := range []string{"Byzantium", "Istanbul", "London", "Cancun", "Prague"} {
		for _, sequential := range []bool{true, false} {
			report := runTest(t, filled(t, fork), sequential)
			if got := report.Totals(); got.Failed != 0 || got.Passed == 0 || got.Sequential != 0 {
				t.Errorf("%s, sequential %v: %+v: %+v", fork, sequential, got, report.Failures())
			}
			if !sequential && report.Work().Blocks != 8 {
				t.Errorf("%s: %d blocks built in parallel, want 8: one case and one shared block at 4 numbers of workers", fork, report.Work().Blocks)
			}
		}
	}
}

func TestForksBeforeByzantiumAreCountedAsSequentialByDesign(t *testing.T) {
	for _, fork := range []string{"Frontier", "Homestead", "EIP150", "EIP158"} {
		report := runTest(t, filled(t, fork), false)
		if got := report.Totals(); got.Failed != 0 || got.Sequential != got.Passed || got.Passed == 0 {
			t.Errorf("%s: %+v: %+v", fork, got, report.Failures())
		}
		if work := report.Work(); work.Blocks != 0 {
			t.Errorf("%s: %d blocks count as built in parallel", fork, work.Blocks)
		}
		for _, row := range report.Rows() {
			for _, n := range row.ByWorkers {
				if n != 0 {
					t.Errorf("%s: %d cases count as passed in parallel", fork, n)
				}
			}
		}
	}
}

func TestAWrongExpectationFails(t *testing.T) {
	wrong := strings.Repeat("12", 32)
	for name, spoil := range map[string]func(test map[string]map[string]any, post map[string]any){
		"state root":             func(_ map[string]map[string]any, post map[string]any) { post["hash"] = wrong },
		"logs hash":              func(_ map[string]map[string]any, post map[string]any) { post["logs"] = wrong },
		"rejection of the valid": func(_ map[string]map[string]any, post map[string]any) { post["expectException"] = "no" },
		"inclusion of the invalid": func(_ map[string]map[string]any, post map[string]any) {
			post["indexes"].(map[string]any)["value"] = 1
		},
		"other transaction": func(test map[string]map[string]any, _ map[string]any) {
			test["small"]["transaction"].(map[string]any)["gasLimit"] = []string{"0x0186a1"}
			test["small"]["transaction"].(map[string]any)["value"] = []string{"0x01"}
		},
		"unreadable": func(test map[string]map[string]any, _ map[string]any) { test["small"]["env"] = "nothing" },
	} {
		for _, sequential := range []bool{true, false} {
			test := filled(t, "Cancun")
			spoil(test, postOf(test, "Cancun"))
			if got := runTest(t, test, sequential).Totals(); got.Failed == 0 {
				t.Errorf("%s, sequential %v: a wrong expectation passes: %+v", name, sequential, got)
			}
		}
	}
}

func TestUnknownForksAreSkippedWithAReason(t *testing.T) {
	test := filled(t, "Cancun")
	posts := test["small"]["post"].(map[string]any)
	posts["Tomorrow"] = posts["Cancun"]
	report := runTest(t, test, false)
	if got := report.Totals(); got.Skipped != 1 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
	var out strings.Builder
	if err := report.WriteText(&out, 10); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "skipped 1: op-geth does not know the fork Tomorrow") || !strings.HasSuffix(text, "2 passed, 0 failed, 1 skipped\n") {
		t.Errorf("report:\n%s", text)
	}
}

func TestNothingToRunIsAnError(t *testing.T) {
	if _, err := Run(context.Background(), Options{Tests: []string{t.TempDir()}, Workers: []int{2}}); err == nil {
		t.Error("no error for an empty folder")
	}
	if _, err := Run(context.Background(), Options{Blocks: []string{"no-such-folder"}, Workers: []int{2}}); err == nil {
		t.Error("no error for a folder that does not exist")
	}
}

// shared returns where the data of others is, or skips the test.
func shared(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(*fixtures, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no test data at %s, -fixtures says where it is", path)
	}
	return path
}

func mustPass(t *testing.T, opts Options, atLeast int) {
	t.Helper()
	report, err := Run(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range report.Failures() {
		if i == 20 {
			break
		}
		t.Errorf("%s: %s", f.Case, f.Error)
	}
	if got := report.Totals(); got.Passed < atLeast || got.Failed > 0 {
		t.Errorf("%d passed, %d failed, want at least %d and none", got.Passed, got.Failed, atLeast)
	} else {
		t.Logf("%d passed, %d of them sequential by design; %+v", got.Passed, got.Sequential, report.Work())
	}
}

func TestMainNetworkBlocksMatchTheirHeaders(t *testing.T) {
	opts := Options{Blocks: []string{shared(t, "mainnet")}, Workers: []int{1, 2, 4, 8}, Jobs: 2}
	if testing.Short() {
		opts.Match = "/1" // those from 10 million on
	}
	mustPass(t, opts, 18)
}

func TestAnOPStackBlockMatchesItsHeader(t *testing.T) {
	mustPass(t, Options{Blocks: []string{shared(t, "opstack")}, Workers: []int{1, 2, 4, 8}}, 1)
}

// TestASliceOfTheStateTestsPasses runs the folders of the subjects that speculation is
// most likely to get wrong. All of them run by `make conformance`.
func TestASliceOfTheStateTestsPasses(t *testing.T) {
	folders := []string{"/stSelfBalance/", "/stCreate2/", "/stEIP4844-blobtransactions/", "/stEIP1153-transientStorage/", "/stRefundTest/"}
	if testing.Short() {
		folders = folders[:1]
	}
	for _, folder := range folders {
		t.Run(strings.Trim(folder, "/"), func(t *testing.T) {
			mustPass(t, Options{Tests: []string{shared(t, "statetests-cancun.tar.gz")}, Workers: []int{2, 8}, Match: folder, Jobs: 2}, 10)
		})
	}
}

func TestBlockFixturesWithWrongHeadersFail(t *testing.T) {
	path := filepath.Join(shared(t, "opstack"), "8138510.json.gz")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := decodeFixture(data)
	if err != nil || f == nil {
		t.Fatalf("fixture not decoded: %v", err)
	}
	j, err := f.job()
	if err != nil {
		t.Fatal(err)
	}
	got, err := j.run(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.check(got); err != nil {
		t.Fatal(err)
	}
	spoiled := *f
	spoiled.Expected.GasUsed++
	if spoiled.check(got) == nil {
		t.Error("wrong gas passes")
	}
	spoiled = *f
	spoiled.Expected.ReceiptsRoot[3] ^= 1
	if spoiled.check(got) == nil {
		t.Error("a wrong receipts root passes")
	}
	spoiled = *f
	spoiled.Expected.LogsBloom = types.Bloom{1}
	if spoiled.check(got) == nil {
		t.Error("a wrong bloom passes")
	}
}
