//go:build patched

package bench

import geth "github.com/ethereum/go-ethereum/miner"

func setMinTxs(cfg *geth.Config, least int) { cfg.ParallelMinTxs = least }
