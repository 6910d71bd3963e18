package bench

import (
	"runtime/metrics"
	"sync"
	"time"
)

// reading is what the clocks and counters of the process say at a moment.
type reading struct {
	time    time.Time
	cpu     time.Duration
	objects uint64
	bytes   uint64
}

const (
	objectsMetric = "/gc/heap/allocs:objects"
	bytesMetric   = "/gc/heap/allocs:bytes"
	cyclesMetric  = "/gc/cycles/total:gc-cycles"
	heapMetric    = "/memory/classes/heap/objects:bytes"
)

// read takes a reading, of some microseconds, without stopping the world.
func read() reading {
	samples := []metrics.Sample{{Name: objectsMetric}, {Name: bytesMetric}}
	metrics.Read(samples)
	return reading{
		objects: samples[0].Value.Uint64(),
		bytes:   samples[1].Value.Uint64(),
		cpu:     cpuTime(),
		time:    time.Now(),
	}
}

// heapWatch follows the size of the heap.
type heapWatch struct {
	stop chan struct{}
	wg   sync.WaitGroup
	low  uint64
	high uint64
}

// watchHeap follows the heap until peak is called. It takes some CPU time, and so must
// not run beside a timed build.
func watchHeap() *heapWatch {
	h := &heapWatch{stop: make(chan struct{}), low: heapSize()}
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for {
			h.high = max(h.high, heapSize())
			select {
			case <-h.stop:
				return
			case <-tick.C:
			}
		}
	}()
	return h
}

// peak returns by how much the heap was at most larger than at the beginning, bytes.
func (h *heapWatch) peak() uint64 {
	close(h.stop)
	h.wg.Wait()
	return h.high - min(h.low, h.high)
}

func heapSize() uint64 { return counter(heapMetric) }

// collections returns how often garbage has been collected.
func collections() uint64 { return counter(cyclesMetric) }

func counter(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
