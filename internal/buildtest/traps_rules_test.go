package buildtest

import (
	"slices"
	"testing"
)

// TestEveryTrapRunsOnJovianAndIsthmusAndBeforeCancun holds that a trap leaves rules out only
// for want of what it is about.
func TestEveryTrapRunsOnJovianAndIsthmusAndBeforeCancun(t *testing.T) {
	// What ended with Cancun, by which a destroyed account with code is gone.
	destroys := []string{"sender-loses-its-code-in-the-block", "create-collides-after-the-creator-came-back", "destroyed-paid-and-created-again",
		"slots-of-the-parent-state-end-with-their-account", "destroyed-twice"}
	// What came later: rollups, delegations, transient storage, the beacon root.
	later := []string{"transient-storage", "beacon-root-and-parent-hash", "code-and-its-hash-are-one", "dropped-account-stays-dropped",
		"left-over-of-the-first-list-leaves-nothing-behind", "vault-is-sender", "coinbase-equals-vault",
		"zero-rollup-fees-to-absent-and-empty-vaults", "short-after-the-rollup-fees", "attributes-with-other-fees",
		"fee-recipient-is-delegated", "funded-and-drained-by-delegation", "sender-gets-a-delegation-in-the-block",
		"dropped-authorisations-leave-nothing-behind"}
	for _, part := range [][]Trap{delegationTraps(), rollupTraps()} {
		for _, trap := range part {
			later = append(later, trap.Name)
		}
	}
	for _, trap := range Traps() {
		has := func(rules string) bool { return slices.Contains(trap.Rules, rules) }
		ended := slices.Contains(destroys, trap.Name)
		if !ended && !has("Jovian") {
			t.Errorf("%s does not run on Jovian rules: %v", trap.Name, trap.Rules)
		}
		if !ended && !has("Isthmus") && trap.Name != "da-footprint" {
			t.Errorf("%s does not run on Isthmus rules: %v", trap.Name, trap.Rules)
		}
		if ended && !(has("Shanghai") && has("London")) {
			t.Errorf("%s is about the time before Cancun and does not run there: %v", trap.Name, trap.Rules)
		}
		if !has("Shanghai") && !has("London") && !slices.Contains(later, trap.Name) {
			t.Errorf("%s does not run before Cancun: %v", trap.Name, trap.Rules)
		}
	}
}
