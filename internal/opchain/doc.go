// Package opchain makes local OP Stack chains for tests and for the local network.
//
// The genesis is one of the superchain registry's that op-geth carries: its predeploys,
// proxies and preinstalls, byte for byte, under a chain id of its own, with every fork
// up to Jovian active from the genesis on and with whatever accounts and contracts the
// caller adds.
//
// The registry's newest genesis is of Isthmus. Real chains get the L1Block contract of
// Jovian by an upgrade deposit of the consensus client. Here the L1Block proxy points at
// a contract of ours instead (contracts/L1BlockJovian.sol), which passes everything on
// to the registry's Isthmus implementation and adds what Jovian adds, the DA footprint
// gas scalar. So the L1-attributes deposit has Jovian's calldata, succeeds, and updates
// the same slots that it does on a real chain. GasPriceOracle, OperatorFeeVault and the
// rest stay at their Isthmus versions; op-geth itself reads none of them.
package opchain
