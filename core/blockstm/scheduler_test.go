package blockstm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/internal/seeds"
)

// toyOp is one step of a toy transaction. Its address depends on what was read before,
// so that read and write sets change between incarnations.
type toyOp struct {
	kind  int // 0 read cell, 1 write cell, 2 add to sum, 3 read sum exactly, 4 compare sum, 5 wipe sum
	index int
	bend  bool // shift index by what was read so far
}

type toyTx struct {
	ops    []toyOp
	after  TxIndex
	drop   bool // dropped by Commit if its result is odd
	stopAt bool // ends the run
}

// toyState is the sequential model.
type toyState struct {
	cells []uint64
	sums  []uint256.Int
}

func newToyState(n int) *toyState {
	s := &toyState{cells: make([]uint64, n), sums: make([]uint256.Int, n)}
	for i := range n {
		s.cells[i] = uint64(i)
		s.sums[i].SetUint64(uint64(1000 + i))
	}
	return s
}

// toyMemory is what a transaction runs on.
type toyMemory interface {
	read(i int) uint64
	write(i int, v uint64)
	add(i int, v uint64)
	total(i int) uint64
	atLeast(i int, v uint64) bool
	wipe(i int)
}

func (tx *toyTx) run(m toyMemory, n int) uint64 {
	acc := uint64(1)
	for _, op := range tx.ops {
		i := op.index
		if op.bend {
			i = int((uint64(i) + acc) % uint64(n))
		}
		switch op.kind {
		case 0:
			acc = acc*31 + m.read(i)
		case 1:
			m.write(i, acc%7)
		case 2:
			m.add(i, acc%5)
		case 3:
			acc = acc*17 + m.total(i)
		case 4:
			if m.atLeast(i, 1005) {
				acc += 3
			}
		case 5:
			m.wipe(i)
		}
	}
	return acc
}

// toySequential is the reference: one transaction's view of the model, with undo.
type toySequential struct {
	state *toyState
	cells map[int]uint64
	sums  map[int]uint256.Int
}

func (m *toySequential) read(i int) uint64 {
	if v, ok := m.cells[i]; ok {
		return v
	}
	return m.state.cells[i]
}
func (m *toySequential) write(i int, v uint64) { m.cells[i] = v }
func (m *toySequential) sum(i int) uint256.Int {
	if v, ok := m.sums[i]; ok {
		return v
	}
	return m.state.sums[i]
}
func (m *toySequential) add(i int, v uint64) {
	s := m.sum(i)
	s.AddUint64(&s, v)
	m.sums[i] = s
}
func (m *toySequential) total(i int) uint64 { s := m.sum(i); return s.Uint64() }
func (m *toySequential) atLeast(i int, v uint64) bool {
	s := m.sum(i)
	return !s.LtUint64(v)
}
func (m *toySequential) wipe(i int) { m.sums[i] = uint256.Int{} }

// toyResult is what a committed transaction leaves in the log.
type toyResult struct {
	tx  TxIndex
	acc uint64
}

func runSequential(txs []toyTx, n int) (*toyState, []toyResult) {
	state := newToyState(n)
	var log []toyResult
	for i := range txs {
		m := &toySequential{state: state, cells: map[int]uint64{}, sums: map[int]uint256.Int{}}
		acc := txs[i].run(m, n)
		if txs[i].stopAt {
			break
		}
		if txs[i].drop && acc%2 == 1 {
			continue
		}
		for k, v := range m.cells {
			state.cells[k] = v
		}
		for k, v := range m.sums {
			state.sums[k] = v
		}
		log = append(log, toyResult{TxIndex(i), acc})
	}
	return state, log
}

// toyAccess is the versioned view of one incarnation.
type toyAccess struct {
	p        *toyProgram
	tx       TxIndex
	blocked  TxIndex
	cells    map[int]uint64 // written, or read before
	writes   map[int]uint64
	deltas   map[int]Delta
	bases    map[int]uint256.Int
	captured []Captured[uint64]
	sums     []CapturedSum
}

func (m *toyAccess) read(i int) uint64 {
	if v, ok := m.cells[i]; ok {
		return v
	}
	v, writer, ok := m.p.cells[i].Read(m.tx, true)
	if !ok {
		m.blocked = writer
	}
	m.cells[i] = v
	m.captured = append(m.captured, Captured[uint64]{&m.p.cells[i], v})
	return v
}
func (m *toyAccess) write(i int, v uint64) { m.cells[i], m.writes[i] = v, v }
func (m *toyAccess) add(i int, v uint64) {
	d := m.deltas[i]
	d.Add.AddUint64(&d.Add, v)
	m.deltas[i] = d
}
func (m *toyAccess) wipe(i int) { m.deltas[i] = Delta{Wipe: true} }
func (m *toyAccess) now(i int, record func(base uint256.Int)) uint256.Int {
	d := m.deltas[i]
	if d.Wipe {
		return d.Add
	}
	base, ok := m.bases[i]
	if !ok {
		if blocker, ok := m.p.sums[i].Read(m.tx, &base, true); !ok {
			m.blocked = blocker
		}
		m.bases[i] = base
	}
	record(base)
	return *new(uint256.Int).Add(&base, &d.Add)
}
func (m *toyAccess) total(i int) uint64 {
	v := m.now(i, func(base uint256.Int) {
		m.sums = append(m.sums, CapturedSum{Sum: &m.p.sums[i], Low: base, High: base})
	})
	return v.Uint64()
}
func (m *toyAccess) atLeast(i int, v uint64) bool {
	d := m.deltas[i]
	now := m.now(i, func(base uint256.Int) {
		c := CapturedSum{Sum: &m.p.sums[i], High: *new(uint256.Int).SetAllOne()}
		need := new(uint256.Int).SubUint64(uint256.NewInt(v), d.Add.Uint64()) // sums stay far below v-d wrapping
		if sum := new(uint256.Int).Add(&base, &d.Add); sum.LtUint64(v) {
			c.High.SubUint64(need, 1)
		} else {
			c.Low = *need
		}
		m.sums = append(m.sums, c)
	})
	return !now.LtUint64(v)
}

type toyRun struct {
	acc      uint64
	writes   map[int]uint64
	deltas   map[int]Delta
	captured []Captured[uint64]
	sums     []CapturedSum
}

// toyProgram runs toy transactions on registers.
type toyProgram struct {
	t        *testing.T
	txs      []toyTx
	cells    []Cell[uint64]
	sums     []Sum
	runs     []toyRun
	owned    []atomic.Int32 // 1 while a transaction is in someone's hands
	next     TxIndex
	head     TxIndex
	in       atomic.Int32 // goroutines in Commit
	log      []toyResult
	canceled atomic.Bool
	onExec   func(v Version, settled bool) error
}

func newToyProgram(t *testing.T, txs []toyTx, n int) *toyProgram {
	p := &toyProgram{t: t, txs: txs, cells: make([]Cell[uint64], n), sums: make([]Sum, n), runs: make([]toyRun, len(txs)), owned: make([]atomic.Int32, len(txs))}
	model := newToyState(n)
	for i := range n {
		p.cells[i].Init(model.cells[i])
		p.sums[i].Init(&model.sums[i])
	}
	return p
}

func (p *toyProgram) own(tx TxIndex) func() {
	if !p.owned[tx].CompareAndSwap(0, 1) {
		p.t.Errorf("transaction %d is in two hands at once", tx)
	}
	return func() { p.owned[tx].Store(0) }
}

func (p *toyProgram) Next(tx TxIndex) (TxIndex, bool) {
	if tx != p.next {
		p.t.Errorf("Next(%d), want %d", tx, p.next)
	}
	if int(tx) == len(p.txs) {
		return NoTx, false
	}
	p.next++
	return p.txs[tx].after, true
}

func (p *toyProgram) Execute(worker int, v Version, settled bool) Execution {
	defer p.own(v.Tx)()
	if p.onExec != nil {
		if err := p.onExec(v, settled); err != nil {
			return Execution{Blocked: NoTx, Readers: NoTx, Err: err}
		}
	}
	m := &toyAccess{p: p, tx: v.Tx, blocked: NoTx, cells: map[int]uint64{}, writes: map[int]uint64{}, deltas: map[int]Delta{}, bases: map[int]uint256.Int{}}
	acc := p.txs[v.Tx].run(m, len(p.cells))
	if m.blocked != NoTx {
		return Execution{Blocked: m.blocked, Readers: NoTx}
	}
	readers := NoTx
	for i, w := range m.writes {
		readers = max(readers, p.cells[i].Write(v, w))
	}
	for i, d := range m.deltas {
		readers = max(readers, p.sums[i].Write(v, d))
	}
	old := &p.runs[v.Tx]
	for i := range old.writes {
		readers = max(readers, p.cells[i].RemoveStale(v))
	}
	for i := range old.deltas {
		readers = max(readers, p.sums[i].RemoveStale(v))
	}
	*old = toyRun{acc, m.writes, m.deltas, m.captured, m.sums}
	return Execution{Blocked: NoTx, Readers: readers}
}

func (p *toyProgram) Validate(tx TxIndex) bool {
	defer p.own(tx)()
	for _, c := range p.runs[tx].captured {
		if !c.Valid(tx) {
			return false
		}
	}
	for i := range p.runs[tx].sums {
		if !p.runs[tx].sums[i].Valid(tx) {
			return false
		}
	}
	return true
}

func (p *toyProgram) Abort(tx TxIndex) {
	defer p.own(tx)()
	for i := range p.runs[tx].writes {
		p.cells[i].MarkEstimate(tx)
	}
	for i := range p.runs[tx].deltas {
		p.sums[i].MarkEstimate(tx)
	}
}

func (p *toyProgram) Commit(tx TxIndex) (bool, error) {
	defer p.own(tx)()
	if p.in.Add(1) != 1 {
		p.t.Error("two commits at once")
	}
	defer p.in.Add(-1)
	if tx != p.head {
		p.t.Errorf("commit of %d, want %d", tx, p.head)
	}
	if p.txs[tx].stopAt {
		return false, nil
	}
	p.head++
	run := &p.runs[tx]
	if p.txs[tx].drop && run.acc%2 == 1 {
		for i := range run.writes {
			p.cells[i].Withdraw(tx)
		}
		for i := range run.deltas {
			p.sums[i].Withdraw(tx)
		}
		return true, nil
	}
	for i, v := range run.writes {
		p.cells[i].Commit(tx, v)
	}
	for i, d := range run.deltas {
		p.sums[i].Commit(tx, d)
	}
	p.log = append(p.log, toyResult{tx, run.acc})
	return true, nil
}

func (p *toyProgram) Cancel() { p.canceled.Store(true) }

// randomToys makes a block of toy transactions with a contention drawn from the seed.
func randomToys(r *rand.Rand) (txs []toyTx, registers int) {
	registers = 1 + r.IntN(60)
	txs = make([]toyTx, r.IntN(300))
	for i := range txs {
		tx := &txs[i]
		tx.after = NoTx
		if i > 0 && r.IntN(4) == 0 {
			tx.after = TxIndex(r.IntN(i))
		}
		tx.drop = r.IntN(5) == 0
		tx.stopAt = r.IntN(1000) == 0
		for range r.IntN(8) {
			tx.ops = append(tx.ops, toyOp{kind: r.IntN(6), index: r.IntN(registers), bend: r.IntN(3) == 0})
		}
	}
	return txs, registers
}

// seededChaos disturbs the schedule: pauses of all lengths, and executions thrown away
// for no reason.
type seededChaos struct {
	mu   sync.Mutex // guards r
	r    *rand.Rand
	rate int // one in rate decisions is disturbed
}

func (c *seededChaos) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

func (c *seededChaos) Pause(int) {
	if c.roll(c.rate) != 0 {
		return
	}
	switch c.roll(4) {
	case 0:
		time.Sleep(time.Duration(c.roll(50)) * time.Microsecond)
	default:
		for range c.roll(20) {
			runtime.Gosched()
		}
	}
}

func (c *seededChaos) Spurious(TxIndex) bool { return c.roll(3*c.rate) == 0 }

func checkAgainstModel(t *testing.T, seed uint64, workers int, chaos bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	txs, n := randomToys(r)
	want, wantLog := runSequential(txs, n)

	config := Config{Workers: workers, MaxWindow: r.IntN(3) * r.IntN(100)}
	if chaos {
		config.Chaos = &seededChaos{r: rand.New(rand.NewPCG(seed, 2)), rate: 1 + r.IntN(8)}
	}
	p := newToyProgram(t, txs, n)
	stats, err := NewScheduler(p, config).Run(context.Background())
	if err != nil {
		t.Errorf("workers %d: %v", workers, err)
		return
	}
	if len(p.log) != len(wantLog) {
		t.Errorf("workers %d: %d transactions committed, want %d", workers, len(p.log), len(wantLog))
		return
	}
	for i, got := range p.log {
		if got != wantLog[i] {
			t.Errorf("workers %d: commit %d is %+v, want %+v", workers, i, got, wantLog[i])
			return
		}
	}
	for i := range n {
		if got := p.cells[i].Committed(); got != want.cells[i] {
			t.Errorf("workers %d: cell %d is %d, want %d", workers, i, got, want.cells[i])
		}
		if got := p.sums[i].Committed(); got != want.sums[i] {
			t.Errorf("workers %d: sum %d is %v, want %v", workers, i, &got, &want.sums[i])
		}
	}
	sum := 0
	for _, k := range stats.ByWorker {
		sum += k
	}
	if sum != stats.Executions {
		t.Errorf("executions %d, by worker %v", stats.Executions, stats.ByWorker)
	}
}

func TestAnyScheduleEndsInTheSequentialState(t *testing.T) {
	seeds.Run(t, "core/blockstm", 60, func(t *testing.T, seed uint64) {
		for _, workers := range []int{1, 2, 4, 8} {
			checkAgainstModel(t, seed, workers, false)
		}
	})
}

func TestADisturbedScheduleEndsInTheSequentialState(t *testing.T) {
	seeds.Run(t, "core/blockstm", 60, func(t *testing.T, seed uint64) {
		for _, workers := range []int{2, 3, 8} {
			checkAgainstModel(t, seed, workers, true)
		}
	})
}

// chainOf returns n transactions that all read and write one register.
func chainOf(n int) []toyTx {
	txs := make([]toyTx, n)
	for i := range txs {
		txs[i] = toyTx{after: NoTx, ops: []toyOp{{kind: 0}, {kind: 1}}}
	}
	return txs
}

func TestPermanentConflictShrinksSpeculationToTheHead(t *testing.T) {
	p := newToyProgram(t, chainOf(3000), 1)
	stats, err := NewScheduler(p, Config{Workers: 4}).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Committed != 3000 || stats.Executions > 2*3000 {
		t.Fatalf("committed %d with %d executions, want 3000 with at most 6000", stats.Committed, stats.Executions)
	}
}

func TestAFixedWindowStaysWhateverIsWasted(t *testing.T) {
	for _, fixed := range []bool{false, true} {
		s := NewScheduler(newToyProgram(t, chainOf(1), 1), Config{Workers: 4, FixedWindow: fixed})
		s.wasted = 100
		s.adapt()
		if stays := s.window == s.config.MaxWindow; stays != fixed {
			t.Errorf("fixed is %v, and after much waste the window is %d of %d", fixed, s.window, s.config.MaxWindow)
		}
	}
}

func TestAdditionsNeverConflict(t *testing.T) {
	txs := make([]toyTx, 2000)
	for i := range txs {
		txs[i] = toyTx{after: NoTx, ops: []toyOp{{kind: 2}}}
	}
	p := newToyProgram(t, txs, 1)
	stats, err := NewScheduler(p, Config{Workers: 4}).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Executions != 2000 {
		t.Fatalf("%d executions of 2000 transactions that only add", stats.Executions)
	}
}

func TestAFailureEndsTheRunWithThePrefixCommitted(t *testing.T) {
	boom := errors.New("boom")
	for _, workers := range []int{1, 2, 8} {
		p := newToyProgram(t, chainOf(500), 1)
		p.onExec = func(v Version, settled bool) error {
			if v.Tx == 250 && settled {
				return boom
			}
			return nil
		}
		before := runtime.NumGoroutine()
		_, err := NewScheduler(p, Config{Workers: workers, MaxWindow: 1}).Run(context.Background())
		if !errors.Is(err, boom) {
			t.Fatalf("workers %d: error %v, want %v", workers, err, boom)
		}
		if len(p.log) != 250 || !p.canceled.Load() {
			t.Fatalf("workers %d: %d committed, canceled %v; want 250, true", workers, len(p.log), p.canceled.Load())
		}
		waitForGoroutines(t, before)
	}
}

// forgetfulProgram leaves the estimate of a dropped transaction behind.
type forgetfulProgram struct{ *toyProgram }

func (p *forgetfulProgram) Commit(tx TxIndex) (bool, error) {
	if tx == 20 {
		p.Abort(tx)
		p.runs[tx].writes, p.runs[tx].deltas = nil, nil
		p.head++
		return true, nil
	}
	return p.toyProgram.Commit(tx)
}

func TestAnEstimateLeftBehindEndsTheRunInsteadOfHangingIt(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		p := newToyProgram(t, chainOf(100), 1)
		_, err := NewScheduler(&forgetfulProgram{p}, Config{Workers: workers}).Run(context.Background())
		if !errors.Is(err, ErrBlockedHead) {
			t.Fatalf("workers %d: error %v, want ErrBlockedHead", workers, err)
		}
		if len(p.log) != 20 {
			t.Fatalf("workers %d: %d committed, want 20", workers, len(p.log))
		}
	}
}

func TestAPanicAnywhereEndsTheRunWithAnError(t *testing.T) {
	for _, where := range []string{"execute", "next", "commit", "validate"} {
		for _, workers := range []int{1, 2, 8} {
			p := newToyProgram(t, chainOf(100), 1)
			before := runtime.NumGoroutine()
			_, err := NewScheduler(&panickyProgram{p, where, 50}, Config{Workers: workers, Chaos: &seededChaos{r: rand.New(rand.NewPCG(1, 1)), rate: 1}}).Run(context.Background())
			if !errors.Is(err, ErrPanic) {
				t.Fatalf("%s, workers %d: error %v, want ErrPanic", where, workers, err)
			}
			waitForGoroutines(t, before)
		}
	}
}

type panickyProgram struct {
	*toyProgram
	where string
	tx    TxIndex
}

func (p *panickyProgram) at(where string, tx TxIndex) {
	if where == p.where && tx >= p.tx {
		panic(fmt.Sprintf("%s %d", where, tx))
	}
}
func (p *panickyProgram) Next(tx TxIndex) (TxIndex, bool) {
	p.at("next", tx)
	return p.toyProgram.Next(tx)
}
func (p *panickyProgram) Execute(w int, v Version, settled bool) Execution {
	p.at("execute", v.Tx)
	return p.toyProgram.Execute(w, v, settled)
}
func (p *panickyProgram) Validate(tx TxIndex) bool {
	p.at("validate", tx)
	return p.toyProgram.Validate(tx) && p.where != "validate"
}
func (p *panickyProgram) Commit(tx TxIndex) (bool, error) {
	p.at("commit", tx)
	if p.where == "validate" && tx > p.tx {
		panic("no validation was ever needed")
	}
	return p.toyProgram.Commit(tx)
}

func TestCancellationAtAnyMomentLeavesACommittedPrefixAndNoGoroutine(t *testing.T) {
	seeds.Run(t, "core/blockstm", 60, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 3))
		txs, n := randomToys(r)
		_, wantLog := runSequential(txs, n)
		ctx, cancel := context.WithCancel(context.Background())
		p := newToyProgram(t, txs, n)
		stop := TxIndex(r.IntN(len(txs) + 1))
		p.onExec = func(v Version, _ bool) error {
			if v.Tx == stop {
				cancel()
			}
			return nil
		}
		before := runtime.NumGoroutine()
		_, err := NewScheduler(p, Config{Workers: 1 + r.IntN(8)}).Run(ctx)
		cancel()
		if err != nil {
			t.Error(err)
			return
		}
		if len(p.log) > len(wantLog) {
			t.Errorf("%d committed, more than the %d of the whole", len(p.log), len(wantLog))
			return
		}
		for i, got := range p.log {
			if got != wantLog[i] {
				t.Errorf("commit %d is %+v, want %+v", i, got, wantLog[i])
				return
			}
		}
		waitForGoroutines(t, before)
	})
}

func waitForGoroutines(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Second)
	for runtime.NumGoroutine() > want {
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines, %d before the run", runtime.NumGoroutine(), want)
			return
		}
		time.Sleep(time.Millisecond)
	}
}
