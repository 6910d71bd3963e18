//go:build patched

package buildtest

import geth "github.com/ethereum/go-ethereum/miner"

// Patched reports whether op-geth's miner can build in parallel.
const Patched = true

func setThreads(cfg *geth.Config, threads, minTxs int) {
	cfg.ParallelThreads, cfg.ParallelMinTxs = &threads, minTxs
}
