package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// gethBinary is the geth to run, and the number of threads that it can build with.
func gethBinary(t *testing.T) (binary, threads string) {
	t.Helper()
	binary = os.Getenv("GETH")
	if binary == "" {
		t.Skip("GETH is not set to a built geth, patched or not (make geth builds build/bin/geth)")
	}
	help, err := exec.Command(binary, "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%s --help: %v: %s", binary, err, help)
	}
	if strings.Contains(string(help), params.ThreadsFlag) {
		return binary, "2"
	}
	return binary, "1"
}

func TestARunBuildsBlocksOfEverythingThatFits(t *testing.T) {
	binary, threads := gethBinary(t)
	for _, load := range [][]string{{"-backlog", "400"}, {"-rate", "200"}} {
		t.Run(strings.Join(load, " "), func(t *testing.T) {
			dir := t.TempDir()
			results := filepath.Join(dir, "results.json")
			var out, errs bytes.Buffer
			code := realMain(append([]string{"-geth", binary, "-threads", threads, "-blocks", "4", "-block-time", "1s",
				"-accounts", "100", "-datadir", filepath.Join(dir, "data"), "-json", results}, load...), &out, &errs)
			if code != 0 {
				t.Fatalf("exit code %d: %s\n%s", code, &errs, &out)
			}
			text, err := os.ReadFile(results)
			if err != nil {
				t.Fatal(err)
			}
			var runs []struct {
				Sent, Refused, LeftPending, LeftQueued int

				Blocks       []blockReport
				Totals       totals
				FittingShare float64
			}
			if err := json.Unmarshal(text, &runs); err != nil {
				t.Fatal(err)
			}
			if len(runs) != 1 || len(runs[0].Blocks) != 4 {
				t.Fatalf("want one run of 4 blocks:\n%s", text)
			}
			r := runs[0]
			if r.FittingShare < 0.9 || r.Totals.Included < 400 || r.Totals.Failed == 0 {
				t.Errorf("included %d, %.2f of what fits, %d failed:\n%s", r.Totals.Included, r.FittingShare, r.Totals.Failed, &out)
			}
			if found := r.Refused + r.Totals.Included + r.LeftPending + r.LeftQueued; found != r.Sent {
				t.Errorf("%d transactions sent, %d found again:\n%s", r.Sent, found, &out)
			}
			for _, b := range r.Blocks {
				if b.Build <= 0 {
					t.Errorf("block %d: no build time was found in the log", b.Number)
				}
			}
			if by := r.Totals.ByWorker; threads != "1" && (len(by) < 2 || by[0] == 0 || by[1] == 0) {
				t.Errorf("executions by worker are %v, want some of each", by)
			}
		})
	}
}

func TestSequentialAndParallelRunsBuildTheSameBlocks(t *testing.T) {
	binary, threads := gethBinary(t)
	if threads == "1" {
		t.Skip("GETH builds sequentially only")
	}
	var out, errs bytes.Buffer
	code := realMain([]string{"-geth", binary, "-threads", threads, "-blocks", "3", "-block-time", "1s", "-backlog", "300",
		"-accounts", "60", "-mix", "base", "-datadir", filepath.Join(t.TempDir(), "data"), "-compare"}, &out, &errs)
	if code != 0 || !strings.Contains(out.String(), "3 of 3") {
		t.Errorf("exit code %d: %s\n%s", code, &errs, &out)
	}
}

// liar hands other payloads to newPayload than were built.
type liar struct{ consensus }

func (l liar) NewPayload(ctx context.Context, payload *engine.ExecutableData, beaconRoot common.Hash) error {
	if payload.Number == 2 {
		payload.StateRoot = common.Hash{1}
	}
	return l.consensus.NewPayload(ctx, payload, beaconRoot)
}

func TestABlockThatIsNotValidEndsTheRunAndCanBeReplayed(t *testing.T) {
	binary, threads := gethBinary(t)
	dir := t.TempDir()
	s, err := parse([]string{"-geth", binary, "-threads", threads, "-blocks", "3", "-block-time", "500ms", "-backlog", "50",
		"-accounts", "20", "-datadir", filepath.Join(dir, "data")}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.wrap = func(c consensus) consensus { return liar{c} }
	var out bytes.Buffer
	err = single(context.Background(), s, &out)
	if !errors.Is(err, engineapi.ErrNotValid) {
		t.Fatalf("got %v, want %v", err, engineapi.ErrNotValid)
	}
	files, err2 := filepath.Glob(filepath.Join(dir, "data", "*", "bad-block-2.json"))
	if err2 != nil || len(files) != 1 || !strings.Contains(err.Error(), files[0]) {
		t.Fatalf("block 2 should be in a file that the error names: files %v, error %v", files, err)
	}
	var errs bytes.Buffer
	if code := realMain([]string{"-geth", binary, "-replay", files[0]}, &out, &errs); code != cli.Failure {
		t.Errorf("replaying it exits with %d, want %d: %s", code, cli.Failure, &errs)
	}
	if !strings.Contains(errs.String(), "INVALID") {
		t.Errorf("replaying it says %q, want INVALID", &errs)
	}
}

func TestCtrlCStopsGethAndShowsWhatWasDone(t *testing.T) {
	binary, threads := gethBinary(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		args  []string
		after string // part of the line at which to interrupt
		code  int
	}{
		{"in a run", []string{"-blocks", "1000"}, "geth answers at", cli.Interrupted},
		{"with -keep, after its blocks", []string{"-blocks", "1", "-keep"}, "      2 ", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, self, append([]string{"-geth", binary, "-threads", threads, "-rate", "50", "-block-time", "300ms",
				"-accounts", "20", "-datadir", filepath.Join(t.TempDir(), "data")}, test.args...)...)
			cmd.Env = append(os.Environ(), runMain+"=1")
			cmd.Stderr = os.Stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var url string
			var all strings.Builder
			interrupted := false
			lines := bufio.NewScanner(stdout)
			for lines.Scan() {
				all.WriteString(lines.Text() + "\n")
				if _, after, ok := strings.Cut(lines.Text(), "geth answers at "); ok {
					url = after
				}
				if !interrupted && strings.Contains(lines.Text(), test.after) {
					interrupted = true
					if err := cmd.Process.Signal(os.Interrupt); err != nil {
						t.Fatal(err)
					}
				}
			}
			cmd.Wait() // the exit code tells
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, &all)
			}
			if _, err := http.Get(url); url == "" || err == nil {
				t.Errorf("geth still answers at %q:\n%s", url, &all)
			}
		})
	}
}
