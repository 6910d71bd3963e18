// Package buildtest checks the parallel block builder against the sequential one.
//
// A Scenario is everything that decides a block: the chain's rules, the state it starts
// from, the payload's attributes and a snapshot of the pool. The package builds it three
// ways and compares the blocks bit for bit:
//
//   - Reference, a builder written for reading, on op-geth's core.ApplyTransaction;
//   - miner.Fill with any number of workers;
//   - op-geth's own miner.Miner.BuildPayload, sequential or, in the patched tree, parallel.
//
// The first two need no patched op-geth, so that plain `go test` covers the engine. The
// third decides: it is the path that a payload takes in production. Its parallel half is
// behind the build tag "patched".
//
// The pool is a txpool.SubPool that hands out exactly what the scenario says, so that
// transactions which a real pool would have refused or evicted reach the builder too:
// between the pool's last look at the state and the build, any of them can go bad.
package buildtest
