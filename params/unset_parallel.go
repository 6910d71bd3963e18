//go:build parallel_default

package params

// unsetThreads is what a setting that is absent, or left at its default, means under the
// tag parallel_default: no build that is given to anybody has it. With it, op-geth's own
// tests build their blocks in parallel, without knowing.
const unsetThreads = 4

// defaultMinTxs lets no block stay sequential under that tag.
const defaultMinTxs = 1
