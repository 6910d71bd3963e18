//go:build !patched

package buildtest

import geth "github.com/ethereum/go-ethereum/miner"

// Patched reports whether op-geth's miner can build in parallel.
const Patched = false

func setThreads(*geth.Config, int, int) {}
