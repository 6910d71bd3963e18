//go:build !patched

package state

// copyable says whether op-geth copies a state with tries that are not its own: a patch.
const copyable = false
