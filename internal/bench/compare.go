package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Sides choose what is built in each round.
type Sides string

const (
	Both       Sides = "both"
	Sequential Sides = "sequential" // for profiles
	Parallel   Sides = "parallel"   // for profiles
)

// Comparison says how to compare.
type Comparison struct {
	Workers int
	Rounds  int
	Sides   Sides
	Cold    bool          // restart the node on cold caches before every build
	Memory  bool          // measure peak memory too, in rounds of its own
	Limit   *Limit        // measured in every round; may be nil
	Quiet   time.Duration // how long to wait, before each build, for others to leave the machine alone

	Progress func(round int) // called before each round; may be nil
}

// Pair is one round: the block built sequentially, then in parallel, by miners that have
// not built before. With one side only, the other is nil.
type Pair struct {
	Sequential, Parallel *Build
	Again                *Build // the block built once more by the miner of Parallel; nil: not measured

	Limit  time.Duration // the same transactions by workers that share nothing; 0: not measured
	Others float64       // share of the CPUs' time that other processes took during the round
}

// Outcome is what a comparison gave.
type Outcome struct {
	Pairs []Pair
	Equal bool // in every round all blocks had the same hash

	PeakSequential, PeakParallel []float64 // bytes above the heap at the beginning
}

// memoryRounds is how often peak memory is measured.
const memoryRounds = 3

// ErrNotParallel is returned where op-geth's miner cannot build in parallel.
var ErrNotParallel = errors.New("this program was built against op-geth without the parallel builder")

// Compare builds the block of the pool's transactions sequentially and in parallel, in
// turn, and collects garbage before each build. A first round warms up and is discarded.
func (n *Node) Compare(ctx context.Context, c Comparison) (*Outcome, error) {
	if !Patched {
		return nil, ErrNotParallel
	}
	out := &Outcome{Equal: true}
	for round := -1; round < c.Rounds; round++ {
		if c.Progress != nil && round >= 0 {
			c.Progress(round)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pair, err := n.round(c)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		for _, b := range []*Build{pair.Parallel, pair.Again} {
			if b != nil && pair.Sequential != nil && pair.Sequential.Hash != b.Hash {
				out.Equal = false
			}
		}
		if round >= 0 {
			out.Pairs = append(out.Pairs, pair)
		}
	}
	if !c.Memory {
		return out, nil
	}
	for range memoryRounds {
		for _, side := range []struct {
			build func() (*Build, error)
			peaks *[]float64
		}{
			{n.sequential, &out.PeakSequential},
			{func() (*Build, error) { return n.parallel(c.Workers) }, &out.PeakParallel},
		} {
			if err := n.rest(c); err != nil {
				return nil, err
			}
			heap := watchHeap()
			_, err := side.build()
			*side.peaks = append(*side.peaks, float64(heap.peak()))
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// round builds on each side.
func (n *Node) round(c Comparison) (pair Pair, err error) {
	before := usageNow()
	defer func() { pair.Others = usageNow().othersSince(before) }()
	if c.Sides != Parallel {
		if err := n.rest(c); err != nil {
			return pair, err
		}
		if pair.Sequential, err = n.sequential(); err != nil {
			return pair, err
		}
	}
	if c.Sides != Sequential {
		if err := n.rest(c); err != nil {
			return pair, err
		}
		if pair.Parallel, err = n.parallel(c.Workers); err != nil {
			return pair, err
		}
		if c.Sides == Both && c.Workers > 1 && !c.Cold {
			if err := n.rest(c); err != nil {
				return pair, err
			}
			if pair.Again, err = n.Rebuild(c.Workers); err != nil {
				return pair, err
			}
		}
	}
	if c.Limit != nil {
		pair.Limit, err = c.Limit.Measure(c.Workers)
	}
	return pair, err
}

// rest brings the process to the state from which every build starts.
func (n *Node) rest(c Comparison) error {
	if c.Cold {
		if err := n.Chill(); err != nil {
			return err
		}
	}
	runtime.GC()
	awaitQuiet(c.Quiet)
	return nil
}

func (n *Node) sequential() (*Build, error) { return n.Build(1) }

// parallel builds with that many workers. A setting of one thread means sequential to
// the miner, so one worker is built without it.
func (n *Node) parallel(workers int) (*Build, error) {
	if workers == 1 {
		return n.Direct(1, nil)
	}
	return n.Build(workers)
}

// each returns a figure of every round's two builds.
func (o *Outcome) each(figure func(*Build) float64) (sequential, parallel []float64) {
	for _, p := range o.Pairs {
		if p.Sequential != nil {
			sequential = append(sequential, figure(p.Sequential))
		}
		if p.Parallel != nil {
			parallel = append(parallel, figure(p.Parallel))
		}
	}
	return sequential, parallel
}

// ratios returns, round by round, the sequential build's figure over the parallel one's.
func (o *Outcome) ratios(figure func(*Build) float64) []float64 {
	sequential, parallel := o.each(figure)
	return quotients(sequential, parallel)
}

// limits returns, round by round, the sequential filling over the limit, and the limit
// over the parallel filling. A limit that the parallel filling has beaten, which it can
// since its own view of the state is leaner than the StateDB that the limit is measured
// with, is none: in that round the machine can give what it has given.
func (o *Outcome) limits() (ratio, share []float64) {
	for _, p := range o.Pairs {
		if p.Limit > 0 && p.Sequential != nil && p.Parallel != nil {
			limit := seconds(min(p.Limit, p.Parallel.Fill))
			ratio = append(ratio, seconds(p.Sequential.Fill)/limit)
			share = append(share, limit/seconds(p.Parallel.Fill))
		}
	}
	return ratio, share
}

// rebuilds returns, round by round, the figure of the first parallel build over that of
// the second.
func (o *Outcome) rebuilds(figure func(*Build) float64) (ratios []float64) {
	for _, p := range o.Pairs {
		if p.Parallel != nil && p.Again != nil {
			ratios = append(ratios, quotients([]float64{figure(p.Parallel)}, []float64{figure(p.Again)})...)
		}
	}
	return ratios
}

func quotients(over, under []float64) []float64 {
	out := make([]float64, min(len(over), len(under)))
	for i := range out {
		if under[i] != 0 {
			out[i] = over[i] / under[i]
		}
	}
	return out
}

func fillTime(b *Build) float64  { return seconds(b.Fill) }
func sealTime(b *Build) float64  { return seconds(b.Seal) }
func totalTime(b *Build) float64 { return seconds(b.Total) }
func cpuUsed(b *Build) float64   { return seconds(b.CPU) }

func allocated(b *Build) float64     { return float64(b.Objects) }
func allocatedFill(b *Build) float64 { return float64(b.FillObjects) }
func allocatedSize(b *Build) float64 { return float64(b.Bytes) }

func seconds(d time.Duration) float64 { return d.Seconds() }
