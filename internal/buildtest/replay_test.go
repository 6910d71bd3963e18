//go:build patched

package buildtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/internal/conformance"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// replayed replays a dump and returns how many builds differ and what is written.
func replayed(t *testing.T, p *buildtest.Planted, dump *miner.Dump, opts conformance.ReplayOptions) (int, string) {
	t.Helper()
	var out strings.Builder
	differ, err := conformance.Replay(&out, dump, opts)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), p.Replay)
	}
	return differ, out.String()
}

func TestTheDumpOfAPlantedWriteIsReplayedWithoutItsNodeAndSaysWhatDiffersWhere(t *testing.T) {
	const threads = 4
	p := buildtest.Plant(t, threads)
	dump, err := miner.ReadDump(p.Dump)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Replay)
	}
	if dump.Incomplete != "" || len(dump.Runs) != 1 || dump.Runs[0].Threads != threads || len(dump.Runs[0].Candidates) != 41 || dump.Runs[0].Committed != 40 || dump.Runs[0].Seed != nil {
		t.Errorf("the dump lacks %q; runs %+v, want one of %d workers over 41 candidates, 40 of them committed\n%s", dump.Incomplete, len(dump.Runs), threads, p.Replay)
	}
	balance := fmt.Sprintf("account %v, balance", p.Payee)
	if len(dump.Differences) != 1 || dump.Differences[0].What != balance {
		t.Errorf("recorded differences are %v, want one in the balance of %v\n%s", dump.Differences, p.Payee, p.Replay)
	}
	if len(dump.Misread) != 1 || !strings.Contains(dump.Misread[0].What, p.Payee.Hex()) {
		t.Errorf("recorded misreads are %v, want one of %v\n%s", dump.Misread, p.Payee, p.Replay)
	}
	if _, known := dump.Pre[p.Poor]; !known {
		t.Errorf("the sender %v of a candidate that is left out is not among the accounts read\n%s", p.Poor, p.Replay)
	}

	opts := conformance.ReplayOptions{Workers: []int{1, 2, 4}, Rounds: 2, Seed: p.Seed}
	if differ, text := replayed(t, p, dump, opts); differ != 0 || !strings.Contains(text, "as when it was dumped") || !strings.HasSuffix(text, "9 parallel builds, 0 differ from the sequential one\n") {
		t.Errorf("on the true state %d builds differ, want none:\n%s%s", differ, text, p.Replay)
	}
	opts.Wrap = p.Wrap
	if differ, text := replayed(t, p, dump, opts); differ != 9 || strings.Count(text, balance) != 10 || !strings.Contains(text, "-workers 4 -seed 2 -rounds 1") {
		t.Errorf("with the fault planted again %d of 9 builds differ, the balance is named %d times, want 10:\n%s%s", differ, strings.Count(text, balance), text, p.Replay)
	}

	spoiled := *dump
	outcome := *dump.Sequential
	outcome.ReceiptsRoot[0]++
	spoiled.Sequential = &outcome
	if _, err := conformance.Replay(new(strings.Builder), &spoiled, opts); err == nil || !strings.Contains(err.Error(), "when it was dumped") {
		t.Errorf("a dump whose recorded outcome is another: error %v\n%s", err, p.Replay)
	}
	spoiled = *dump
	spoiled.Pre = nil
	if _, err := conformance.Replay(new(strings.Builder), &spoiled, opts); err == nil {
		t.Errorf("a dump without state is replayed\n%s", p.Replay)
	}
}
