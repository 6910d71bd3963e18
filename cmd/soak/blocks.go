package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
)

const (
	// blockTime is how long a block may take in all its builds. One that takes
	// longer hangs, however busy the machine.
	blockTime = 10 * time.Minute

	// shrinkTime bounds the search for a smaller block that fails.
	shrinkTime = 2 * time.Minute
)

// blocks tries random blocks.
type blocks struct {
	settings *settings
	next     int64
	line     Row
}

func newBlocks(s *settings) *blocks {
	return &blocks{settings: s, next: s.seed, line: Row{Suite: "random blocks", Unit: "blocks", Tally: new(buildtest.Tally)}}
}

func (b *blocks) row() *Row  { return &b.line }
func (b *blocks) share() int { return 6 }

// blockTrial returns how the block of a seed is tried. op-geth's own miner, which brings
// its own timers, builds every fourth.
func blockTrial(seed int64) buildtest.Trial {
	return buildtest.Trial{Workers: []int{1, 2, 4, 8}, Disturbed: 1, Miner: seed%4 == 0}
}

func (b *blocks) run(ctx context.Context, report *Report) (bool, error) {
	for ctx.Err() == nil {
		seed := b.next
		b.next++
		p, err := buildtest.RandomPlan(buildtest.RandomRules(seed), seed)
		if err != nil {
			return false, err
		}
		trial := b.settings.trial(seed)
		tally, err, hangs := watched(trial, p)
		report.update(func() {
			b.line.Runs++
			b.line.LastSeed = seed
			b.line.Tally.Add(&tally)
		})
		switch {
		case hangs:
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			b.fail(report, p, p, fmt.Errorf("still at work after %v\n%s", blockTime, stacks))
			return false, nil // its goroutines would spoil what follows
		case err != nil:
			b.fail(report, p, trial.Minimise(context.WithoutCancel(ctx), p, shrinkTime), err)
		}
	}
	return true, nil
}

// watched tries a plan, and gives up on it if it takes too long.
func watched(trial buildtest.Trial, p *buildtest.Plan) (tally buildtest.Tally, err error, hangs bool) {
	type result struct {
		tally buildtest.Tally
		err   error
	}
	done := make(chan result, 1)
	go func() {
		tally, err := trial.Try(p)
		done <- result{tally, err}
	}()
	timer := time.NewTimer(blockTime)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.tally, r.err, false
	case <-timer.C:
		return buildtest.Tally{}, nil, true
	}
}

// fail writes a failure down: the block as it was, the smallest that fails too, and what
// it says.
func (b *blocks) fail(report *Report, p, small *buildtest.Plan, err error) {
	dir := b.settings.out
	whole := filepath.Join(dir, fmt.Sprintf("block-%d.json", p.Seed))
	shrunk := filepath.Join(dir, fmt.Sprintf("block-%d-small.json", p.Seed))
	text := fmt.Sprintf("seed %d: %v\n\nsmallest block found that fails:\n%s\nreplay: build/bin/soak -replay %s\nthe whole block: build/bin/soak -replay %s\n",
		p.Seed, err, small, shrunk, whole)
	for _, w := range []func() error{
		func() error { return p.Write(whole) },
		func() error { return small.Write(shrunk) },
		func() error {
			return os.WriteFile(filepath.Join(dir, fmt.Sprintf("block-%d.txt", p.Seed)), []byte(text), 0o644)
		},
	} {
		if err := w(); err != nil {
			text += fmt.Sprintf("it could not be written down: %v\n", err)
		}
	}
	report.fail(&b.line, Failure{Suite: b.line.Suite, Seed: p.Seed, File: filepath.Join(dir, fmt.Sprintf("block-%d.txt", p.Seed)),
		Replay: "build/bin/soak -replay " + shrunk, Text: text})
}
