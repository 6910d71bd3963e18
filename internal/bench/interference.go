package bench

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Interference is by how much threads that fill blocks slow each other down on this
// machine where the scheduler has no part in it.
type Interference struct {
	Threads   int           // on which it was measured
	Slow      float64       // factor on all that a worker does, for memory, caches, allocator and prefetching
	Collector time.Duration // CPU time of the garbage collector in a filling
}

// MeasureInterference compares fillings of the block with one worker: one alone with as
// many as threads at once, each on a state of its own. The garbage collector is off
// meanwhile, for how often it runs depends on how much memory is in use, which these
// comparisons multiply. What it costs is measured by itself: how often it runs in a
// filling, times what a run of it takes with as much in use.
func (m *Model) MeasureInterference(threads, rounds int, quiet time.Duration) (*Interference, error) {
	i := &Interference{Threads: threads}
	var factors, cycles, costs []float64
	for range rounds {
		awaitQuiet(quiet)
		alone, err := m.together(1)
		if err != nil {
			return nil, err
		}
		awaitQuiet(quiet)
		all, err := m.together(threads)
		if err != nil {
			return nil, err
		}
		factors = append(factors, seconds(all)/seconds(alone))

		took, err := m.Subject.fill(1, nil)
		if err != nil {
			return nil, err
		}
		before := cpuTime()
		runtime.GC()
		cycles, costs = append(cycles, float64(took.cycles)), append(costs, seconds(cpuTime()-before))
		runtime.KeepAlive(took.block)
	}
	i.Slow = max(1, median(factors))
	i.Collector = time.Duration(median(cycles) * median(costs) * float64(time.Second))
	return i, nil
}

// together returns the mean of what so many fillings at once take, without garbage
// collection.
func (m *Model) together(threads int) (time.Duration, error) {
	attempts := make([]*attempt, threads)
	for k := range attempts {
		var err error
		if attempts[k], err = m.Subject.ready(1, nil); err != nil {
			return 0, err
		}
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var (
		all    sync.WaitGroup
		begin  = make(chan struct{})
		took   = make([]filling, threads)
		failed = make([]error, threads)
	)
	for k, a := range attempts {
		all.Add(1)
		go func() {
			defer all.Done()
			<-begin
			took[k], failed[k] = a.run()
		}()
	}
	close(begin)
	all.Wait()
	var sum time.Duration
	for k := range took {
		if failed[k] != nil {
			return 0, failed[k]
		}
		sum += took[k].clock
	}
	return sum / time.Duration(threads), nil
}
