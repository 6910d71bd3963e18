//go:build !parallel_default

package params

// unsetThreads is what a setting that is absent, or left at its default, means.
const unsetThreads = SequentialThreads

// defaultMinTxs is the default of the fewest transactions that a block is filled with in
// parallel. Where fewer are offered, starting the workers costs more than they gain:
// ARCHITECTURE.md says how that was measured.
const defaultMinTxs = 2 * AutoTxsPerWorker
