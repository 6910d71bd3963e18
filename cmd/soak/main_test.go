package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
)

// soaked runs the program.
func soaked(ctx context.Context, trial func(int64) buildtest.Trial, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, trial, &out, &errs)
	return code, out.String(), errs.String()
}

func TestABlockThatPassesIsCountedAndTheExitCodeIsZero(t *testing.T) {
	code, out, errs := soaked(context.Background(), blockTrial, "-duration", "1s", "-suites", "blocks", "-seed", "5", "-json", "-out", t.TempDir())
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	var report Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	row := report.Suites[0]
	if report.Seed != 5 || row.Runs < 1 || row.LastSeed != 4+int64(row.Runs) || row.Tally.Builds < 8*row.Runs || row.Tally.Transactions == 0 ||
		row.Tally.Executions < row.Tally.Transactions || len(row.Tally.Dropped) == 0 || len(report.Failures) > 0 {
		t.Errorf("the report does not add up:\n%s", out)
	}
}

// lyingReader is a planted bug: the parallel builds see other storage.
type lyingReader struct{ state.Reader }

// Storage implements state.StateReader.
func (r lyingReader) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	value, err := r.Reader.Storage(addr, key)
	value[31] ^= 1
	return value, err
}

func TestAPlantedBugEndsInAFileWithTheCommandThatReplaysIt(t *testing.T) {
	lying := func(int64) buildtest.Trial {
		return buildtest.Trial{Workers: []int{2}, Wrap: func(r state.Reader) state.Reader { return lyingReader{r} }}
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	code, out, errs := soaked(ctx, lying, "-duration", "1s", "-suites", "blocks", "-seed", "8", "-out", dir)
	if code != 1 || !strings.Contains(errs, "FAIL random blocks") {
		t.Fatalf("exit code %d, want 1\n%s%s", code, out, errs)
	}
	replay := regexp.MustCompile(`replay: build/bin/soak (-replay) (\S+)`).FindStringSubmatch(out)
	if replay == nil {
		t.Fatalf("the summary has no command:\n%s", out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "block-8.txt"))
	if err != nil || !strings.Contains(string(text), replay[0]) || !strings.Contains(string(text), "pool, in order of arrival") {
		t.Errorf("the file does not say how to replay the block (%v):\n%s", err, text)
	}
	small, err := buildtest.ReadPlan(replay[2])
	if err != nil {
		t.Fatal(err)
	}
	if len(small.Txs) > 3 {
		t.Errorf("%d transactions are left:\n%s", len(small.Txs), small)
	}
	if code, out, errs := soaked(context.Background(), lying, replay[1], replay[2]); code != 1 || !strings.Contains(out, "fails at try 1") {
		t.Errorf("replayed with the bug: exit code %d, want 1\n%s%s", code, out, errs)
	}
	if code, out, errs := soaked(context.Background(), blockTrial, replay[1], replay[2], "-tries", "2"); code != 0 || !strings.Contains(out, "did not fail") {
		t.Errorf("replayed without it: exit code %d, want 0\n%s%s", code, out, errs)
	}
}

func TestCtrlCEndsItWithTheSummary(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(500*time.Millisecond, cancel)
	begin := time.Now()
	code, out, errs := soaked(ctx, blockTrial, "-duration", "1h", "-suites", "blocks", "-out", t.TempDir())
	if code != cli.Interrupted || !strings.Contains(out, "random blocks") || time.Since(begin) > time.Minute {
		t.Errorf("exit code %d after %v\n%s%s", code, time.Since(begin), out, errs)
	}
}

func TestWhatIsNotAllowedIsNamed(t *testing.T) {
	none := t.TempDir()
	for want, args := range map[string][]string{
		"-suites":         {"-suites", "blocks,bocks"},
		"-duration is":    {"-duration", "-1s"},
		"'make soak' bui": {"-suites", "views", "-tests", none},
		"no such file":    {"-suites", "fuzz", "-tests", none},
		"none.json":       {"-replay", filepath.Join(none, "none.json")},
	} {
		code, out, errs := soaked(context.Background(), blockTrial, append(args, "-out", t.TempDir())...)
		if code != cli.Usage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, want %d and %q\n%s%s", args, code, cli.Usage, want, out, errs)
		}
	}
}
