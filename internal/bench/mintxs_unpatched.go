//go:build !patched

package bench

import geth "github.com/ethereum/go-ethereum/miner"

func setMinTxs(*geth.Config, int) {}
