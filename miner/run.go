package miner

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// applyBatch is how many changed accounts that the StateDB holds are gathered before they
// are applied to it: enough that hot ones go there seldom, few enough that the other
// workers do not run out of window meanwhile, and that the end of the fill has little left
// to do.
const applyBatch = 128

// position is what a run keeps of one candidate while it is within the window. The
// footprint's memory serves one candidate after the other.
type position struct {
	candidate *candidate
	outcome   outcome
	footprint pstate.Footprint
}

// run is the blockstm.Program that fills a block.
type run struct {
	stream    *stream
	admission *admission
	ledger    *pstate.Ledger
	workers   []*worker
	interrupt *atomic.Int32 // may be nil
	off       Features
	groups    groups

	positions  []position       // by index modulo its (power of two) length
	candidates []trailCandidate // all that were drawn
	course     *course
	drawn      blockstm.TxIndex
	head       blockstm.TxIndex // commits so far; the ordered commit's
	committed  int              // candidates in the block; the ordered commit's
	signal     int32            // what interrupted the run; the ordered commit's
	torn       bool             // a commit has begun and not ended; the ordered commit's

	cancelled atomic.Bool
}

func (r *run) position(tx blockstm.TxIndex) *position {
	return &r.positions[int(tx)&(len(r.positions)-1)]
}

// Next implements blockstm.Program.
func (r *run) Next(tx blockstm.TxIndex) (blockstm.TxIndex, bool) {
	c, before := r.stream.next(tx)
	if c == nil {
		return blockstm.NoTx, false
	}
	p := r.position(tx)
	p.candidate, p.outcome = c, outcome{}
	if c.tx != nil {
		r.candidates = append(r.candidates, trailCandidate{c.tx, c.lazy.DABytes})
	}
	r.drawn = tx + 1
	return r.follows(tx, c, before), true
}

// follows returns which transaction the candidate with the index tx is best executed
// after, blockstm.NoTx if there is none: its sender's one before, the one that it followed
// in an earlier build, or its group's one before.
func (r *run) follows(tx blockstm.TxIndex, c *candidate, before blockstm.TxIndex) blockstm.TxIndex {
	known := r.course.drawn(tx, c.lazy.Hash)
	bound := r.groups.drawn(tx, c)
	after := blockstm.NoTx
	if !r.off.Senders {
		after = max(after, before)
	}
	if !r.off.Hints {
		after = max(after, known)
	}
	if !r.off.Groups {
		after = max(after, bound)
	}
	return after
}

// Execute implements blockstm.Program.
func (r *run) Execute(worker int, version blockstm.Version, settled bool) blockstm.Execution {
	w, p := r.workers[worker], r.position(version.Tx)
	nothing := blockstm.Execution{Blocked: blockstm.NoTx, Readers: blockstm.NoTx}
	if w.evm.Load().Cancelled() {
		w.renew()
	}
	if r.cancelled.Load() {
		return nothing // the run is over: nobody looks at the outcome
	}
	if r.admission.hopeless(p.candidate) {
		p.outcome = outcome{skipped: true}
		p.footprint.Withdraw(version.Tx)
		return nothing
	}
	var stack error
	p.outcome, stack = w.execute(version, p.candidate, &p.footprint)
	if p.outcome.panicked {
		p.footprint.Withdraw(version.Tx)
		if settled {
			nothing.Err = stack
		}
		return nothing
	}
	switch blocked, err := w.view.Void(); {
	case err != nil:
		nothing.Err = err
		return nothing
	case blocked != blockstm.NoTx:
		nothing.Blocked = blocked
		return nothing
	}
	if r.cancelled.Load() {
		return nothing // the outcome may be that of a cancelled EVM
	}
	nothing.Readers = p.footprint.Publish(version)
	return nothing
}

// Validate implements blockstm.Program.
func (r *run) Validate(tx blockstm.TxIndex) bool {
	p := r.position(tx)
	return p.outcome.skipped || !p.outcome.panicked && p.footprint.Valid(tx)
}

// Abort implements blockstm.Program.
func (r *run) Abort(tx blockstm.TxIndex) { r.position(tx).footprint.Abort(tx) }

// Commit implements blockstm.Program.
func (r *run) Commit(tx blockstm.TxIndex) (bool, error) {
	if r.interrupt != nil {
		if r.signal = r.interrupt.Load(); r.signal != 0 {
			return false, nil
		}
	}
	if r.cancelled.Load() {
		return false, nil
	}
	p := r.position(tx)
	r.torn = true
	v, err := r.decide(p)
	if err != nil {
		return false, err
	}
	if v == endOfFill {
		r.torn = false
		return false, nil
	}
	r.head = tx + 1
	follows := p.footprint.Follows()
	r.course.committed(follows)
	p.candidate.group.committed(tx, follows)
	if v != admit {
		if v == leaveRest && p.candidate.account != nil {
			p.candidate.account.dropped.Store(true)
		}
		p.footprint.Withdraw(tx)
		r.torn = false
		return true, nil
	}
	r.committed++
	r.ledger.Commit(tx, &p.footprint)
	if r.ledger.Pending() >= applyBatch {
		r.ledger.Apply()
	}
	r.torn = false
	return true, nil
}

// decide says what becomes of the head, and accounts for it if it is admitted.
func (r *run) decide(p *position) (verdict, error) {
	c := p.candidate
	if v := r.admission.before(c); v != notDecided {
		return v, nil
	}
	switch {
	case p.outcome.skipped:
		return endOfFill, errSkippedFits
	case p.outcome.err != nil:
		return r.admission.failed(c, p.outcome.err, DropInvalid), nil
	}
	return r.admission.include(c, &p.outcome)
}

// Cancel implements blockstm.Program.
func (r *run) Cancel() {
	r.cancelled.Store(true)
	for _, w := range r.workers {
		w.cancel()
	}
}

// close takes back what is published and not committed, and returns these candidates in
// order. No worker is left.
func (r *run) close() []*candidate {
	var rest []*candidate
	for tx := r.head; tx < r.drawn; tx++ {
		p := r.position(tx)
		p.footprint.Withdraw(tx)
		rest = append(rest, p.candidate)
	}
	return rest
}

// apply brings what is committed to the StateDB, at the end of the run: all of it if the
// block is to go on sequentially.
func (r *run) apply(all bool) (err error) {
	r.torn = true
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", blockstm.ErrPanic, p, debug.Stack())
		}
	}()
	if all {
		r.ledger.Surrender()
	} else {
		r.ledger.Apply()
	}
	r.torn = false
	return nil
}
