package params

import "runtime"

// AutoTxsPerWorker is how many transactions there must be for each worker that AutoThreads
// starts: the fewer they are, the more of the time goes into starting it.
const AutoTxsPerWorker = 12

// Workers returns the number of workers for a block for which the pool has that many
// transactions: 1, which is sequential, for fewer than minTxs (0: a default of some dozens,
// about where both ways are equally quick). A setting is as ResolveThreads takes it;
// AutoThreads starts no more workers than there are usable CPUs and work for.
func Workers(setting *int, txs, minTxs int) int {
	threads := ResolveThreads(setting)
	if minTxs <= 0 {
		minTxs = defaultMinTxs
	}
	switch {
	case txs < minTxs:
		return SequentialThreads
	case setting != nil && *setting == AutoThreads:
		return max(min(threads, txs/AutoTxsPerWorker), SequentialThreads)
	default:
		return threads
	}
}

// UsableCPUs returns how many CPUs this process may keep busy: those of the machine, of its
// affinity mask or of its container's quota, whichever are fewest. Go's runtime knows the
// first two; the quota is what geth sets GOMAXPROCS to when it starts.
func UsableCPUs() int { return runtime.GOMAXPROCS(0) }
