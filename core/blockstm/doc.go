// Package blockstm is Block-STM (Gelashvili et al., PPoPP 2023) as a block builder
// needs it: it runs an ordered stream of transactions speculatively in parallel and
// commits them one by one, in order, each with the effect it would have had if all had
// run one after the other. It knows nothing of blocks, pools or the EVM.
//
// There are two halves. The multi-version memory is made of typed registers: a Cell
// holds what its last writer set, a Sum what all its writers added. Each keeps one
// committed value and, above it, the writes of the transactions that are executed but
// not committed. The Scheduler hands incarnations of transactions to workers, the
// lowest index first, and drives the ordered commit. A Program ties the two together:
// it knows how to execute, validate and commit one transaction.
//
// # What makes a commit correct
//
//  1. Commits happen in index order, one at a time. When transaction i is considered,
//     everything below i is committed or dropped, and final.
//  2. A transaction commits only if every value it captured is what the registers give
//     it at that moment, or if it ran when it already was the lowest uncommitted one.
//     Both mean: it saw exactly the state that running alone would have shown it.
//  3. A register is changed for good only by a commit, and a commit of i changes only
//     registers that i wrote.
//
// Nothing else is needed. Estimates, dependencies, early invalidation, hints and the
// adaptive window decide only what is worth executing when; a mistake there costs time.
//
// # What keeps it live
//
//  4. The lowest uncommitted transaction is never blocked: a transaction only ever
//     waits for a lower one, and whoever waits is released when that one is executed,
//     committed or dropped.
//  5. A head that fails validation is executed again at once, in place, by the worker
//     that found out, and then commits by rule 2. So a transaction's incarnations are
//     bounded by the number of times a lower one changed its mind, plus one.
package blockstm
