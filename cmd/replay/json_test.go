package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
)

func TestWhatCameOfEachDumpIsGivenAsJSON(t *testing.T) {
	dump, none := writeDump(t), filepath.Join(t.TempDir(), "none.json")
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-json", "-workers", "2", "-rounds", "0", dump, none}, &stdout, &stderr); code != cli.Usage {
		t.Errorf("code %d, want %d, for a file that there is not: %s", code, cli.Usage, &stderr)
	}
	var got []outcome
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || len(got) != 2 {
		t.Fatalf("%v:\n%s", err, &stdout)
	}
	if got[0].File != dump || got[0].Error != "" || got[0].Differ != 0 || !strings.Contains(strings.Join(got[0].Report, "\n"), "1 parallel builds, 0 differ") {
		t.Errorf("the dump gives %+v", got[0])
	}
	if got[1].File != none || !strings.Contains(got[1].Error, none) || !strings.Contains(stderr.String(), "allowed are files of") {
		t.Errorf("a file that there is not gives %+v and %q", got[1], &stderr)
	}
}
