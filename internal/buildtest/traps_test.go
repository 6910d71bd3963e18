package buildtest

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestEveryTrapIsSprungAndTheBlockIsTheSequentialOne(t *testing.T) {
	seed, ran := caseSeed(), make(map[string]bool)
	hard, easy := 0, []string(nil) // blocks in which a transaction ran twice, and those in which one should have
	for _, trap := range Traps() {
		rules := trap.Rules
		if testing.Short() && len(rules) > 2 {
			rules = []string{rules[0], rules[len(rules)-1]}
		}
		for _, rules := range rules {
			t.Run(trap.Name+"/"+rules, func(t *testing.T) {
				s, err := trap.Spring(rules, seed)
				if err != nil {
					t.Fatal(err)
				}
				reruns := springTrap(t, s)
				ran[trap.Name] = true
				switch {
				case reruns > 0:
					hard++
				case !s.Calm:
					easy = append(easy, trap.Name+"/"+rules)
				}
			})
		}
	}
	if t.Failed() || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // not all were asked for, or there is worse to say
	}
	// A starved machine may run a block's transactions one after the other whatever the
	// schedule asks for; most blocks must have been hard all the same.
	if len(easy) > hard/10 {
		t.Errorf("in %d blocks a transaction ran twice, in %d none did though it should: %v", hard, len(easy), easy)
	}
	lines := lessonTable()
	for _, section := range trapTable() {
		lines = append(lines, section.lines...)
	}
	for _, l := range lines {
		for _, name := range l.traps {
			if !ran[name] {
				t.Errorf("%q: trap %q did not run", l.phrase, name)
			}
		}
	}
}

// springTrap checks that the sequential block is op-geth's and shows what it should, and
// that Fill makes the same on good schedules and on bad ones. It returns how many
// transactions ran twice on the bad ones.
func springTrap(t *testing.T, s *Sprung) (reruns int) {
	n := openNode(t, s.Scenario, "")
	want, err := n.fill(attempt{workers: Sequential})
	if err != nil {
		t.Fatalf("sequential build: %v\n%s", err, replay(t, s.Seed))
	}
	env, err := n.payloadWithoutMinimumTip(1)
	if err != nil {
		t.Fatal(err)
	}
	if env.ExecutionPayload.BlockHash != want.Block.Hash() {
		t.Fatalf("the reference makes block %s with %d transactions, op-geth %s with %d\n%s", want.Block.Hash(), len(want.Block.Transactions()),
			env.ExecutionPayload.BlockHash, len(env.ExecutionPayload.Transactions), replay(t, s.Seed))
	}
	if err := s.Check(want); err != nil {
		t.Fatalf("the sequential block does not show what it should: %v\n%s", err, replay(t, s.Seed))
	}

	before := runtime.NumGoroutine()
	again := func(how string, a attempt) int {
		got, err := n.fill(a)
		if err == nil {
			err = Diff(s.Scenario, want, got)
		}
		if err == nil {
			err = honest(got, a.workers)
		}
		if err == nil {
			err = settle(before)
		}
		if err != nil {
			t.Errorf("%d workers, %s: %v\n%s", a.workers, how, err, replay(t, s.Seed))
			return 0
		}
		reruns := 0
		for _, run := range got.Runs {
			if run.Fallback != nil {
				t.Errorf("%d workers, %s: fell back: %v\n%s", a.workers, how, run.Fallback, replay(t, s.Seed))
			}
			reruns += run.Stats.Reexecutions
		}
		return reruns
	}
	for _, workers := range workerCounts() {
		again("undisturbed", attempt{workers: workers})
		reruns += again("held back", attempt{workers: workers, chaos: NewSchedule(s.Seed, workers, 0)})
		again("held back and thrown away", attempt{workers: workers, chaos: NewSchedule(s.Seed+1, workers, 30)})
	}
	// The schedule depends on the machine: without a conflict it is tried again.
	for i := s.Seed + 2; reruns == 0 && !s.Calm && i < s.Seed+40; i++ {
		reruns += again(fmt.Sprintf("held back (schedule %d)", i), attempt{workers: 4, chaos: NewSchedule(i, 4, 0).patient(i - s.Seed)})
	}
	if s.Orderly && reruns > 0 {
		t.Errorf("%d transactions ran twice, none has a reason to\n%s", reruns, replay(t, s.Seed))
	}
	return reruns
}
