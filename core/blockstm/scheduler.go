package blockstm

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	// ErrPanic is returned (wrapped, with the stack) when a Program panicked.
	ErrPanic = errors.New("panic in parallel execution")

	// ErrBlockedHead is returned (wrapped, with the transactions) when the lowest
	// uncommitted transaction met an estimate: something was left behind in a register
	// that should be gone. Waiting for it would be waiting for ever.
	ErrBlockedHead = errors.New("head of the line is blocked")
)

func blockedHead(tx, by TxIndex) error {
	return fmt.Errorf("%w: transaction %d by %d", ErrBlockedHead, tx, by)
}

// status is where a transaction stands. Only the goroutine that moved it to executing,
// validating or committing may move it on from there.
type status uint8

const (
	empty      status = iota // not drawn, or behind the commit point
	ready                    // to be executed
	waiting                  // to be executed after another one was: see task.waiters
	executing                // an incarnation runs
	executed                 // an incarnation is finished and published
	validating               // its captured reads are being looked at
	committing               // it is the head, and the commit is at work on it
)

// task is what the scheduler knows of one transaction in the window.
type task struct {
	status      status
	settled     bool        // the last incarnation started when all below was committed
	stale       bool        // while executing: something that it may have read has changed
	incarnation Incarnation // the next to be executed, or the one that runs
	waiters     []TxIndex   // waiting for this one to be executed
}

// Config bounds a scheduler.
type Config struct {
	Workers   int     // goroutines that execute, at least 1
	MaxWindow int     // speculation depth without conflict; 0: a default
	First     TxIndex // index of the stream's first transaction
	Chaos     Chaos   // disturbs the schedule in tests; nil: nothing does

	// FixedWindow keeps the speculation depth at MaxWindow whatever conflicts there are, to
	// measure what adapting it gains.
	FixedWindow bool

	// Idle makes the place where workers without work wait, under the lock given. A
	// simulation that decides itself who runs when has one of its own; nil: a sync.Cond.
	Idle func(lock *sync.Mutex) Idle
}

// Idle is what the scheduler needs of a sync.Cond. All waiters are woken only once no
// more work is handed out, and not necessarily with the lock held by the waker.
type Idle interface {
	Wait()
	Signal()
	Broadcast()
}

// Chaos lets tests disturb the schedule. Its methods are called at the engine's
// decision points, without any lock held, from all workers.
type Chaos interface {
	// Pause may delay the caller.
	Pause(worker int)
	// Spurious may demand that a valid, uncommitted execution be thrown away.
	Spurious(tx TxIndex) bool
}

// Stats counts what a run did.
type Stats struct {
	Drawn      int   // transactions drawn from the stream
	Committed  int   // transactions passed by the commit, put to use or dropped
	Executions int   // incarnations, all workers
	Repeats    int   // incarnations after a transaction's first
	Blocked    int   // incarnations that ended at an estimate
	Aborts     int   // finished incarnations thrown away
	HeadRuns   int   // incarnations that ran settled, at the head of the line
	Depth      int   // distances from the head at which incarnations started, summed up
	ByWorker   []int // incarnations, by worker

	Worked     time.Duration // from each worker's start to its end, less what it waited, summed up
	Waited     time.Duration // of the workers with nothing to do, summed up
	Committing time.Duration // in the ordered commit, executions at the head in place included
}

// Scheduler runs one Program. It is used once.
type Scheduler struct {
	program Program
	config  Config

	mu      sync.Mutex // guards everything below, and the tasks
	idle    Idle       // workers that found nothing to do; signalled, without mu, when there may be more than the signaller takes itself
	parked  int        // workers waiting on idle, or signalled and not running yet
	coming  int        // of these, those signalled
	calls   int        // signals to be given when mu is given up
	looking int        // workers that found nothing to do and look again
	tasks   []task     // the window, by index modulo its (power of two) length
	readies []uint64   // bit set of the ready tasks, by position
	nready  int        // bits set in readies
	head    TxIndex    // lowest uncommitted transaction: the commit point
	tail    TxIndex    // number of transactions drawn
	yields  int        // how often a worker looks again before it parks; constant
	low     int        // number of ready tasks below which more is drawn; constant
	window  int        // how far from head execution may start, adapted to the conflicts seen
	wasted  float64    // incarnations thrown away since the last commit
	waste   float64    // moving average of wasted per commit
	drawing bool       // somebody is in Next
	ended   bool       // the stream has ended
	commits bool       // somebody is committing
	done    bool       // no more work is handed out
	err     error      // the first failure
	stats   Stats

	changes atomic.Uint32 // counts, under mu, whatever may give a worker something to do
}

const (
	// maxWindowPerWorker is the default speculation depth. Depth beyond what the workers
	// have in flight only absorbs differences in length.
	maxWindowPerWorker = 32

	// lowPerWorker is how many tasks a worker wants ready, so that it has something to do
	// while another one draws: to wait and be woken takes as long as several transactions.
	lowPerWorker = 4

	// ParkYields is how often a worker that finds nothing to do lets others run and looks
	// whether something has changed, before it parks: some ten microseconds, about what
	// waking it would take.
	ParkYields = 200

	// maxLooking is how many workers do so at a time: each change makes all of them look.
	maxLooking = 2

	// drawBatch is how many transactions are drawn from the stream at a time, at most.
	drawBatch = 16

	// wasteMemory is the number of commits over which conflicts are averaged.
	wasteMemory = 64

	// wasteBudget is how many wasted incarnations per commit and worker speculation may
	// cost before the window gives way.
	wasteBudget = 0.15
)

// NewScheduler returns a scheduler for one run of the program.
func NewScheduler(program Program, config Config) *Scheduler {
	config.Workers = max(config.Workers, 1)
	if config.MaxWindow <= 0 {
		config.MaxWindow = maxWindowPerWorker * config.Workers
	}
	size := 1 << bits.Len(uint(max(config.MaxWindow, 64)-1))
	s := &Scheduler{
		program: program,
		config:  config,
		tasks:   make([]task, size),
		readies: make([]uint64, size/64),
		head:    config.First,
		tail:    config.First,
		window:  config.MaxWindow,
		low:     lowPerWorker * config.Workers,
	}
	if config.Idle == nil {
		s.yields = ParkYields
	}
	if config.Idle != nil {
		s.idle = config.Idle(&s.mu)
	} else {
		s.idle = sync.NewCond(&s.mu)
	}
	s.stats.ByWorker = make([]int, config.Workers)
	return s
}

// Window returns the largest distance between the commit point and a transaction that
// the scheduler ever works on, plus one: a Program may reuse what it keeps by
// transaction at this distance. It is a power of two.
func (s *Scheduler) Window() int { return len(s.tasks) }

// Run runs the program until its stream is committed, it ends the run, something fails
// or ctx is done. What is committed by then stays committed. No goroutine of it is left
// when it returns.
func (s *Scheduler) Run(ctx context.Context) (Stats, error) {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(stopped); s.finish(nil) })
	defer func() {
		if !stop() {
			<-stopped
		}
	}()

	var workers errgroup.Group
	for w := 1; w < s.config.Workers; w++ {
		workers.Go(func() error { s.work(w); return nil })
	}
	s.work(0)
	_ = workers.Wait() // the workers report through finish

	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats, s.err
}

// finish ends the run. The first error is kept.
func (s *Scheduler) finish(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.done = true
	s.changes.Add(1)
	s.idle.Broadcast()
	s.mu.Unlock()
	s.program.Cancel()
}

// work is the life of one worker.
func (s *Scheduler) work(worker int) {
	since := time.Now()
	defer func() {
		s.mu.Lock()
		s.stats.Worked += time.Since(since)
		s.mu.Unlock()
	}()
	defer func() {
		if r := recover(); r != nil {
			s.finish(fmt.Errorf("%w: %v\n%s", ErrPanic, r, debug.Stack()))
		}
	}()
	for {
		s.pause(worker)
		version, settled, ok := s.take()
		if !ok {
			return
		}
		s.pause(worker)
		result := s.program.Execute(worker, version, settled)
		s.pause(worker)
		if result.Err != nil {
			s.finish(result.Err)
			return
		}
		s.executed(worker, version.Tx, result)
		s.pause(worker)
		s.commit(worker)
	}
}

func (s *Scheduler) pause(worker int) {
	if s.config.Chaos != nil {
		s.config.Chaos.Pause(worker)
	}
}

func (s *Scheduler) spurious(tx TxIndex) bool {
	return s.config.Chaos != nil && s.config.Chaos.Spurious(tx)
}

// unlock gives up mu and then the signals that were decided on under it: each takes longer
// than all else that is done with mu held.
func (s *Scheduler) unlock() {
	calls := s.calls
	s.calls = 0
	s.mu.Unlock()
	for range calls {
		s.idle.Signal()
	}
}

// unlocked runs f without mu, which the caller holds before and after, whatever f does.
func (s *Scheduler) unlocked(f func()) {
	s.unlock()
	defer s.mu.Lock()
	f()
}

func (s *Scheduler) task(tx TxIndex) *task { return &s.tasks[int(tx)&(len(s.tasks)-1)] }

// setReady makes tx executable. The caller holds mu.
func (s *Scheduler) setReady(tx TxIndex) {
	pos := int(tx) & (len(s.tasks) - 1)
	s.tasks[pos].status = ready
	s.readies[pos/64] |= 1 << (pos % 64)
	s.nready++
	s.changes.Add(1)
}

// lowestReady returns the lowest executable transaction inside the window, or NoTx. The
// caller holds mu.
func (s *Scheduler) lowestReady() TxIndex {
	if s.nready == 0 {
		return NoTx
	}
	start := int(s.head) & (len(s.tasks) - 1)
	for n, word := 0, start/64; n <= len(s.readies); n, word = n+1, (word+1)%len(s.readies) {
		set := s.readies[word]
		switch n {
		case 0:
			set &= ^uint64(0) << (start % 64)
		case len(s.readies):
			set &= 1<<(start%64) - 1
		}
		if set == 0 {
			continue
		}
		pos := word*64 + bits.TrailingZeros64(set)
		tx := s.head + TxIndex((pos-start)&(len(s.tasks)-1))
		if int(tx-s.head) >= s.window {
			return NoTx
		}
		return tx
	}
	return NoTx
}

// take waits for something to execute. It returns false at the end of the run.
func (s *Scheduler) take() (version Version, settled bool, ok bool) {
	s.mu.Lock()
	defer s.unlock()
	looked := false
	for !s.done {
		if s.nready < s.low && s.drawable() {
			s.draw()
		}
		if tx := s.lowestReady(); tx != NoTx {
			t := s.task(tx)
			pos := int(tx) & (len(s.tasks) - 1)
			s.readies[pos/64] &^= 1 << (pos % 64)
			s.nready--
			t.status, t.stale = executing, false
			t.settled = tx == s.head
			if t.settled {
				s.stats.HeadRuns++
			}
			s.stats.Depth += int(tx - s.head)
			s.wake(0)
			return Version{Tx: tx, Incarnation: t.incarnation}, t.settled, true
		}
		if s.drawable() {
			continue
		}
		if s.ended && s.head == s.tail && !s.commits {
			s.done = true
			s.idle.Broadcast()
			break
		}
		if !looked && s.looking < maxLooking {
			looked = !s.look()
			continue
		}
		switch {
		case s.done: // while it was drawn: nobody would wake this worker
			return Version{}, false, false
		case s.calls > 0:
			s.unlocked(func() {})
			continue
		}
		looked = false
		s.parked++
		since := time.Now()
		s.idle.Wait()
		waited := time.Since(since)
		s.stats.Waited += waited
		s.stats.Worked -= waited
		s.parked--
		s.coming = max(s.coming-1, 0)
	}
	return Version{}, false, false
}

// look waits a short time for something to change, and reports whether it did. The caller
// holds mu, which is given up meanwhile.
func (s *Scheduler) look() (changed bool) {
	was := s.changes.Load()
	s.looking++
	s.unlocked(func() {
		for range s.yields {
			runtime.Gosched()
			if changed = s.changes.Load() != was; changed {
				return
			}
		}
	})
	s.looking--
	return changed
}

// drawable reports whether the stream can be drawn from now. The caller holds mu.
func (s *Scheduler) drawable() bool {
	return !s.ended && !s.drawing && int(s.tail-s.head) < s.window
}

// wake has a parked worker signalled if more is executable than the caller, who takes the
// given number, and those already signalled will take: to signal costs as much as a short
// transaction. The caller holds mu.
func (s *Scheduler) wake(mine int) {
	if s.parked > s.coming && s.nready > mine+s.coming {
		s.coming++
		s.calls++
	}
}

// draw takes a batch from the stream. The caller holds mu, which is given up meanwhile.
func (s *Scheduler) draw() {
	n := min(drawBatch, s.window-int(s.tail-s.head))
	first := s.tail
	var after [drawBatch]TxIndex
	drawn, more := 0, true

	s.drawing = true
	s.unlocked(func() {
		for drawn < n {
			if after[drawn], more = s.program.Next(first + TxIndex(drawn)); !more {
				break
			}
			drawn++
		}
	})
	s.drawing = false
	s.changes.Add(1)

	for i := range drawn {
		tx := first + TxIndex(i)
		t := s.task(tx)
		*t = task{waiters: t.waiters[:0]}
		s.tail++
		s.await(tx, after[i])
	}
	s.stats.Drawn += drawn
	s.ended = s.ended || !more
	s.wake(1)
}

// await makes tx ready, or waiting if the transaction it should come after is still to
// be executed. The caller holds mu.
func (s *Scheduler) await(tx, after TxIndex) {
	if after >= s.head && after < tx {
		if dep := s.task(after); dep.status != executed {
			s.task(tx).status = waiting
			dep.waiters = append(dep.waiters, tx)
			return
		}
	}
	s.setReady(tx)
}

// release makes the transactions that waited for t executable. The caller holds mu.
func (s *Scheduler) release(t *task) {
	for _, tx := range t.waiters {
		s.setReady(tx)
	}
	t.waiters = t.waiters[:0]
}

// executed takes note of a finished incarnation, and looks at the later ones that may
// have read what it changed.
func (s *Scheduler) executed(worker int, tx TxIndex, result Execution) {
	s.mu.Lock()
	t := s.task(tx)
	s.count(worker, t)
	if result.Blocked != NoTx && t.settled {
		s.mu.Unlock()
		s.finish(blockedHead(tx, result.Blocked))
		return
	}
	if result.Blocked != NoTx {
		s.stats.Blocked++
		s.wasted += 0.5
		t.incarnation++
		s.await(tx, result.Blocked)
		s.wake(1)
		s.unlock()
		return
	}
	if t.stale && !t.settled {
		// Something changed while it ran: ask before others build on it.
		t.status = validating
		s.mu.Unlock()
		s.revalidate(worker, tx)
		s.mu.Lock()
	} else {
		t.status = executed
		s.release(t)
	}
	s.wake(1)
	s.unlock()

	if result.Readers > tx {
		s.invalidate(worker, tx, result.Readers)
	}
}

// count takes note of an incarnation. The caller holds mu.
func (s *Scheduler) count(worker int, t *task) {
	s.stats.Executions++
	s.stats.ByWorker[worker]++
	if t.incarnation > 0 {
		s.stats.Repeats++
	}
}

// revalidate looks at the reads of tx, whose status is validating and which the caller
// therefore owns, and makes it executed or ready again.
func (s *Scheduler) revalidate(worker int, tx TxIndex) {
	s.pause(worker)
	valid := s.program.Validate(tx) && !s.spurious(tx)
	if !valid {
		s.program.Abort(tx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.task(tx)
	if valid {
		t.status = executed
		s.release(t)
		return
	}
	t.incarnation++
	s.stats.Aborts++
	s.wasted++
	s.setReady(tx)
}

// invalidate looks at the executed transactions in (tx, last], which may have read what
// tx just changed, so that those that did run again now and not at their commit.
func (s *Scheduler) invalidate(worker int, tx, last TxIndex) {
	for next := tx + 1; next <= last; next++ {
		s.mu.Lock()
		next = max(next, s.head)
		for ; next <= last && next < s.tail; next++ {
			t := s.task(next)
			if t.status == executing {
				t.stale = true
			}
			if t.status == executed && !t.settled {
				break
			}
		}
		if next > last || next >= s.tail || s.done {
			s.mu.Unlock()
			return
		}
		s.task(next).status = validating
		s.mu.Unlock()
		s.revalidate(worker, next)
	}
}

// commit commits the finished prefix. One worker does so at a time; whoever comes
// meanwhile leaves, since the one at work looks again before it goes.
func (s *Scheduler) commit(worker int) {
	s.mu.Lock()
	defer s.unlock()
	if s.commits {
		return
	}
	s.commits = true
	var since time.Time
	for !s.done && s.head < s.tail {
		tx := s.head
		t := s.task(tx)
		if t.status != executed {
			break
		}
		if since.IsZero() {
			since = time.Now()
		}
		t.status = committing
		settled, version := t.settled, Version{Tx: tx, Incarnation: t.incarnation + 1}
		var more, reran bool
		var err error
		s.unlocked(func() { more, reran, err = s.commitHead(worker, version, settled) })
		if reran {
			t.incarnation++
			s.count(worker, t)
			s.stats.HeadRuns++
			s.stats.Aborts++
			s.wasted++
		}
		if err != nil || !more {
			if s.err == nil {
				s.err = err
			}
			s.done = true
			s.idle.Broadcast()
			break
		}
		s.stats.Committed++
		s.release(t)
		t.status = empty
		s.head++
		s.changes.Add(1)
		s.adapt() // whoever is needed for what that makes executable is woken by take: a signal takes longer than a commit
	}
	s.commits = false
	s.changes.Add(1)
	if !since.IsZero() {
		s.stats.Committing += time.Since(since)
	}
	if s.done {
		s.unlocked(s.program.Cancel)
	}
	if s.done || s.ended && s.head == s.tail {
		s.idle.Broadcast()
	}
}

// commitHead validates the head, runs it again in place if it must, and commits it.
// The head is the caller's: its status is committing.
func (s *Scheduler) commitHead(worker int, next Version, settled bool) (more, reran bool, err error) {
	s.pause(worker)
	if !settled && (!s.program.Validate(next.Tx) || s.spurious(next.Tx)) {
		reran = true
		s.mu.Lock()
		s.wake(0) // this may take long
		s.unlock()
		s.program.Abort(next.Tx)
		result := s.program.Execute(worker, next, true)
		switch {
		case result.Err != nil:
			return false, reran, result.Err
		case result.Blocked != NoTx:
			return false, reran, blockedHead(next.Tx, result.Blocked)
		case result.Readers > next.Tx:
			defer s.invalidate(worker, next.Tx, result.Readers)
		}
	}
	more, err = s.program.Commit(next.Tx)
	return more, reran, err
}

// adapt sets the window by the conflicts seen of late: the deeper the speculation, the
// more of it is thrown away. Under permanent conflict it shrinks to the head alone, and
// the average, which then falls, has it try again from time to time. The caller holds mu.
func (s *Scheduler) adapt() {
	s.waste += (s.wasted - s.waste) / wasteMemory
	s.wasted = 0
	s.window = s.config.MaxWindow
	if s.config.FixedWindow {
		return
	}
	if budget := wasteBudget * float64(s.config.Workers); s.waste*float64(s.window) > budget {
		s.window = max(int(budget/s.waste), 1)
	}
}
