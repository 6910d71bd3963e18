package buildtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Trial says how plans are tried: each is built sequentially, and in parallel with every
// number of workers on good and on bad schedules, and all blocks must be the same.
type Trial struct {
	Workers   []int // numbers of workers
	Disturbed int   // builds on disturbed schedules, for each number
	Shift     int64 // added to the seed of the schedules
	Miner     bool  // op-geth's own miner builds the block too, in parallel if it can

	// Wrap puts something before the parent state of the parallel builds: a fault that a
	// test plants. May be nil.
	Wrap func(state.Reader) state.Reader
}

// Tally counts what trials did.
type Tally struct {
	Blocks       int            `json:"blocks"` // plans tried
	Builds       int            `json:"builds"` // of them, in parallel
	Transactions int            `json:"transactions"`
	Executions   int            `json:"executions"`
	Reexecutions int            `json:"reexecutions"`
	Fallbacks    int            `json:"fallbacks"`
	CutShort     int            `json:"cutShort"`   // blocks that op-geth's miner sealed when its time was over, before all was in
	Candidates   int            `json:"candidates"` // in the pools of the blocks
	Included     int            `json:"included"`   // of them, in the block
	Dropped      map[string]int `json:"dropped"`    // of them, left out by the sequential builder, by the reason
	ByRules      map[string]int `json:"blocksByRules"`
}

// Add adds another tally.
func (t *Tally) Add(o *Tally) {
	t.Blocks += o.Blocks
	t.Builds += o.Builds
	t.Transactions += o.Transactions
	t.Executions += o.Executions
	t.Reexecutions += o.Reexecutions
	t.Fallbacks += o.Fallbacks
	t.CutShort += o.CutShort
	t.Candidates += o.Candidates
	t.Included += o.Included
	for _, m := range []struct {
		into *map[string]int
		from map[string]int
	}{{&t.Dropped, o.Dropped}, {&t.ByRules, o.ByRules}} {
		if *m.into == nil {
			*m.into = make(map[string]int)
		}
		for k, n := range m.from {
			(*m.into)[k] += n
		}
	}
}

// DroppedKinds returns the reasons in alphabetical order.
func (t *Tally) DroppedKinds() []string { return slices.Sorted(maps.Keys(t.Dropped)) }

var (
	// errFellBack is returned (wrapped, with the reason) by a trial in which the parallel
	// builder gave up: it has no reason to.
	errFellBack = errors.New("the parallel builder fell back to the sequential one")

	errNothingLearned = errors.New("a build left no lesson")

	errNoBlock  = errors.New("the plan makes no block")
	errDisagree = errors.New("op-geth's miner seals another block")
)

// Try builds the plan's block in all ways of the trial. The error says which block was the
// first to differ, and how.
func (t Trial) Try(p *Plan) (Tally, error) {
	tally := Tally{Blocks: 1, ByRules: map[string]int{p.Rules: 1}}
	s, err := p.Scenario()
	if err != nil {
		return tally, fmt.Errorf("%w: %w", errNoBlock, err)
	}
	n, err := NewNode(s, "")
	if err != nil {
		return tally, fmt.Errorf("%w: %w", errNoBlock, err)
	}
	return tally, errors.Join(t.try(n, &tally), n.Close())
}

func (t Trial) try(n *Node, tally *Tally) error {
	want, err := n.fill(attempt{workers: Sequential})
	if err != nil {
		return fmt.Errorf("sequential build: %w", err)
	}
	tally.Candidates = len(n.Scenario.Candidates)
	tally.Included = len(want.Block.Transactions()) - want.Forced
	tally.Dropped = want.Dropped
	offered := tally.Included
	for _, k := range want.Dropped {
		offered += k
	}
	if rest := tally.Candidates - offered; rest > 0 {
		tally.Dropped["never offered"] += rest // after one that was dropped, after the end, below the base fee
	}
	if t.Miner && n.Scenario.MaxSize == 0 {
		if err := t.mined(n, 1, want, tally); err != nil {
			return err
		}
	}
	seed := n.Scenario.Seed + t.Shift
	for i, workers := range t.Workers {
		got, err := t.built(n, attempt{workers: workers, wrap: t.Wrap}, want, tally)
		if err != nil {
			return fmt.Errorf("%d workers: %w", workers, err)
		}
		lesson := miner.Learn(got.State)
		if lesson == nil {
			return fmt.Errorf("%d workers: %w", workers, errNothingLearned)
		}
		for d := range int64(t.Disturbed) {
			// Each seed has another kind of disturbance in turn.
			chaos := NewStorm(seed*1000+int64(i)*100+d, workers)
			if _, err := t.built(n, attempt{workers: workers, wrap: t.Wrap, chaos: chaos}, want, tally); err != nil {
				return fmt.Errorf("%d workers, %v: %w", workers, chaos, err)
			}
		}
		for how, l := range map[string]*miner.Lesson{"after a lesson": lesson, "misled": lesson.Misled(seed)} {
			if _, err := t.built(n, attempt{workers: workers, wrap: t.Wrap, lesson: l}, want, tally); err != nil {
				return fmt.Errorf("%d workers, %s: %w", workers, how, err)
			}
		}
	}
	if threads := t.Workers[int(uint64(seed)%uint64(len(t.Workers)))]; t.Miner && Patched && threads > 1 && n.Scenario.MaxSize == 0 {
		return t.mined(n, threads, want, tally)
	}
	return nil
}

// built builds in parallel and compares.
func (t Trial) built(n *Node, a attempt, want *Built, tally *Tally) (*Built, error) {
	before := runtime.NumGoroutine()
	got, err := n.fill(a)
	if err != nil {
		return nil, err
	}
	tally.Builds++
	for _, run := range got.Runs {
		tally.Transactions += run.Stats.Committed
		tally.Executions += run.Stats.Executions
		tally.Reexecutions += run.Stats.Reexecutions
		if run.Fallback != nil {
			tally.Fallbacks++
			err = errors.Join(err, fmt.Errorf("%w: %w", errFellBack, run.Fallback))
		}
	}
	if err = errors.Join(err, Diff(n.Scenario, want, got)); err != nil {
		return nil, err
	}
	if err := honest(got, a.workers); err != nil {
		return nil, err
	}
	return got, settle(before)
}

// minerPatience is how long op-geth's miner works on a block. On a machine that is busy
// otherwise it may have to seal what it has by then.
const minerPatience = 2 * time.Second

// mined has op-geth's miner build and compares.
func (t Trial) mined(n *Node, threads int, want *Built, tally *Tally) error {
	begin := time.Now()
	env, err := n.payloadWithoutMinimumTip(threads)
	if err != nil {
		return fmt.Errorf("op-geth's miner, %d threads: %w", threads, err)
	}
	got := env.ExecutionPayload
	if hash := got.BlockHash; hash != want.Block.Hash() {
		took, same := time.Since(begin), leading(want.Block.Transactions(), got.Transactions)
		if took > minerPatience && same == len(got.Transactions) && same < len(want.Block.Transactions()) {
			tally.CutShort++
			return nil
		}
		return fmt.Errorf("%w with %d threads, after %v: %s with %d transactions, the reference's is %s with %d; the first %d are the same", errDisagree, threads,
			took, hash, len(got.Transactions), want.Block.Hash(), len(want.Block.Transactions()), same)
	}
	if threads > 1 {
		tally.Builds++
		tally.Transactions += len(got.Transactions) - want.Forced
	}
	return nil
}

// leading returns how many transactions the block and the payload have in common at their
// beginning.
func leading(block types.Transactions, payload [][]byte) int {
	for i, raw := range payload {
		if i >= len(block) {
			return i
		}
		if want, err := block[i].MarshalBinary(); err != nil || !bytes.Equal(want, raw) {
			return i
		}
	}
	return len(payload)
}

// honest checks that Fill's own workers made the block.
func honest(b *Built, workers int) error {
	committed, executions := 0, 0
	for _, run := range b.Runs {
		committed += run.Stats.Committed
		sum := 0
		for _, n := range run.Stats.ByWorker {
			sum += n
		}
		if len(run.Stats.ByWorker) > workers || sum != run.Stats.Executions {
			return fmt.Errorf("stats don't add up: %+v", run.Stats)
		}
		executions += sum
	}
	if pooled := len(b.Block.Transactions()) - b.Forced; committed != pooled {
		return fmt.Errorf("stats count %d committed, the block has %d from the pool", committed, pooled)
	}
	if executions < committed {
		return fmt.Errorf("%d executions for %d committed transactions", executions, committed)
	}
	return nil
}

// settle waits until no more goroutines run than before.
func settle(before int) error {
	deadline := time.Now().Add(20 * time.Second) // on a busy machine
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			return fmt.Errorf("%d goroutines left over:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Minimise shrinks a plan that fails in a trial, within the time.
func (t Trial) Minimise(ctx context.Context, p *Plan, budget time.Duration) *Plan {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	t.Disturbed = max(t.Disturbed, 1)
	return Shrink(ctx, p, func(p *Plan) bool {
		// A rare schedule has to come again: some tries, of which the first are cheap.
		for i := range int64(3) {
			again := t
			again.Shift += i * 7919
			_, err := again.Try(p)
			if err != nil {
				return !errors.Is(err, errNoBlock)
			}
		}
		return false
	})
}
