package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put writes files below a new folder and returns it.
func put(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func packed(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped(t, out.Bytes())
}

// specTest is the small test as the execution-spec-tests write theirs: prefixed, with the
// fork in the name, a config, an _info and what the builder has no use for.
func specTest(t *testing.T, fork string) []byte {
	t.Helper()
	test := filled(t, fork)
	entry := test["small"]
	post := postOf(test, fork)
	for _, field := range []string{"hash", "logs"} {
		post[field] = "0x" + post[field].(string)
	}
	post["state"] = map[string]any{}
	env := entry["env"].(map[string]any)
	env["currentCoinbase"] = "0x" + env["currentCoinbase"].(string)
	entry["transaction"].(map[string]any)["sender"] = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"
	entry["transaction"].(map[string]any)["accessLists"] = []any{nil}
	entry["config"] = map[string]any{"chainid": "0x01", "blobSchedule": map[string]any{fork: map[string]any{"target": "0x06", "max": "0x09", "baseFeeUpdateFraction": "0x4c6964"}}}
	entry["_info"] = map[string]any{"hash": "0x00", "comment": "made by a test", "fixture-format": "state_test"}
	data, err := json.Marshal(map[string]any{"tests/prague/test_small.py::test_small[fork_" + fork + "-state_test]": entry})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAFolderOfAllSortsRunsWhatItKnowsAndSaysWhatItDoesNot(t *testing.T) {
	good := specTest(t, "Prague")
	later := strings.ReplaceAll(string(specTest(t, "Cancun")), `"Cancun":[`, `"Tomorrow":[`)
	dir := put(t, map[string][]byte{
		"state_tests/prague/small.json":        good,
		"state_tests/tomorrow/small.json":      []byte(later),
		"state_tests/verkle/small.json":        []byte(strings.ReplaceAll(later, "Tomorrow", "Verkle")),
		"state_tests/eip/small.json":           []byte(strings.ReplaceAll(later, "Tomorrow", "London+3855")),
		"archive.tar.gz":                       packed(t, "inside/small.json", good),
		".meta/index.json":                     []byte(`{"root_hash": "0x00", "test_cases": [1, 2]}`),
		"list.json":                            []byte(`[1, 2, 3]`),
		"blockchain_tests/small.json":          []byte(`{"a block": {"blocks": [], "genesisBlockHeader": {}, "pre": {}, "network": "Prague"}}`),
		"README.md":                            []byte("# not data"),
		"broken/half.json":                     good[:len(good)/2],
		"broken/empty.json":                    {},
		"broken/wrong.json":                    []byte(`{"x": {"env": 1, "pre": {}, "post": {}, "transaction": {}}}`),
		"broken/archive.tar.gz":                []byte("no archive"),
		"broken/cut.tar.gz":                    packed(t, "inside/small.json", good)[:60],
		"odd/no transaction fields/small.json": []byte(`{"x": {"env": {}, "pre": {}, "post": {"Prague": [{"hash": "0x00"}]}, "transaction": {}}}`),
		"odd/indexes/small.json":               bytes.Replace(good, []byte(`"data":0`), []byte(`"data":-1`), 1),
	})
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{dir, link} {
		report, err := Run(context.Background(), Options{Tests: []string{root}, Workers: []int{1, 2}, Single: true})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := report.WriteText(&out, 50); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if got := report.Totals(); got.Passed != 2 || got.Failed != 8 || got.Skipped != 3 {
			t.Errorf("%d passed, %d failed, %d skipped, want 2, 8 and 3\n%s", got.Passed, got.Failed, got.Skipped, text)
		}
		for _, want := range []string{
			"broken/half.json: not JSON", "broken/empty.json: not JSON", "broken/wrong.json: state test x:", "broken/archive.tar.gz: gzip:", "broken/cut.tar.gz:",
			"link.json:", "skipped 1: op-geth does not know the fork Tomorrow", "leaves Verkle to the sequential path", "single EIPs added",
			"ignored 3 files", "\n2 passed, 8 failed, 3 skipped\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the report does not say %q:\n%s", want, text)
			}
		}
		if !strings.HasSuffix(text, "skipped\n") {
			t.Errorf("the last line is not the sum:\n%s", text)
		}
	}
}

func TestBlocksThatCannotBeRunAreFailuresAndThoseOfUnknownChainsSkips(t *testing.T) {
	header := `{"parentHash":"0x` + strings.Repeat("00", 32) + `","sha3Uncles":"0x` + strings.Repeat("00", 32) + `","miner":"0x` + strings.Repeat("00", 20) +
		`","stateRoot":"0x` + strings.Repeat("00", 32) + `","transactionsRoot":"0x` + strings.Repeat("00", 32) + `","receiptsRoot":"0x` + strings.Repeat("00", 32) +
		`","logsBloom":"0x` + strings.Repeat("00", 256) + `","difficulty":"0x0","number":"0x1","gasLimit":"0x1","gasUsed":"0x0","timestamp":"0x1","extraData":"0x"}`
	stranger := `{"chainId": 987654, "header": ` + header + `, "transactions": [], "senders": [], "pre": {}, "expected": {}}`
	dir := put(t, map[string][]byte{
		"stranger.json.gz":      zipped(t, []byte(stranger)),
		"plain/stranger.json":   []byte(stranger),
		"other.json.gz":         zipped(t, []byte(`{"what": "ever"}`)),
		"half.json.gz":          zipped(t, []byte(stranger))[:50],
		"text.json.gz":          []byte("no gzip"),
		"no-header.json.gz":     zipped(t, []byte(strings.Replace(stranger, header, `{}`, 1))),
		"senders.json.gz":       zipped(t, []byte(strings.Replace(stranger, `"senders": []`, `"senders": ["0x`+strings.Repeat("00", 20)+`"]`, 1))),
		"transactions.json.gz":  zipped(t, []byte(strings.Replace(stranger, `"transactions": [], "senders": []`, `"transactions": ["0x01"], "senders": ["0x`+strings.Repeat("00", 20)+`"]`, 1))),
		"expectations.json.gz":  zipped(t, []byte(strings.Replace(stranger, `"expected": {}`, `"expected": 1`, 1))),
		"somebody-elses.tar.gz": packed(t, "small.json", []byte(`{}`)),
	})
	report, err := Run(context.Background(), Options{Blocks: []string{dir}, Workers: []int{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report.WriteText(&out, 50); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if got := report.Totals(); got.Passed != 0 || got.Failed != 6 || got.Skipped != 2 || !strings.Contains(text, "no rules are known for the chain 987654") || !strings.Contains(text, "ignored 2 files") {
		t.Errorf("%+v, want 6 failed, 2 skipped and 2 ignored:\n%s", got, text)
	}
}
