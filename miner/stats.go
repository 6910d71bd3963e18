package miner

import (
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Stats tells what a run did, or several over one block.
type Stats struct {
	Candidates   int   // drawn from the lists
	Committed    int   // transactions put in the block
	Dropped      int   // candidates left out
	Executions   int   // incarnations executed, all workers
	Reexecutions int   // incarnations after a candidate's first
	Aborts       int   // finished incarnations thrown away
	Blocked      int   // incarnations given up at a value that was about to change
	HeadRuns     int   // incarnations that ran at the head of the line, on final state
	Depth        int   // distances from the head at which incarnations started, summed up
	ByWorker     []int // incarnations executed, by worker
	Drops        Drops // candidates left out, by reason

	Elapsed          time.Duration // of the fill
	Available        time.Duration // of the workers, summed up: the run, by all of them
	Working          time.Duration // of this, what they were there and did not wait
	Waited           time.Duration // of the workers with nothing to do, summed up
	Committing       time.Duration // in the ordered commit, executions at the head in place included
	InterruptLatency time.Duration // from the interrupt to the end of the fill, at most; 0: not interrupted
}

// statsOf collects what a run did whose scheduler ran for so long.
func statsOf(r *run, counts blockstm.Stats, ran time.Duration) Stats {
	return Stats{
		Candidates:   counts.Drawn,
		Committed:    r.committed,
		Dropped:      counts.Committed - r.committed,
		Executions:   counts.Executions,
		Reexecutions: counts.Repeats,
		Aborts:       counts.Aborts,
		Blocked:      counts.Blocked,
		HeadRuns:     counts.HeadRuns,
		Depth:        counts.Depth,
		ByWorker:     counts.ByWorker,
		Drops:        r.admission.drops,
		Available:    time.Duration(len(r.workers)) * ran,
		Working:      counts.Worked,
		Waited:       counts.Waited,
		Committing:   counts.Committing,
	}
}

// Add adds a further run over the same block.
func (s *Stats) Add(o *Stats) {
	s.Candidates += o.Candidates
	s.Committed += o.Committed
	s.Dropped += o.Dropped
	s.Executions += o.Executions
	s.Reexecutions += o.Reexecutions
	s.Aborts += o.Aborts
	s.Blocked += o.Blocked
	s.HeadRuns += o.HeadRuns
	s.Depth += o.Depth
	sum := make([]int, max(len(s.ByWorker), len(o.ByWorker)))
	for _, counts := range [][]int{s.ByWorker, o.ByWorker} {
		for worker, n := range counts {
			sum[worker] += n
		}
	}
	s.ByWorker = sum
	for reason, n := range o.Drops {
		s.Drops[reason] += n
	}
	s.Elapsed += o.Elapsed
	s.Available += o.Available
	s.Working += o.Working
	s.Waited += o.Waited
	s.Committing += o.Committing
	s.InterruptLatency += o.InterruptLatency
}

// MeanDepth returns how far ahead of the commit point incarnations started, on average.
func (s *Stats) MeanDepth() float64 { return ratio(s.Depth, s.Executions) }

// HeadShare returns the share of the incarnations that ran at the head of the line, which
// is what a single thread would have run.
func (s *Stats) HeadShare() float64 { return ratio(s.HeadRuns, s.Executions) }

// Utilisation returns the share of the workers' time in which they had work.
func (s *Stats) Utilisation() float64 { return ratio(s.Working, s.Available) }

// Speedup estimates how many times longer filling would have taken sequentially: the time
// that the workers spent on incarnations that counted, by the time of the fill. It takes
// all incarnations for equally long, and supposes that an incarnation alone on the machine
// takes as long as one beside others; since it takes less, the true figure is lower.
func (s *Stats) Speedup() float64 {
	return ratio(s.Working, s.Elapsed) * ratio(s.Executions-s.Reexecutions, s.Executions)
}

func ratio[N int | time.Duration](a, b N) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
