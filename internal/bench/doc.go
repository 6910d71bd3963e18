// Package bench measures how much sooner a block is ready when it is filled in parallel.
//
// A Node is what block building needs of a node: a chain whose head is the parent, on a
// state as large as asked for, and a pool that holds one workload's transactions. Its
// blocks are built by op-geth's own miner, by BuildPayload, sequentially and in parallel
// in turn (Compare). Nothing is added to the miner to time it: it is handed a consensus
// engine and a sub-pool that look at the clock when they are called (probe). The one
// case that the miner does not offer, one worker on the parallel path, is built by a
// stand-in for it (Direct).
//
// Two figures say how far a result is from what can be had: the limit, which is the same
// transactions executed by as many workers that share nothing at all (Limit), and the
// bound of the block itself, its work over its longest chain of dependencies (Bound).
package bench
