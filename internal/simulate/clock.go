package simulate

import (
	"container/heap"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// clock is virtual time, and whose turn it is. It is a blockstm.Idle: a worker that waits
// there has no moment until it is woken.
type clock struct {
	lock *sync.Mutex // the scheduler's, under which workers wait

	mu     sync.Mutex // guards everything below but the channels
	now    time.Duration
	active int     // whose turn it is
	asleep moments // the others that have a moment
	idle   []int   // those that have none, first come first
	joined int     // workers that have begun
	ended  bool    // from now on time stands still and everybody may run
	stuck  bool    // nobody had a moment
	rng    *rand.Rand
	debts  []time.Duration // by worker: to be spent when it next lets time pass
	waited time.Duration   // by idle workers, all together
	since  []time.Duration // by worker: idle from then on

	turns []chan struct{} // by worker
	freed chan struct{}   // closed when ended is set

	patience time.Duration // for so long a worker that waits looks again by itself
	latency  time.Duration // from the signal until the woken worker runs
	signal   time.Duration // of the one who signals
	held     resource      // the scheduler's lock; guarded by mu
	giveUp   func()        // called once, when stuck
}

// moment is when a worker goes on.
type moment struct {
	at     time.Duration
	tie    uint64
	worker int
}

func newClock(workers int, seed uint64) *clock {
	c := &clock{
		rng:   rand.New(rand.NewPCG(seed, uint64(workers))),
		debts: make([]time.Duration, workers),
		since: make([]time.Duration, workers),
		freed: make(chan struct{}),
		turns: make([]chan struct{}, workers),
	}
	for i := range c.turns {
		c.turns[i] = make(chan struct{}, 1)
	}
	return c
}

// join lets a worker take part. It returns when all have joined and it is its turn.
func (c *clock) join(worker int) {
	c.mu.Lock()
	if c.joined++; c.joined == len(c.turns) {
		for w := range c.turns { // whatever the order in which they came
			c.push(0, w)
		}
		c.next()
	}
	c.mu.Unlock()
	c.await(worker)
}

// turn returns whose turn it is, and the time; running is false when it has ended.
func (c *clock) turn() (worker int, now time.Duration, running bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active, c.now, !c.ended
}

// idleOf makes the clock the place where workers wait under the lock.
func (c *clock) idleOf(lock *sync.Mutex) blockstm.Idle {
	c.lock = lock
	return c
}

// sleep lets time pass for the active worker, and others run meanwhile.
func (c *clock) sleep(d time.Duration) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	me := c.active
	at := c.now + d + c.debts[me]
	c.debts[me] = 0
	if len(c.asleep) == 0 || at < c.asleep[0].at {
		c.now = at
		c.mu.Unlock()
		return
	}
	c.push(at, me)
	c.next()
	c.mu.Unlock()
	c.await(me)
}

// Wait implements blockstm.Idle.
func (c *clock) Wait() {
	c.mu.Lock()
	c.lock.Unlock()
	defer c.lock.Lock()
	if c.ended {
		c.mu.Unlock()
		runtime.Gosched()
		return
	}
	me := c.active
	c.idle = append(c.idle, me)
	c.since[me] = c.now
	if len(c.asleep) > 0 {
		c.next()
	} else if !c.stuck {
		c.stuck = true
		go c.giveUp()
	}
	c.mu.Unlock()
	c.await(me)
}

// Signal implements blockstm.Idle.
func (c *clock) Signal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 || c.ended {
		return
	}
	// One that is still looking finds what there is by itself. The scheduler does not know
	// of it, and signals one that is parked if there is one.
	if last := c.idle[len(c.idle)-1]; c.now-c.since[last] < c.patience {
		c.idle = c.idle[:len(c.idle)-1]
		c.rouse(last, 0)
	}
	if len(c.idle) == 0 || c.now-c.since[c.idle[0]] < c.patience {
		return
	}
	woken := c.idle[0]
	c.idle = c.idle[1:]
	c.debts[c.active] += c.signal
	if c.lock.TryLock() {
		c.lock.Unlock()
	} else { // signalled under the lock, which others have to wait for longer
		c.held.free = max(c.held.free, c.now) + c.signal
		c.held.busy += c.signal
	}
	c.rouse(woken, c.latency)
}

// rouse has a worker that waited go on, after that long. The caller holds mu.
func (c *clock) rouse(worker int, after time.Duration) {
	c.waited += c.now - c.since[worker]
	c.push(c.now+after, worker)
}

// Broadcast implements blockstm.Idle. It ends the simulation: the scheduler has no more
// work to hand out.
func (c *clock) Broadcast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	for _, worker := range c.idle {
		c.waited += c.now - c.since[worker]
	}
	c.ended = true
	close(c.freed)
}

// push gives a worker a moment. The caller holds mu.
func (c *clock) push(at time.Duration, worker int) {
	heap.Push(&c.asleep, moment{at, c.rng.Uint64(), worker})
}

// next gives the turn to the worker whose moment is the earliest. The caller holds mu.
func (c *clock) next() {
	m, _ := heap.Pop(&c.asleep).(moment)
	c.now, c.active = m.at, m.worker
	c.turns[m.worker] <- struct{}{}
}

// await waits for the worker's turn.
func (c *clock) await(worker int) {
	select {
	case <-c.turns[worker]:
	case <-c.freed:
	}
}

// resource is what one worker at a time can use: it serialises.
type resource struct {
	free   time.Duration // from then on
	holder int           // who used it last
	busy   time.Duration // in all
	waited time.Duration // for it, by all workers
}

// nobody is the holder of a resource that is not used yet.
const nobody = -1

// use has the active worker use a resource: for that long if it was the last to do so
// too, and otherwise for the longer time that it takes to get hold of it.
func (c *clock) use(r *resource, own, others time.Duration) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	hold := own
	if r.holder != c.active && r.holder != nobody {
		hold = others
	}
	r.holder = c.active
	begin := max(c.now, r.free)
	r.free = begin + hold
	r.busy += hold
	r.waited += begin - c.now
	d := r.free - c.now
	c.mu.Unlock()
	if d > 0 {
		c.sleep(d)
	}
}

// moments implements heap.Interface.
type moments []moment

func (m moments) Len() int      { return len(m) }
func (m moments) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m moments) Less(i, j int) bool {
	return m[i].at < m[j].at || m[i].at == m[j].at && m[i].tie < m[j].tie
}

// Push implements heap.Interface.
func (m *moments) Push(x any) {
	if one, ok := x.(moment); ok {
		*m = append(*m, one)
	}
}

// Pop implements heap.Interface.
func (m *moments) Pop() any {
	last := len(*m) - 1
	one := (*m)[last]
	*m = (*m)[:last]
	return one
}
