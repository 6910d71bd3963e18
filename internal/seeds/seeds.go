// Package seeds runs randomised tests over a range of seeds and says how to replay the one
// that fails. Test binaries that import it have the flags -seed and -seeds.
package seeds

import (
	"flag"
	"testing"
)

var (
	one   = flag.Uint64("seed", 0, "first seed; without -seeds, the only one")
	count = flag.Int("seeds", 0, "number of seeds to try; 0: the test's default")
)

// Run runs a test for every seed from 1, or -seed, on: as many as -seeds or else the test
// itself says, but -seed alone stands for itself only. dir is the test's package below the
// module's root.
func Run(t *testing.T, dir string, preset int, run func(t *testing.T, seed uint64)) {
	first, n := uint64(1), preset
	if *one != 0 {
		first, n = *one, 1
	}
	if *count > 0 {
		n = *count
	}
	for seed := first; seed < first+uint64(n); seed++ {
		run(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d; replay: go test ./%s -run '^%s$' -seed %d", seed, dir, t.Name(), seed)
		}
	}
}
