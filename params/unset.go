//go:build !parallel_default

package params

// unsetThreads is what a setting that is absent, or left at its default, means.
const unsetThreads = SequentialThreads
