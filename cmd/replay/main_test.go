package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// writeDump has the block of a scenario written down for a state root that is wrong.
func writeDump(t *testing.T) string {
	t.Helper()
	s, err := buildtest.Cases()[0].Scenario("Jovian", 1)
	if err != nil {
		t.Fatal(err)
	}
	n, err := buildtest.NewNode(s, "")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	built, err := n.Build(2, nil)
	if err != nil {
		t.Fatal(err)
	}
	header := built.Block.Header()
	header.Root[0]++
	dir := t.TempDir()
	err = miner.Verify(context.Background(), n.BlockChain(), &miner.Sealed{
		Block:    types.NewBlockWithHeader(header).WithBody(*built.Block.Body()),
		Receipts: built.Receipts,
		Parent:   built.State.Database(),
	}, dir)
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if !errors.Is(err, miner.ErrUnverified) || len(files) != 1 {
		t.Fatalf("%v; dumps %q", err, files)
	}
	return files[0]
}

func TestADumpIsReplayedAndTheExitCodeSaysHow(t *testing.T) {
	dump := writeDump(t)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		code   int
		stdout string // its end
		stderr string // part of it
	}{
		{[]string{"-workers", "2,4", "-rounds", "1", dump}, 0, "4 parallel builds, 0 differ from the sequential one\n", ""},
		{[]string{"-rounds", "0", dump}, 0, "4 parallel builds, 0 differ from the sequential one\n", ""},
		{[]string{"-help"}, 0, "many schedules with two workers\n", ""},
		{nil, 2, "", "no dump given"},
		{[]string{broken}, 2, "", "broken.json"},
		{[]string{"no-such-file"}, 2, "", "no-such-file"},
		{[]string{"-workers", "0", dump}, 2, "", `-workers is "0"`},
		{[]string{"-rounds", "-1", dump}, 2, "", "-rounds is -1"},
	} {
		var stdout, stderr strings.Builder
		code := run(c.args, &stdout, &stderr)
		if code != c.code || !strings.HasSuffix(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("replay %q ends with code %d, want %d\nstdout:\n%s\nstderr:\n%s", c.args, code, c.code, stdout.String(), stderr.String())
		}
	}
}
