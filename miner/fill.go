package miner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

var (
	// ErrUnsupported is the fallback reason (wrapped, with what it is about) for blocks
	// that only the sequential path builds.
	ErrUnsupported = errors.New("block not supported by the parallel builder")

	// errSkippedFits says that the reasoning behind admission.hopeless is wrong.
	errSkippedFits = errors.New("a transaction was skipped that fits the block")
)

// interruptPoll is how often a run looks for an interrupt while no transaction commits.
const interruptPoll = time.Millisecond

// PrepareState returns a state equal to db, which must be the unmodified state of root,
// whose base reads the workers of a later Fill can share, whose tries are hashed in
// parallel, and whose database remembers how its block was filled, for Verify. The lesson
// of an earlier block may help; nil if there is none.
func PrepareState(root common.Hash, db *state.StateDB, lesson *Lesson) (*state.StateDB, error) {
	plain, _ := untrailed(db.Database())
	tries, err := pstate.NewTries(root, plain)
	if err != nil {
		return nil, err
	}
	assembly := newAssembly()
	tries.Beside = assembly.derive
	prepared := &trailedDatabase{Tries: tries, root: root, plain: plain, trail: new(trail), course: newCourse(root, lesson), assembly: assembly}
	base := pstate.NewBase(db.Reader(), lesson.of(root))
	base.Bind(tries)
	return state.NewWithReader(root, prepared, base)
}

// Sealable returns why the root of a prepared state, which was asked for, is wrong, and the
// block with it: a trie could not be read. It returns nil if nothing speaks against it.
func Sealable(db *state.StateDB) error {
	if t, ok := db.Database().(*trailedDatabase); ok {
		return t.Failure()
	}
	return nil
}

// Fill extends the block by transactions from the request's lists, in parallel. When it
// returns, everything that it committed is in the block and its StateDB, and none of its
// goroutines is left. The context only carries values: the interrupt ends a fill.
//
// It must not run twice over one block at the same time.
func Fill(ctx context.Context, block *Block, req *Request) Result {
	begin := time.Now()
	base, err := supported(block)
	if err == nil {
		err = base.Attach(block.State)
	}
	stream := newStream(block.Signer, orEmpty(req.Plain), orEmpty(req.Blob))
	if err != nil {
		plain, blob := stream.rest(nil)
		return Result{Fallback: err, RestPlain: plain, RestBlob: blob}
	}
	db := block.State.Database().(*trailedDatabase)
	r := &run{stream: stream, course: db.course, off: req.Off, interrupt: req.Interrupt, head: base.Next, drawn: base.Next, ledger: pstate.NewLedger(base)}
	defer r.ledger.Close()
	r.admission = newAdmission(block, req.Limits, r.ledger)
	for i := range max(req.Threads, 1) {
		r.workers = append(r.workers, newWorker(block, base, req.Chaos, i))
	}
	var program blockstm.Program = r
	if req.Watch != nil {
		program = req.Watch(r)
	}
	scheduler := blockstm.NewScheduler(program, blockstm.Config{Workers: len(r.workers), First: base.Next, Chaos: req.Chaos, MaxWindow: req.Window, FixedWindow: req.Off.Window})
	r.positions = make([]position, scheduler.Window())

	ctx, stop := watch(context.WithoutCancel(ctx), req)
	running := time.Now()
	counts, err := scheduler.Run(ctx)
	ran := time.Since(running)
	unset := stop()

	rest := r.close()
	base.Next = r.drawn
	r.course.end()
	result := Result{DABytes: r.admission.daBytes, Stats: statsOf(r, counts, ran)}
	if err == nil || !r.torn {
		err = errors.Join(err, r.apply(err != nil))
	}
	result.Stats.Elapsed = time.Since(begin)
	switch {
	case err != nil:
		// The rest of the block is sequential, also in a later call.
		base.Spoiled = err
		result.Fallback, result.Torn = err, r.torn
		result.RestPlain, result.RestBlob = stream.rest(rest)
	case r.signal != 0:
		result.Interrupt = r.signal
	case req.Interrupt != nil:
		result.Interrupt = req.Interrupt.Load()
	}
	if result.Interrupt != 0 {
		result.Stats.InterruptLatency = time.Since(unset)
	}
	db.trail.note(block, req, r, &result)
	db.assembly.offer(block.Txs, block.Receipts)
	return result
}

// supported returns the base of a block that can be built in parallel.
func supported(block *Block) (*pstate.Base, error) {
	number, time := block.Header.Number, block.Header.Time
	base, prepared := block.State.Reader().(*pstate.Base)
	_, trailed := block.State.Database().(*trailedDatabase)
	switch {
	case !prepared || !trailed:
		return nil, fmt.Errorf("%w: its state was not prepared", ErrUnsupported)
	case base.Spoiled != nil:
		return nil, fmt.Errorf("%w: an earlier run over it failed: %w", ErrUnsupported, base.Spoiled)
	case block.State.Witness() != nil:
		return nil, fmt.Errorf("%w: it collects a witness", ErrUnsupported)
	case !block.Config.IsByzantium(number):
		return nil, fmt.Errorf("%w: receipts before Byzantium hold state roots", ErrUnsupported)
	case block.Config.IsAmsterdam(number, time):
		return nil, fmt.Errorf("%w: Amsterdam rules", ErrUnsupported)
	case block.Config.IsVerkle(number, time) || block.State.AccessEvents() != nil:
		return nil, fmt.Errorf("%w: Verkle tries", ErrUnsupported)
	}
	return base, nil
}

func orEmpty(source TxSource) TxSource {
	if source == nil {
		return noTxs{}
	}
	return source
}

// watch returns a context that is done once the request's interrupt fires, and a function
// to end the watch, which waits for it and tells when the interrupt was last seen unset.
func watch(ctx context.Context, req *Request) (context.Context, func() time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	unset := time.Now()
	if req.Interrupt == nil {
		return ctx, func() time.Time { cancel(); return unset }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(interruptPoll)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				now := time.Now()
				if req.Interrupt.Load() != 0 {
					cancel()
					return
				}
				unset = now
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() time.Time { cancel(); <-done; return unset }
}
