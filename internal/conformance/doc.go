// Package conformance runs other people's test data through the parallel builder: the
// Ethereum GeneralStateTests, and real blocks with the state they touch.
//
// Every case is given to miner.Fill as a block whose candidates come in a fixed order, at
// each number of workers, and the outcome is compared with what the data expects: for
// state tests the root of the state after and the hash of the logs, for blocks the gas
// used, the receipts' root and the logs' bloom of their own header. Where the data says
// less than could be compared (the state after a block, or several cases put into one
// block) the sequential reference of package buildtest says the rest.
//
// The same cases can be run on that reference alone. A case that fails there fails
// because of this package or of the data, not because of the builder.
package conformance
