package buildtest

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// The contracts that scenarios use, in the assembly of Asm. Calldata is in whole words,
// with no selector.
const (
	// token moves word 1 to account word 0. The balance of an account is in the slot of
	// its address.
	token = `
		caller sload 32 calldataload dup1 dup3 lt @fail jumpi
		dup1 swap2 sub caller sstore
		0 calldataload sload add 0 calldataload sstore
		32 calldataload 0 mstore
		0 calldataload caller 0xddf252ad 32 0 log3 stop
		fail: 0 0 revert`

	// pool swaps word 0 of one asset, whose reserve is in slot 0, for the other, whose
	// reserve is in slot 1, and fails if that yields nothing.
	pool = `
		0 calldataload 0 sload dup2 dup2 add dup1 0 sstore
		1 sload dup4 dup2 mul dup3 swap1 div
		dup1 iszero @fail jumpi
		dup1 swap2 sub 1 sstore
		caller sload add caller sstore
		0 calldataload 0 mstore caller 0x5a5a 32 0 log2 stop
		fail: 0 0 revert`

	counter  = `0 sload 1 add dup1 0 sstore 0 mstore 32 0 log0 stop`
	tally    = `caller sload 1 add caller sstore stop` // a counter for each caller
	readOne  = `0 calldataload balance dup1 caller sstore 0 mstore 32 0 log0 stop`
	probe    = `0 calldataload extcodehash 0 mstore 0 calldataload extcodesize 32 mstore 0 calldataload balance 64 mstore 96 0 log0 stop`
	probeOld = `0 calldataload extcodesize 32 mstore 0 calldataload balance 64 mstore 96 0 log0 stop` // before Constantinople
	forward  = `0 0 0 0 callvalue 0 calldataload gas call 0 mstore 32 0 log0 stop`                    // passes the value on
	payOut   = `0 0 0 0 32 calldataload 0 calldataload gas call 0 mstore 32 0 log0 stop`              // sends word 1 to word 0
	sweep    = `0 0 0 0 address balance 0 calldataload gas call 0 mstore 32 0 log0 stop`              // sends all to word 0
	relay    = `32 calldatasize sub dup1 32 0 calldatacopy 0 0 swap2 0 callvalue 0 calldataload gas call 0 mstore 32 0 log0 stop`
	destroy  = `0 calldataload selfdestruct`
	failing  = `1 0 sstore 0 0 revert`
	invalid  = `1 0 sstore invalid`
	endless  = `again: 0 sload 1 add 0 sstore @again jump`
	accept   = `stop`

	// maybe fails when the counter in slot 0 is odd; it counts up either way to callers
	// who pay.
	maybe = `0 sload dup1 1 add 0 sstore 1 and @fail jumpi stop fail: callvalue @keep jumpi 0 0 revert keep: stop`

	// blockInfo logs what the block says about itself and the parent's hash.
	blockInfo = `1 number sub blockhash 0 mstore coinbase 32 mstore timestamp 64 mstore gaslimit 96 mstore number 128 mstore
		origin 160 mstore gasprice 192 mstore 224 0 log0 stop`

	// factory2 creates the init code from word 1 on, with the salt of word 0.
	factory2 = `32 calldatasize sub dup1 32 0 calldatacopy 0 calldataload swap1 0 callvalue create2
		dup1 caller sstore 0 mstore 32 0 log0 stop`

	// factory creates the init code from word 1 on.
	factory = `32 calldatasize sub dup1 32 0 calldatacopy 0 callvalue create dup1 caller sstore 0 mstore 32 0 log0 stop`

	// transient fails unless its transient slot is clear, as it must be in each
	// transaction.
	transient = `0 tload @fail jumpi 1 0 tstore 0 tload caller sstore stop fail: 0 0 revert`
)

// created returns the address that CREATE2 in the contract gives.
func created(by common.Address, salt common.Hash, init []byte) common.Address {
	return crypto.CreateAddress2(by, salt, crypto.Keccak256(init))
}

// addr returns a fixed address for the i-th contract of a kind.
func addr(kind string, i int) common.Address {
	return common.BytesToAddress(crypto.Keccak256(fmt.Appendf(nil, "%s %d", kind, i)))
}

// deployed assembles one of the contracts above. They are constants of this package, which
// a test assembles, so no error is left to handle.
func deployed(src string) []byte {
	code, _ := Asm(src)
	return code
}
