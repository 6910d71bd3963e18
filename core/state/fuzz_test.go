package state

import "testing"

// The seed decides the parent state, the transactions and the order of speculation.
func FuzzViews(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, cancun bool) { checkScripts(t, seed, cancun) })
}
