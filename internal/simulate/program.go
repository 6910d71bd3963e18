package simulate

import (
	"sync/atomic"
	"time"

	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Step is a stretch of a virtual worker's time.
type Step struct {
	Worker      int
	What        string // draw, run, again, blocked, check or commit
	Tx          blockstm.TxIndex
	Incarnation blockstm.Incarnation
	From, To    time.Duration
}

// The kinds of steps. An incarnation after a transaction's first is "again".
const (
	StepDraw    = "draw"
	StepRun     = "run"
	StepAgain   = "again"
	StepBlocked = "blocked"
	StepCheck   = "check"
	StepCommit  = "commit"
)

// register is one of the block's, of either kind.
type register struct {
	kind  Kind
	cell  blockstm.Cell[uint64]
	sum   blockstm.Sum
	lines resource // its memory, which only one worker has at a time
}

// marks are what the multi-version memory has in common.
type marks interface {
	MarkEstimate(blockstm.TxIndex)
	RemoveStale(blockstm.Version) blockstm.TxIndex
}

func (r *register) marks() marks {
	if r.kind == Total {
		return &r.sum
	}
	return &r.cell
}

// incarnation is what the last incarnation of a transaction has left.
type incarnation struct {
	cells  []blockstm.Captured[uint64]
	sums   []blockstm.CapturedSum
	values []uint64 // of the transaction's writes, by their order
	done   bool     // it has published its writes
}

// program is the blockstm.Program that stands in for the execution of a block.
type program struct {
	block     *Block
	hints     Hints
	machine   *Machine
	clock     *clock
	keep      bool // steps
	registers []register
	last      []incarnation
	lanes     []lane // by worker
	steps     []Step
	cancelled atomic.Bool

	drawing, committing, running time.Duration // in all
}

// lane is what a worker may have begun to commit: a validation of a transaction, and an
// execution in place, belong to the commit if that follows.
type lane struct {
	tx   blockstm.TxIndex
	from time.Duration
}

func newProgram(block *Block, o *Options, clock *clock) *program {
	p := &program{
		block: block, machine: &o.Machine, clock: clock, keep: o.Steps,
		registers: make([]register, len(block.Registers)),
		last:      make([]incarnation, len(block.Txs)),
		lanes:     make([]lane, o.Workers),
	}
	p.hints = noHints{}
	if block.Hints != nil {
		p.hints = block.Hints()
	}
	for i := range p.lanes {
		p.lanes[i].tx = blockstm.NoTx
	}
	for i, kind := range block.Registers {
		p.registers[i].kind = kind
		p.registers[i].lines.holder = nobody
	}
	return p
}

// spend lets as much time pass as a part of a transaction takes.
func (p *program) spend(d time.Duration) { p.clock.sleep(p.machine.slowed(d)) }

// step notes what the active worker has done since then, and returns how long it took.
func (p *program) step(what string, version blockstm.Version, from time.Duration) time.Duration {
	worker, now, running := p.clock.turn()
	if !running {
		return 0
	}
	if p.keep && now > from {
		p.steps = append(p.steps, Step{worker, what, version.Tx, version.Incarnation, from, now})
	}
	return now - from
}

// Next implements blockstm.Program.
func (p *program) Next(tx blockstm.TxIndex) (blockstm.TxIndex, bool) {
	if int(tx) == len(p.block.Txs) {
		return blockstm.NoTx, false
	}
	_, from, _ := p.clock.turn()
	p.spend(p.block.Txs[tx].Draw)
	p.drawing += p.step(StepDraw, blockstm.Version{Tx: tx}, from)
	return max(p.block.Txs[tx].After, p.hints.Drawn(tx)), true
}

// Execute implements blockstm.Program. The reads are spread evenly over the execution,
// the writes are at its end.
func (p *program) Execute(worker int, version blockstm.Version, _ bool) blockstm.Execution {
	tx, run := &p.block.Txs[version.Tx], incarnation{}
	_, from, _ := p.clock.turn()
	if p.lanes[worker].tx != version.Tx {
		p.lanes[worker].tx = blockstm.NoTx
	}
	input := uint64(version.Tx) + 1
	own := make(map[int]uint64, len(tx.Reads))
	share := tx.Execute / time.Duration(len(tx.Reads)+1)
	for _, index := range tx.Reads {
		p.spend(share)
		value, blocker := p.read(version.Tx, index, &run)
		if blocker != blockstm.NoTx {
			p.running += p.step(StepBlocked, version, from)
			return blockstm.Execution{Blocked: blocker, Readers: blockstm.NoTx}
		}
		own[index] = value
		if p.registers[index].kind == Value {
			input = mix(input, value)
		}
	}
	p.spend(tx.Execute - share*time.Duration(len(tx.Reads)))
	readers := p.publish(version, &run, input, own)
	what := StepRun
	if version.Incarnation > 0 {
		what = StepAgain
	}
	p.running += p.step(what, version, from)
	return blockstm.Execution{Blocked: blockstm.NoTx, Readers: readers}
}

// read reads a register and captures what it was shown.
func (p *program) read(tx blockstm.TxIndex, index int, run *incarnation) (value uint64, blocker blockstm.TxIndex) {
	r := &p.registers[index]
	p.clock.use(&r.lines, 0, p.machine.Handover)
	if r.kind == Total {
		var total uint256.Int
		if blocker, ok := r.sum.Read(tx, &total, true); !ok {
			return 0, blocker
		}
		run.sums = append(run.sums, blockstm.CapturedSum{Sum: &r.sum, Low: total, High: total})
		return total.Uint64(), blockstm.NoTx
	}
	value, writer, ok := r.cell.Read(tx, true)
	if !ok {
		return 0, writer
	}
	run.cells = append(run.cells, blockstm.Captured[uint64]{Cell: &r.cell, Seen: value})
	return value, blockstm.NoTx
}

// publish writes the registers. Every incarnation of a transaction writes the same ones.
func (p *program) publish(version blockstm.Version, run *incarnation, input uint64, own map[int]uint64) blockstm.TxIndex {
	tx, readers := &p.block.Txs[version.Tx], blockstm.NoTx
	for _, index := range tx.Writes {
		r := &p.registers[index]
		p.clock.use(&r.lines, 0, p.machine.Handover)
		var value uint64
		switch r.kind {
		case Total:
			value = uint64(version.Tx) + 1
			readers = max(readers, r.sum.Write(version, delta(value)))
		case Counter:
			value = mix(uint64(version.Tx), own[index])
			readers = max(readers, r.cell.Write(version, value))
		default:
			value = mix(input, uint64(index))
			readers = max(readers, r.cell.Write(version, value))
		}
		run.values = append(run.values, value)
	}
	run.done = true
	p.last[version.Tx] = *run
	return readers
}

func delta(value uint64) blockstm.Delta { return blockstm.Delta{Add: *uint256.NewInt(value)} }

// mix returns a value that is another one for other arguments, as good as always.
func mix(a, b uint64) uint64 {
	x := (a ^ b<<32 ^ b>>32) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x = (x + b) * 0xbf58476d1ce4e5b9
	return x ^ x>>32
}

// Validate implements blockstm.Program.
func (p *program) Validate(tx blockstm.TxIndex) bool {
	worker, from, running := p.clock.turn()
	if running {
		p.lanes[worker] = lane{tx, from}
	}
	p.spend(p.block.Txs[tx].Validate)
	p.step(StepCheck, blockstm.Version{Tx: tx}, from)
	run := &p.last[tx]
	for _, c := range run.cells {
		if !c.Valid(tx) {
			return false
		}
	}
	for i := range run.sums {
		if !run.sums[i].Valid(tx) {
			return false
		}
	}
	return true
}

// Abort implements blockstm.Program. It takes as long as a validation.
func (p *program) Abort(tx blockstm.TxIndex) {
	p.spend(p.block.Txs[tx].Validate)
	if !p.last[tx].done {
		return
	}
	for _, index := range p.block.Txs[tx].Writes {
		p.registers[index].marks().MarkEstimate(tx)
	}
}

// Commit implements blockstm.Program.
func (p *program) Commit(tx blockstm.TxIndex) (bool, error) {
	if p.cancelled.Load() {
		return false, nil
	}
	worker, from, running := p.clock.turn()
	if !running {
		return false, nil
	}
	begin := from
	if l := &p.lanes[worker]; l.tx == tx {
		begin = l.from
	}
	p.lanes[worker].tx = blockstm.NoTx
	p.hints.Committed(tx)
	p.spend(p.block.Txs[tx].Commit)
	for i, index := range p.block.Txs[tx].Writes {
		r := &p.registers[index]
		p.clock.use(&r.lines, 0, p.machine.Handover)
		if r.kind == Total {
			r.sum.Commit(tx, delta(p.last[tx].values[i]))
		} else {
			r.cell.Commit(tx, p.last[tx].values[i])
		}
	}
	p.committing += p.step(StepCommit, blockstm.Version{Tx: tx}, from) + from - begin
	return true, nil
}

// Cancel implements blockstm.Program.
func (p *program) Cancel() { p.cancelled.Store(true) }
