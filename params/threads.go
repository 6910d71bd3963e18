// Package params holds the settings of parallel block building: their defaults,
// their limits and how a requested value becomes a number of workers.
package params

import (
	"errors"
	"fmt"
)

const (
	// SequentialThreads is the setting that leaves block building to op-geth's
	// own sequential path. It is the default, see unsetThreads.
	SequentialThreads = 1

	// AutoThreads is the setting that means "one worker per usable CPU".
	AutoThreads = 0

	// MaxThreads is the largest number of workers that may be asked for. It is far
	// above what the ordered commit can feed; it only catches typing errors.
	MaxThreads = 256

	// ThreadsFlag is the command line flag that carries the setting.
	ThreadsFlag = "miner.parallel-threads"

	// VerifyFlag is the command line flag that has every block filled in parallel executed
	// again, sequentially, before it is returned.
	VerifyFlag = "miner.parallel-verify"

	// DumpDir is the folder of the data directory that blocks go to which fail that.
	DumpDir = "parallel-verify"
)

// ErrInvalidThreads is returned (wrapped) for a thread count out of range.
var ErrInvalidThreads = errors.New("invalid number of parallel block building threads")

// ValidateThreads checks a requested thread count: 0 (all usable CPUs) to MaxThreads.
// The error names where the value came from, the value and what is allowed.
func ValidateThreads(source string, n int) error {
	if n < AutoThreads || n > MaxThreads {
		return fmt.Errorf("%w: %s is %d, allowed are %s", ErrInvalidThreads, source, n, allowedThreads())
	}
	return nil
}

// allowedThreads says what ValidateThreads lets pass.
func allowedThreads() string {
	return fmt.Sprintf("%d (all usable CPUs), %d (sequential) and 2 to %d", AutoThreads, SequentialThreads, MaxThreads)
}

// ResolveThreads turns a valid setting into the number of workers to run. A nil
// setting is an absent one: sequential.
func ResolveThreads(n *int) int {
	switch {
	case n == nil:
		return unsetThreads
	case *n == AutoThreads:
		return min(UsableCPUs(), MaxThreads)
	default:
		return *n
	}
}
