//go:build patched

package buildtest

import (
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	geth "github.com/ethereum/go-ethereum/miner"
)

// Planted is a block that op-geth's miner has built in parallel on a parent state with a
// fault, and that verification has refuted.
type Planted struct {
	Dump   string                            // the file that it was written to
	Wrap   func(r state.Reader) state.Reader // plants the fault
	Payee  common.Address                    // whose balance was misread
	Poor   common.Address                    // a sender without means, who is left out
	Seed   int64
	Replay string // the command that runs the test again
}

// Plant makes one.
func Plant(t *testing.T, threads int) *Planted {
	t.Helper()
	s, _, payee, poor := verifyScenario(t)
	n := openNode(t, s, "")
	wrap := func(r state.Reader) state.Reader { return lyingReader{Reader: r, lie: richerBy(payee, 1)} }
	dir := t.TempDir()
	b := &tampered{Node: n, times: 1, tamper: wrap}
	m := b.miner(threads, func(cfg *geth.Config) { cfg.ParallelVerify, cfg.ParallelDumpDir = true, dir })
	defer m.Close()
	b.firstPayload(t, m)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("dumps %q (%v), want one\n%s", files, err, replay(t, s.Seed))
	}
	return &Planted{Dump: files[0], Wrap: wrap, Payee: payee, Poor: poor, Seed: s.Seed, Replay: replay(t, s.Seed)}
}
