package simulate

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/internal/seeds"
)

const us = time.Microsecond

// alike returns n transactions that take 100 µs each and of which the i-th uses what the
// function says.
func alike(n int, kinds []Kind, use func(i int) (reads, writes []int)) *Block {
	b := &Block{Registers: kinds}
	for i := range n {
		reads, writes := use(i)
		b.Txs = append(b.Txs, Tx{After: blockstm.NoTx, Reads: reads, Writes: writes, Execute: 100 * us, Validate: us / 10, Commit: us})
	}
	return b
}

func independent(n int) *Block {
	return alike(n, make([]Kind, n), func(i int) (r, w []int) { return []int{i}, []int{i} })
}

func dependent(n int) *Block {
	return alike(n, make([]Kind, 1), func(int) (r, w []int) { return []int{0}, []int{0} })
}

func run(t *testing.T, b *Block, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), b, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// within reports whether a is b, give or take a share of b.
func within(a, b time.Duration, share float64) bool {
	return float64(max(a-b, b-a)) <= share*float64(b)
}

func TestIndependentTransactionsScaleUntilTheOrderedCommitIsBusy(t *testing.T) {
	b := independent(3200)
	for _, workers := range []int{1, 2, 8, 32, 64} {
		r := run(t, b, Options{Workers: workers})
		// A worker executes for 100 µs and then somebody commits for 1.1.
		if want := 3200 * 101 * us / time.Duration(workers); !within(r.Time, want, 0.05) {
			t.Errorf("%d workers take %v, want about %v: %+v", workers, r.Time, want, r)
		}
	}
	for i := range b.Txs {
		b.Txs[i].Commit = 10 * us
	}
	if r := run(t, b, Options{Workers: 64}); !within(r.Time, r.Commit, 0.05) || r.Time < 32*time.Millisecond {
		t.Errorf("with commits of 10 µs, 3200 transactions take %v, of which the ordered commit is at work %v", r.Time, r.Commit)
	}
}

func TestAChainTakesAsLongWithManyWorkersAsWithOne(t *testing.T) {
	b := dependent(500)
	one := run(t, b, Options{Workers: 1})
	for _, workers := range []int{2, 4, 16, 64} {
		r := run(t, b, Options{Workers: workers})
		if r.Time < one.Time*95/100 || r.Time > one.Time*3/2 {
			t.Errorf("%d workers take %v for what one does in %v: %+v", workers, r.Time, one.Time, r.Stats)
		}
		if r.Stats.Repeats == 0 || r.Wasted == 0 {
			t.Errorf("%d workers never executed in vain: %+v", workers, r.Stats)
		}
	}
}

func TestAdditionsAreNoConflict(t *testing.T) {
	b := alike(1000, []Kind{Total}, func(int) (r, w []int) { return nil, []int{0} })
	if r := run(t, b, Options{Workers: 16}); r.Stats.Repeats > 0 || !within(r.Time, 1000*101*us/16, 0.1) {
		t.Errorf("%v with %+v", r.Time, r.Stats)
	}
}

func TestKnownOrderOfASendersTransactionsPreventsConflicts(t *testing.T) {
	b := alike(400, []Kind{Counter}, func(int) (r, w []int) { return []int{0}, []int{0} })
	for i := range b.Txs {
		b.Txs[i].After = blockstm.TxIndex(i) - 1
	}
	if r := run(t, b, Options{Workers: 8}); r.Stats.Repeats > 0 {
		t.Errorf("%d repeats", r.Stats.Repeats)
	}
}

func TestTheSchedulersLockAndWakingTakeTheirTime(t *testing.T) {
	b := independent(500)
	for i := range b.Txs {
		b.Txs[i].Execute = 5 * us
	}
	bare := run(t, b, Options{Workers: 16})
	slow := run(t, b, Options{Workers: 16, Machine: Machine{Section: 2 * us, Contended: 2 * us}})
	if least := 500 * 4 * 2 * us; slow.Time < least || slow.Queued == 0 {
		t.Errorf("%v with a lock that is held for %v at least, without it %v", slow.Time, least, bare.Time)
	}
	if slow := run(t, b, Options{Workers: 16, Machine: Machine{Wake: 200 * us}}); slow.Time <= bare.Time {
		t.Errorf("%v with late wakers, %v without", slow.Time, bare.Time)
	}
	if slow := run(t, b, Options{Workers: 16, Machine: Machine{Slow: 2}}); !within(slow.Time, 2*bare.Time, 0.2) {
		t.Errorf("%v on a machine of half the speed, else %v", slow.Time, bare.Time)
	}
}

func TestAWorkerThatStillLooksNeedNotBeWoken(t *testing.T) {
	// Of two workers one always waits for the other's draw, of 5 µs.
	b := independent(500)
	for i := range b.Txs {
		b.Txs[i].Draw, b.Txs[i].Execute = 5*us, 5*us
	}
	machine := Machine{Wake: 200 * us, Signal: 20 * us}
	parked := run(t, b, Options{Workers: 2, Machine: machine})
	machine.Patience = time.Second
	looking := run(t, b, Options{Workers: 2, Machine: machine})
	if bare := run(t, b, Options{Workers: 2}); !within(looking.Time, bare.Time, 0.01) {
		t.Errorf("%v if nobody parks, %v if waking costs nothing", looking.Time, bare.Time)
	}
	if parked.Time < looking.Time*11/10 {
		t.Errorf("%v with workers that park at once, %v with workers that never do", parked.Time, looking.Time)
	}
}

// random returns a block with conflicts.
func random(seed uint64) *Block {
	r := rand.New(rand.NewPCG(seed, 0))
	b := &Block{Registers: make([]Kind, 1+r.IntN(40))}
	for i := range b.Registers {
		b.Registers[i] = Kind(r.IntN(3))
	}
	some := func() []int { return r.Perm(len(b.Registers))[:r.IntN(min(5, len(b.Registers)+1))] }
	short := func() time.Duration { return time.Duration(r.IntN(5)) * us }
	for range r.IntN(300) {
		after := blockstm.NoTx
		if n := len(b.Txs); n > 0 && r.IntN(4) == 0 {
			after = blockstm.TxIndex(r.IntN(n))
		}
		b.Txs = append(b.Txs, Tx{After: after, Reads: some(), Writes: some(), Draw: short(), Execute: 10 * short(), Validate: short(), Commit: short()})
	}
	return b
}

func TestASimulationIsAFunctionOfItsSeed(t *testing.T) {
	seeds.Run(t, "internal/simulate", 40, func(t *testing.T, seed uint64) {
		b := random(seed)
		machine := Machine{Section: 50, Contended: 300, Handover: 100, Patience: 10 * us, Wake: 5 * us, Signal: us}
		for _, workers := range []int{1, 3, 16} {
			o := Options{Workers: workers, Seed: seed, Machine: machine, Steps: true}
			first, again := run(t, b, o), run(t, b, o)
			if !reflect.DeepEqual(first, again) {
				t.Errorf("%d workers: %v and %v, %+v and %+v", workers, first.Time, again.Time, first.Stats, again.Stats)
			}
			least := b.Work() / time.Duration(workers)
			if workers == 1 && first.Time < least {
				t.Errorf("one worker takes %v, less than the work of %v", first.Time, least)
			}
			checkSteps(t, first)
		}
	})
}

// checkSteps checks that no worker is at two things at once, and that commits are in order.
func checkSteps(t *testing.T, r *Result) {
	t.Helper()
	ends := make([]time.Duration, r.Workers)
	var lastCommit time.Duration
	next := blockstm.TxIndex(0)
	for _, s := range r.Steps {
		if s.From < ends[s.Worker] || s.To > r.Time {
			t.Errorf("step %+v begins before the one before it ends, at %v, or ends after the run, at %v", s, ends[s.Worker], r.Time)
		}
		ends[s.Worker] = s.To
		if s.What == StepCommit {
			if s.Tx < next || s.From < lastCommit {
				t.Errorf("commit %+v before its turn: next is %d, the last one ended at %v", s, next, lastCommit)
			}
			next, lastCommit = s.Tx+1, s.To
		}
	}
}

func TestTheChainIsTheLongestPathOfReadsAfterWrites(t *testing.T) {
	b := &Block{Registers: []Kind{Value, Value, Total}}
	add := func(d int, reads, writes []int) {
		b.Txs = append(b.Txs, Tx{Execute: time.Duration(d) * us, Reads: reads, Writes: writes})
	}
	add(10, nil, []int{0})      // 0
	add(50, nil, []int{1})      // 1
	add(5, []int{0}, []int{0})  // 2: after 0
	add(5, []int{1}, []int{2})  // 3: after 1
	add(1, []int{0}, []int{2})  // 4: after 2
	add(7, []int{2}, nil)       // 5: after 3, which is the later of the two that add
	add(100, nil, []int{1})     // 6: overwrites
	add(2, []int{1}, []int{0})  // 7: after 6
	add(60, []int{0}, []int{1}) // 8: after 7
	chain, length := b.Chain()
	if want := []int{6, 7, 8}; !reflect.DeepEqual(chain, want) || length != 162*us {
		t.Errorf("chain %v of %v, want %v of %v", chain, length, want, 162*us)
	}
	b.Txs = b.Txs[:6]
	if chain, length := b.Chain(); !reflect.DeepEqual(chain, []int{1, 3, 5}) || length != 62*us {
		t.Errorf("chain %v of %v, want 1, 3, 5 of 62µs", chain, length)
	}
}

func TestWorkersThatAllWaitEndTheSimulation(t *testing.T) {
	c := newClock(2, 1)
	ended := make(chan struct{})
	c.giveUp = func() { close(ended); c.Broadcast() }
	var lock sync.Mutex
	c.lock = &lock
	var all sync.WaitGroup
	for worker := range 2 {
		all.Add(1)
		go func() {
			defer all.Done()
			c.join(worker)
			lock.Lock()
			defer lock.Unlock()
			c.Wait()
		}()
	}
	all.Wait()
	<-ended
	if !c.stuck {
		t.Error("the clock does not know that it was stuck")
	}
}

func TestAScaleChangesWhatItNames(t *testing.T) {
	s, err := ParseScale("commit=0.5, lock=2,wake=0")
	if err != nil {
		t.Fatal(err)
	}
	b := independent(3)
	if got := b.Scaled(s).Txs[1]; got.Commit != us/2 || got.Execute != 100*us || b.Txs[1].Commit != us {
		t.Errorf("scaled %+v, before %+v", got, b.Txs[1])
	}
	m := Machine{Section: 1, Contended: 2, Handover: 3, Wake: 4, Signal: 5}
	if got, want := m.Scaled(s), (Machine{Section: 2, Contended: 4, Handover: 3, Signal: 5}); got != want {
		t.Errorf("scaled %+v, want %+v", got, want)
	}
	for _, text := range []string{"commit", "luck=1", "commit=-1", "commit=x", "commit=1001"} {
		if _, err := ParseScale(text); !errors.Is(err, ErrScale) {
			t.Errorf("%q: error %v, want ErrScale", text, err)
		}
	}
}
