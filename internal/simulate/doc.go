// Package simulate runs a block on the scheduler of core/blockstm with any number of
// workers, in virtual time, to find out what machines larger than the present one would
// gain, and what would hold them up.
//
// Nothing of the engine is modelled: blockstm.Scheduler itself decides what runs when, on
// goroutines of its own, one for each virtual worker, and conflicts arise in registers of
// package blockstm. What stands in for the EVM is a Program that for each transaction
// reads and writes the registers that the real one did, and lets as much virtual time
// pass as the real one took: for drawing it, executing it, validating and committing it.
// An incarnation that read something stale writes something else than it should, so that
// aborts, estimates and repeats spread as they do in earnest.
//
// A clock lets one worker run at a time: the one whose moment is the earliest. A worker
// gives its turn away when it lets time pass and when the scheduler has nothing for it to
// do, which the scheduler says through the hook Config.Idle. So a simulation is a
// function of block, machine and seed; the seed decides who goes first of those whose
// moment is the same.
//
// What the scheduler and the registers themselves cost beside the program is charged by
// way of Config.Chaos: a Machine says how long the scheduler's lock is held between two
// of its decision points, how long it takes to get a lock's data from another worker, for
// how long an idle worker looks for work before it parks, and how long waking it then
// takes. These are measured where the simulator runs (Calibrate).
//
// Workers that share a machine also slow each other down by its memory, caches and
// allocator. Machine.Slow scales all durations of the block for that. It is measured
// elsewhere (bench.Interference), without the scheduler: fillings of one worker on states of
// their own, on as many threads as the machine has CPUs, against one alone. Nobody here can
// see more threads than that; those beyond are taken to slow each other down as much, and
// results come with and without. Garbage collection is added after the simulation: its
// CPU time, spread over the workers, unless there is only one, which leaves it a CPU.
//
// Not modelled: that a worker which commits has to fetch what another one has executed,
// locks other than the scheduler's and the registers', and the operating system taking a
// CPU away. Where a real run is slower than a simulated one, that is where to look: it was
// how the lock of an account's slots was found to cost more than all else.
package simulate
