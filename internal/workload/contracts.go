package workload

import (
	"embed"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

//go:embed contracts/*.hex
var bytecode embed.FS

// tokens is the number of tokens that the pools trade, each pool two of them. ERC-20
// transfers are of the first.
const tokens = 4

// runtimeCode returns the code of a contract of contracts/.
func runtimeCode(name string) ([]byte, error) {
	text, err := bytecode.ReadFile("contracts/" + name + ".hex")
	if err != nil {
		return nil, fmt.Errorf("embedded bytecode: %w", err)
	}
	code, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("embedded bytecode of %s: %w", name, err)
	}
	return code, nil
}

// initCode returns code that deploys a runtime code of less than 64 KiB.
func initCode(runtime []byte) []byte {
	n := len(runtime)
	// PUSH2 n, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN: ten bytes, then the code.
	return append([]byte{0x61, byte(n >> 8), byte(n), 0x80, 0x60, 10, 0x5f, 0x39, 0x5f, 0xf3}, runtime...)
}

// Where the genesis has the contracts.

// TokenAddress returns the address of the i-th token; ERC-20 transfers use token 0.
func TokenAddress(i int) common.Address { return contractAddress("token", i) }

// PoolAddress returns the address of the i-th pool; the hot one is pool 0.
func PoolAddress(i int) common.Address { return contractAddress("pool", i) }

// CollectionAddress returns the address of the NFT collection.
func CollectionAddress() common.Address { return contractAddress("collection", 0) }

// WorkerAddress returns the address of the contract that computes, stores and reverts.
func WorkerAddress() common.Address { return contractAddress("worker", 0) }

func contractAddress(name string, i int) common.Address {
	return common.BytesToAddress(derive(0, "contract "+name, i))
}

// poolTokens returns the two tokens that a pool trades. Neighbouring pools trade different
// pairs; there are more pools than pairs.
func poolTokens(pool int) (int, int) {
	a := pool % tokens
	return a, (a + 1 + pool/tokens%(tokens-1)) % tokens
}

// mapSlot returns the slot of a mapping's entry, for a mapping at a slot of its own.
func mapSlot(key common.Address, slot byte) common.Hash {
	var word, at common.Hash
	copy(word[12:], key[:])
	at[31] = slot
	return crypto.Keccak256Hash(word[:], at[:])
}

// ether returns n·10¹⁸ as a storage word.
func ether(n int64) common.Hash {
	return common.BigToHash(new(big.Int).Mul(big.NewInt(n), big.NewInt(1e18)))
}

// tokenBalance is what every trader has of every token, and reserve what a pool has.
func tokenBalance() common.Hash { return ether(1e12) }
func reserve() common.Hash      { return ether(1e9) }

// allocTokens adds the tokens. Traders get a balance of each, recipients a little of the
// first, pools their reserves and the right to move what is traded.
func allocTokens(alloc types.GenesisAlloc, traders, recipients []common.Address, traded, pools int) error {
	code, err := runtimeCode("Token")
	if err != nil {
		return err
	}
	for i := range traded {
		storage := make(map[common.Hash]common.Hash, len(traders)+len(recipients)+2*pools)
		for _, addr := range traders {
			storage[mapSlot(addr, 0)] = tokenBalance()
		}
		if i == 0 {
			for _, addr := range recipients {
				storage[mapSlot(addr, 0)] = common.Hash{31: 1}
			}
		}
		for p := range pools {
			if a, b := poolTokens(p); i == a || i == b {
				storage[mapSlot(PoolAddress(p), 0)] = reserve()
				storage[mapSlot(PoolAddress(p), 2)] = common.Hash{31: 1}
			}
		}
		alloc[TokenAddress(i)] = contract(code, storage)
	}
	return nil
}

// allocPools adds the pools.
func allocPools(alloc types.GenesisAlloc, pools int) error {
	code, err := runtimeCode("Pool")
	if err != nil {
		return err
	}
	for p := range pools {
		a, b := poolTokens(p)
		r := reserve()
		var reserves common.Hash
		copy(reserves[:16], r[16:])
		copy(reserves[16:], r[16:])
		alloc[PoolAddress(p)] = contract(code, map[common.Hash]common.Hash{
			{31: 0}: common.BytesToHash(TokenAddress(a).Bytes()),
			{31: 1}: common.BytesToHash(TokenAddress(b).Bytes()),
			{31: 2}: reserves,
		})
	}
	return nil
}

// allocContract adds a contract that starts with empty storage.
func allocContract(alloc types.GenesisAlloc, name string, addr common.Address) error {
	code, err := runtimeCode(name)
	if err != nil {
		return err
	}
	alloc[addr] = contract(code, nil)
	return nil
}

func contract(code []byte, storage map[common.Hash]common.Hash) types.Account {
	return types.Account{Code: code, Storage: storage, Balance: new(big.Int), Nonce: 1}
}

// call encodes a call of a method, such as "mint()", whose arguments are single words.
func call(method string, args ...common.Hash) []byte {
	data := append([]byte(nil), crypto.Keccak256([]byte(method))[:4]...)
	for _, arg := range args {
		data = append(data, arg[:]...)
	}
	return data
}

// number returns a word.
func number(n uint64) common.Hash { return common.BigToHash(new(big.Int).SetUint64(n)) }
