// Package workload makes signed transactions of chosen kinds, the same ones for the same
// seed, together with the genesis accounts and contracts that they need. There is no
// deployment phase: contracts, token balances and pool reserves are put into the genesis
// as code and storage.
//
// A Generator draws from a Mix, a weighted set of kinds; each transaction carries what
// will become of it. Tips never tie, so that the order in which a pool offers the
// transactions does not depend on when they arrived.
//
// The contracts are those of contracts/*.sol. contracts/compile.js says how their
// bytecode, the .hex files, is made.
package workload
