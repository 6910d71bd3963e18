package simulate

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

const (
	calibrationTxs    = 50_000
	calibrationRounds = 9

	// sharedLines is how many of the scheduler's cache lines a critical section touches,
	// which all have to be fetched when another worker was there last: that of the lock
	// and of the counters beside it, and that of a task.
	sharedLines = 2
)

// Calibrate measures what the scheduler costs on this machine. With a single CPU nothing
// passes between workers, and what that costs stays zero.
func Calibrate() Machine {
	m := Machine{Section: section()}
	m.Contended = m.Section
	if runtime.GOMAXPROCS(0) > 1 {
		m.Handover = handover()
		m.Wake, m.Signal = wake()
		m.Patience = patience()
		m.Contended += sharedLines * m.Handover
	}
	return m
}

// nothing is a Program whose transactions do nothing, and a Chaos that counts the
// scheduler's decision points.
type nothing struct {
	txs    int
	points int
}

func (n *nothing) Next(tx blockstm.TxIndex) (blockstm.TxIndex, bool) {
	return blockstm.NoTx, int(tx) < n.txs
}

func (n *nothing) Execute(int, blockstm.Version, bool) blockstm.Execution {
	return blockstm.Execution{Blocked: blockstm.NoTx, Readers: blockstm.NoTx}
}

func (n *nothing) Validate(blockstm.TxIndex) bool        { return true }
func (n *nothing) Abort(blockstm.TxIndex)                {}
func (n *nothing) Commit(blockstm.TxIndex) (bool, error) { return true, nil }
func (n *nothing) Cancel()                               {}
func (n *nothing) Pause(int)                             { n.points++ }
func (n *nothing) Spurious(blockstm.TxIndex) bool        { return false }

// section measures the scheduler's own work between two of its decision points.
func section() time.Duration {
	count := &nothing{txs: calibrationTxs}
	_, _ = blockstm.NewScheduler(count, blockstm.Config{Workers: 1, Chaos: count}).Run(context.Background())
	best := time.Duration(1<<63 - 1)
	for range calibrationRounds {
		s := blockstm.NewScheduler(&nothing{txs: calibrationTxs}, blockstm.Config{Workers: 1})
		begin := time.Now()
		_, _ = s.Run(context.Background())
		best = min(best, time.Since(begin))
	}
	return best / time.Duration(max(count.points, 1))
}

// handover measures how long it takes until a CPU has what another one wrote. A round is
// so short that most pass without anything else coming between.
func handover() time.Duration {
	const rounds, turns = 500, 100
	var (
		ball atomic.Int32
		best = time.Duration(1<<63 - 1)
		done = make(chan struct{})
	)
	play := func(mine int32) (shortest time.Duration) {
		shortest = best
		for range rounds {
			begin := time.Now()
			for range turns {
				for spins := 0; ball.Load() != mine; spins++ {
					if spins > 1000 {
						runtime.Gosched()
					}
				}
				ball.Store(1 - mine)
			}
			shortest = min(shortest, time.Since(begin)/(2*turns))
		}
		return shortest
	}
	go func() { defer close(done); play(1) }()
	best = play(0)
	<-done
	return best
}

// patience measures for how long a worker looks again before it parks, if it finds nothing.
func patience() time.Duration {
	var (
		changes atomic.Uint32 // as the scheduler has, and nothing ever changes
		best    = time.Duration(1<<63 - 1)
	)
	for range calibrationRounds {
		begin := time.Now()
		for range blockstm.ParkYields {
			runtime.Gosched()
			if changes.Load() != 0 {
				break
			}
		}
		best = min(best, time.Since(begin))
	}
	return best
}

// wake measures how long after a signal a waiting goroutine runs, on a CPU that has had
// nothing to do for a while, and how long signalling takes.
func wake() (latency, signal time.Duration) {
	const rounds = 200
	var (
		mu                sync.Mutex
		cond              = sync.NewCond(&mu)
		waiting, runs     atomic.Bool
		latencies, signas []time.Duration
		over              bool
		done              = make(chan struct{})
	)
	go func() {
		defer close(done)
		mu.Lock()
		defer mu.Unlock()
		for !over {
			waiting.Store(true)
			cond.Wait()
			runs.Store(true)
		}
	}()
	for range rounds {
		for !waiting.Load() {
		}
		for begin := time.Now(); time.Since(begin) < 30*time.Microsecond; {
		}
		mu.Lock()
		waiting.Store(false)
		runs.Store(false)
		begin := time.Now()
		cond.Signal()
		signas = append(signas, time.Since(begin))
		mu.Unlock()
		for !runs.Load() {
		}
		latencies = append(latencies, time.Since(begin))
	}
	mu.Lock()
	over = true
	cond.Broadcast()
	mu.Unlock()
	<-done
	slices.Sort(latencies)
	slices.Sort(signas)
	return latencies[rounds/2], signas[rounds/2]
}
