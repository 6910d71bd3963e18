package conformance

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// chain is a chain that knows its config and the hashes of blocks, and nothing else.
type chain struct {
	config *params.ChainConfig
	hashOf func(number uint64) common.Hash
}

// GetHeader returns a header that leads BLOCKHASH on to the block before.
func (c *chain) GetHeader(_ common.Hash, number uint64) *types.Header {
	h := &types.Header{Number: new(big.Int).SetUint64(number)}
	if number > 0 {
		h.ParentHash = c.hashOf(number - 1)
	}
	return h
}

func (c *chain) Config() *params.ChainConfig               { return c.config }
func (c *chain) Engine() consensus.Engine                  { return beacon.New(ethash.NewFaker()) }
func (c *chain) CurrentHeader() *types.Header              { return nil }
func (c *chain) GetHeaderByNumber(uint64) *types.Header    { return nil }
func (c *chain) GetHeaderByHash(common.Hash) *types.Header { return nil }

// testHash is the hash of a block in state tests: that of its number in decimal.
func testHash(number uint64) common.Hash {
	return crypto.Keccak256Hash([]byte(new(big.Int).SetUint64(number).String()))
}
