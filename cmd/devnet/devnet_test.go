package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// runMain is set in the environment of a test binary that is to be devnet itself.
const runMain = "DEVNET_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestBadFlagsAreRefusedByNameAndValue(t *testing.T) {
	self := os.Args[0] // some file that exists
	for _, test := range []struct {
		args []string
		want []string // parts of the error
	}{
		{[]string{"-threads", "-1"}, []string{"-threads", "-1", "allowed"}},
		{[]string{"-threads", "100000"}, []string{"-threads", "100000", "allowed"}},
		{[]string{"-threads", "many"}, []string{"-threads", "many"}},
		{[]string{"-blocks", "0"}, []string{"-blocks", "0", "allowed"}},
		{[]string{"-block-time", "1ms"}, []string{"-block-time", "1ms", "allowed"}},
		{[]string{"-rate", "-5"}, []string{"-rate", "-5", "allowed"}},
		{[]string{"-rate", "5", "-backlog", "6"}, []string{"-rate", "5", "-backlog", "6", "allowed"}},
		{[]string{"-accounts", "0"}, []string{"-accounts", "0", "allowed"}},
		{[]string{"-gas-limit", "21000"}, []string{"-gas-limit", "21000", "allowed"}},
		{[]string{"-mix", "swaps"}, []string{"-mix", "swaps", "allowed", "swap-hot"}},
		{[]string{"-compare", "-threads", "1"}, []string{"-compare", "-threads", "allowed"}},
		{[]string{"-compare", "-keep"}, []string{"-compare", "-keep", "allowed"}},
		{[]string{"-geth", "no/such/file"}, []string{"-geth", "no/such/file", "allowed"}},
		{[]string{"-geth", os.TempDir()}, []string{"-geth", os.TempDir(), "allowed"}},
		{[]string{"-stack", "-compare"}, []string{"-stack", "-compare", "allowed"}},
		{[]string{"-stack", "-backlog", "5"}, []string{"-stack", "-backlog", "allowed"}},
		{[]string{"-stack", "-block-time", "500ms"}, []string{"-block-time", "500ms", "allowed"}},
		{[]string{"-stack", "-l1", self, "-op-node", "no/such/file"}, []string{"-op-node", "no/such/file", "allowed"}},
		{[]string{"now"}, []string{"now", "allowed"}},
	} {
		_, err := parse(append([]string{"-geth", self}, test.args...), io.Discard)
		if err == nil {
			t.Errorf("%v: no error", test.args)
			continue
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v: error %q does not name %q", test.args, err, part)
			}
		}
	}
}

func TestHelpHasExamplesAndSucceeds(t *testing.T) {
	var out bytes.Buffer
	if code := realMain([]string{"--help"}, &out, io.Discard); code != 0 {
		t.Errorf("--help exits with %d", code)
	}
	for _, want := range []string{"Examples:", "-backlog", "-compare", "transfer-hot"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("--help does not show %q:\n%s", want, &out)
		}
	}
}

func TestADatadirOfOthersIsNotEmptied(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := prepareDatadir(dir); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "threads-2")
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := prepareDatadir(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("what an earlier run left is still there")
	}

	mine := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(mine, []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := prepareDatadir(filepath.Dir(mine))
	if err == nil || !strings.Contains(err.Error(), "-datadir") || !strings.Contains(err.Error(), "allowed") {
		t.Errorf("got %v, want an error that names -datadir and what is allowed", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a file of others: %v", err)
	}
}

func TestTransactionsThatFitAreThoseThereWasRoomFor(t *testing.T) {
	for _, test := range []struct {
		block blockReport
		want  int
	}{
		{blockReport{Txs: 10, Pending: 10, Gas: 50, GasLimit: 100}, 10},
		{blockReport{Txs: 6, Pending: 10, Gas: 50, GasLimit: 100}, 10},             // left out without need
		{blockReport{Txs: 6, Pending: 10, Gas: 98, GasLimit: 100}, 6},              // no gas left
		{blockReport{Txs: 6, Pending: 10, Gas: 50, DAGas: 99, GasLimit: 100}, 6},   // no DA footprint left
		{blockReport{Txs: 12, Pending: 10, Gas: 50, DAGas: 50, GasLimit: 100}, 12}, // more came during the build
	} {
		if got := test.block.fitting(); got != test.want {
			t.Errorf("%+v: %d fit, want %d", test.block, got, test.want)
		}
	}
}

func TestSummaryAddsUpTheBlocks(t *testing.T) {
	r := &report{Threads: 2, Blocks: []blockReport{
		{Txs: 10, Pending: 10, Gas: 50e6, GasLimit: 100e6, buildStats: buildStats{Build: 100 * time.Millisecond, Executions: 12, Reexecutions: 2, ByWorker: []int{7, 5}}},
		{Txs: 5, Pending: 20, Gas: 10e6, GasLimit: 100e6, buildStats: buildStats{Build: 20 * time.Millisecond, Executions: 5, ByWorker: []int{5}, Fallback: "why"}},
	}}
	got := r.totals()
	if got.Included != 15 || got.Fitting != 30 || got.share() != 0.5 || got.Executions != 17 || got.Reexecutions != 2 ||
		!slices.Equal(got.ByWorker, []int{12, 5}) || got.FellBack != 1 || mgas(got.Gas, got.Build) != 500 {
		t.Errorf("totals are %+v, share %v", got, got.share())
	}
	var out bytes.Buffer
	r.print(&out)
	if !strings.Contains(out.String(), "50.0%") || !strings.Contains(out.String(), "12 5") {
		t.Errorf("the summary is\n%s", &out)
	}
}

func TestBlocksOfBothWaysMustNotDifferWhereNothingExcusesIt(t *testing.T) {
	blocks := func(build time.Duration, hashes ...byte) *report {
		r := new(report)
		for i, h := range hashes {
			r.Blocks = append(r.Blocks, blockReport{Number: uint64(i + 1), Hash: common.Hash{h}, buildStats: buildStats{Build: build}})
		}
		return r
	}
	s := &settings{backlog: 1, blockTime: time.Second}
	quick, slow := time.Millisecond, time.Minute
	for _, test := range []struct {
		name     string
		settings *settings
		a, b     *report
		want     error
	}{
		{"equal", s, blocks(quick, 1, 2), blocks(quick, 1, 2), nil},
		{"different", s, blocks(quick, 1, 2, 3), blocks(quick, 1, 9, 8), errDiffering},
		{"interrupted", s, blocks(slow, 1, 2), blocks(quick, 1, 3), nil},
		{"by the clock", &settings{rate: 1, blockTime: time.Second}, blocks(quick, 1), blocks(quick, 2), nil},
	} {
		err := differing(test.settings, test.a, test.b)
		if fmt.Sprint(err != nil) != fmt.Sprint(test.want != nil) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}
