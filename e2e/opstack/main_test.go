package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
)

// programs are flags that name programs, which need only exist to be named.
func programs(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"-geth", file, "-upstream", file, "-op-node", file, "-op-batcher", file}
}

func TestAValueThatIsNotAllowedIsNamedWithItsFlag(t *testing.T) {
	for _, args := range [][]string{
		{"-threads", "-1"}, {"-blocks", "0"}, {"-fork-at", "1"}, {"-fork-at", "300"}, {"-kills", "-1"}, {"-restarts", "-1"},
		{"-rate", "0"}, {"-accounts", "0"}, {"-block-time", "1.5s"}, {"-block-time", "0s"}, {"-gas-limit", "1"},
		{"-state", "hash"}, {"-mix", "nonsense"}, {"-geth", "/nonexistent"}, {"-op-node", "/"},
	} {
		_, err := parse(append(programs(t), args...), io.Discard)
		if err == nil {
			t.Errorf("%v: no error", args)
		} else if text := err.Error(); !strings.Contains(text, args[0]) || !strings.Contains(text, args[1]) || !strings.Contains(text, "allowed") {
			t.Errorf("%v: %v, want the flag, the value and what is allowed", args, err)
		}
	}
}

func TestEachStateHasARunOfItsOwnAndOnlyTheArchiveIsKilled(t *testing.T) {
	s, err := parse(append(programs(t), "-blocks", "100", "-kills", "3", "-restarts", "2"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.dir = "dir"
	legs := s.legs()
	if len(legs) != 2 {
		t.Fatalf("there are %d runs, want 2", len(legs))
	}
	if l := legs[0]; l.state != statePath || l.blocks != 100 || l.kills != 0 || l.restarts != 2 {
		t.Errorf("the first is %+v", l)
	}
	if l := legs[1]; l.state != stateArchive || l.kills != 3 || l.restarts != 0 || l.forkAt >= l.blocks || l.dir == legs[0].dir {
		t.Errorf("the second is %+v", l)
	}
}

func TestADirectoryWithFilesIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := realMain(append(programs(t), "-dir", dir), &out, &errs); code != cli.Usage || !strings.Contains(errs.String(), dir) {
		t.Errorf("exit code %d, %q", code, &errs)
	}
}

func TestTheLogTellsWhichBlocksWereFilledInParallel(t *testing.T) {
	log := newBuildLog()
	for _, line := range []string{
		`{"lvl":"info","msg":"Starting work on payload","id":"0x1"}`,
		`{"lvl":"info","msg":"Filled block in parallel","number":"7","txs":5,"executions":6,"reexecutions":1}`,
		`{"lvl":"info","msg":"Filled block in parallel","number":"8","txs":0,"executions":1,"reexecutions":0}`,
	} {
		record(t, log, line)
	}
	if !log.filling() || !log.filled(7) || log.filled(8) {
		t.Errorf("filling: %v, block 7: %v, block 8: %v, want true, true, false", log.filling(), log.filled(7), log.filled(8))
	}
	record(t, log, `{"lvl":"info","msg":"Updated payload","number":7}`)
	if log.filling() {
		t.Error("still filling after the payload was updated")
	}
	record(t, log, `{"lvl":"info","msg":"Chain head was updated","number":"7"}`)
	if log.held() != 7 {
		t.Errorf("the head is %d, want 7", log.held())
	}
	record(t, log, `{"lvl":"info","msg":"Imported new potential chain segment","number":"8","blocks":1,"txs":61}`)
	if log.lastTxs() != 61 {
		t.Errorf("the last block has %d transactions, want 61", log.lastTxs())
	}
	if runs, reruns, fallbacks := log.counts(); runs != 7 || reruns != 1 || len(fallbacks) != 0 {
		t.Errorf("%d executions, %d again, fallbacks %v, want 7, 1 and none", runs, reruns, fallbacks)
	}
	record(t, log, `{"lvl":"error","msg":"Parallel block building panicked","number":"9","err":"x"}`)
	if _, _, fallbacks := log.counts(); len(fallbacks) != 1 || !strings.Contains(fallbacks[0], "block 9") {
		t.Errorf("fallbacks are %v, want one, of block 9", fallbacks)
	}
}

// record has a log take a line.
func record(t *testing.T, log *buildLog, line string) {
	t.Helper()
	r, ok := engineapi.ParseRecord([]byte(line))
	if !ok {
		t.Fatalf("%s is no line of a log", line)
	}
	log.record(r)
}
