package buildtest

import (
	"fmt"
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Storm is a blockstm.Chaos that disturbs a build from its beginning to its end, in a way
// that its seed chooses: workers that give way, or sleep for moments, one that lags
// behind, some that are held back while the others run ahead, executions thrown away for
// no reason, or all of that. The time that it takes is bounded.
type Storm struct {
	seed     int64
	kind     stormKind
	workers  []stormWorker
	calls    atomic.Int64
	holding  atomic.Int32 // workers held at the moment
	sleep    atomic.Int64 // nanoseconds that may still be slept
	spurious int64        // of 100 valid executions, how many are thrown away
}

type stormKind int

const (
	giveWay stormKind = iota
	nap
	lag
	holdBack
	throwAway
	allAtOnce
	stormKinds
)

func (k stormKind) String() string {
	return [...]string{"workers give way", "workers nap", "a worker lags", "workers are held back", "executions are thrown away", "everything"}[k]
}

type stormWorker struct {
	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

// stormSleep is what all workers of a disturbed build may sleep together.
const stormSleep = 50 * time.Millisecond

// NewStorm returns the storm of a seed.
func NewStorm(seed int64, workers int) *Storm {
	rng := rand.New(rand.NewSource(seed))
	s := &Storm{seed: seed, kind: stormKind(rng.Intn(int(stormKinds))), workers: make([]stormWorker, workers)}
	if s.kind >= throwAway {
		s.spurious = 1 + rng.Int63n(50)
	}
	for i := range s.workers {
		s.workers[i].rng = rand.New(rand.NewSource(seed ^ int64(i+1)<<40))
	}
	s.sleep.Store(int64(stormSleep))
	return s
}

// String names the storm in reports.
func (s *Storm) String() string { return fmt.Sprintf("storm %d (%v)", s.seed, s.kind) }

// roll returns a random number below n, of the worker's own.
func (s *Storm) roll(worker, n int) int {
	w := &s.workers[worker%len(s.workers)]
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Intn(n)
}

// Pause implements blockstm.Chaos.
func (s *Storm) Pause(worker int) {
	now, kind := s.calls.Add(1), s.kind
	if kind == allAtOnce {
		kind = stormKind(s.roll(worker, int(allAtOnce)))
	}
	switch kind {
	case giveWay, throwAway:
		for range s.roll(worker, 8) {
			runtime.Gosched()
		}
	case nap:
		if s.roll(worker, 6) == 0 {
			s.rest(time.Duration(s.roll(worker, 100)) * time.Microsecond)
		}
	case lag:
		if worker == int(uint64(s.seed)%uint64(len(s.workers))) {
			s.rest(100 * time.Microsecond)
		}
	case holdBack:
		if s.roll(worker, 4) == 0 {
			s.hold(now + int64(s.roll(worker, 40)))
		}
	}
}

// Moment implements miner.Unsteady.
func (s *Storm) Moment(worker int) {
	if s.roll(worker, 16) == 0 {
		s.Pause(worker)
	}
}

// Watch returns the program with delays around each of its steps, beside those that the
// scheduler has between them.
func (s *Storm) Watch(p blockstm.Program) blockstm.Program { return &stormyProgram{p, s} }

// stormyProgram disturbs the moments between what a program does and what the scheduler
// makes of it: between a validation and its consequence, say.
type stormyProgram struct {
	blockstm.Program
	storm *Storm
}

// around delays before f and after it.
func (p *stormyProgram) around(worker int, f func()) {
	p.storm.Moment(worker)
	f()
	p.storm.Moment(worker)
}

// Next implements blockstm.Program.
func (p *stormyProgram) Next(tx blockstm.TxIndex) (after blockstm.TxIndex, more bool) {
	p.around(int(tx), func() { after, more = p.Program.Next(tx) })
	return after, more
}

// Execute implements blockstm.Program.
func (p *stormyProgram) Execute(worker int, version blockstm.Version, settled bool) (e blockstm.Execution) {
	p.around(worker, func() { e = p.Program.Execute(worker, version, settled) })
	return e
}

// Validate implements blockstm.Program.
func (p *stormyProgram) Validate(tx blockstm.TxIndex) (valid bool) {
	p.around(int(tx), func() { valid = p.Program.Validate(tx) })
	return valid
}

// Abort implements blockstm.Program.
func (p *stormyProgram) Abort(tx blockstm.TxIndex) { p.around(int(tx), func() { p.Program.Abort(tx) }) }

// Commit implements blockstm.Program.
func (p *stormyProgram) Commit(tx blockstm.TxIndex) (more bool, err error) {
	p.around(int(tx), func() { more, err = p.Program.Commit(tx) })
	return more, err
}

// rest sleeps, unless all that may be slept is.
func (s *Storm) rest(d time.Duration) {
	if s.sleep.Add(-int64(d)) > 0 {
		time.Sleep(d)
	}
}

// hold keeps the worker until the others have passed so many points, or as long as it may
// be. Somebody always goes on.
func (s *Storm) hold(until int64) {
	defer s.holding.Add(-1)
	if int(s.holding.Add(1)) >= len(s.workers) {
		return
	}
	for deadline := time.Now().Add(time.Millisecond); s.calls.Load() < until && time.Now().Before(deadline) && s.sleep.Load() > 0; {
		s.rest(20 * time.Microsecond)
	}
}

// Spurious implements blockstm.Chaos.
func (s *Storm) Spurious(tx blockstm.TxIndex) bool {
	return s.spurious > 0 && rand.New(rand.NewSource(s.seed^int64(tx)<<20^s.calls.Load())).Int63n(100) < s.spurious
}
