package bench

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/internal/simulate"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// field is what an access is to.
type field uint8

const (
	balance field = iota
	nonce
	code // and whether the account exists
	slot
)

// access names a part of the state.
type access struct {
	addr  common.Address
	field field
	key   common.Hash // of a slot
}

// Traced is a transaction of a block as it ran in its place, one after the other.
type Traced struct {
	Duration time.Duration
	reads    []access // whose value is from before the transaction, in the order of the first reads
	writes   []access // whose value the transaction changed, in the order of the first writes
	seen     []access // all of it
}

// Trace is a block that ran sequentially on a state which was in memory already.
type Trace struct {
	Txs []Traced
}

// starter makes the block as it is before the pool's transactions, each time anew.
type starter func() (*miner.Block, error)

// tracePasses is how often a block is run for a trace: first to have its state in memory,
// then to find out how long its transactions take when nothing disturbs them.
const tracePasses = 5

// NewTrace runs the transactions on the block, and takes the least duration of each.
func NewTrace(start starter, txs []*types.Transaction) (*Trace, error) {
	t := new(Trace)
	for pass := range tracePasses {
		block, err := start()
		if err != nil {
			return nil, err
		}
		for key := range t.touchedBy(0, len(t.Txs)) {
			touch(block.State, key)
		}
		before := t.Txs
		t.Txs = nil
		runtime.GC()
		err = t.run(block, txs)
		block.State.StopPrefetcher()
		if err != nil {
			return nil, err
		}
		for i := range before {
			if pass > 1 {
				t.Txs[i].Duration = min(t.Txs[i].Duration, before[i].Duration)
			}
		}
	}
	return t, nil
}

func (t *Trace) run(block *miner.Block, txs []*types.Transaction) error {
	db := &tracer{StateDB: block.State}
	context := core.NewEVMBlockContext(block.Header, block.Chain, &block.Coinbase, block.Config, block.State)
	context.CanTransfer = func(_ vm.StateDB, from common.Address, amount *uint256.Int) bool {
		return !block.State.GetBalance(from).Lt(amount)
	}
	evm := vm.NewEVM(context, db, block.Config, vm.Config{})
	for i, tx := range txs {
		message, err := core.TransactionToMessage(tx, block.Signer, block.Header.BaseFee)
		if err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
		db.reset()
		block.State.SetTxContext(tx.Hash(), block.TxCount+i)
		begin := time.Now()
		if _, err := core.ApplyMessage(evm, message, block.GasPool); err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
		block.State.Finalise(true)
		traced := Traced{Duration: time.Since(begin)}
		traced.reads, traced.writes = db.accesses()
		traced.seen = slices.Collect(maps.Keys(db.seen))
		t.Txs = append(t.Txs, traced)
	}
	return nil
}

// touchedBy returns what the transactions from first to before last read or write.
func (t *Trace) touchedBy(first, last int) map[access]struct{} {
	all := make(map[access]struct{})
	for _, tx := range t.Txs[first:last] {
		for _, key := range tx.seen {
			all[key] = struct{}{}
		}
	}
	return all
}

// touch brings a part of the state into the StateDB's memory.
func touch(db *state.StateDB, key access) {
	switch key.field {
	case slot:
		db.GetState(key.addr, key.key)
	case code:
		db.GetCode(key.addr)
	default:
		db.GetBalance(key.addr)
	}
}

// Bound returns how many times faster than one after the other the block could be run
// with any number of workers: the sum of the durations over that of the longest chain of
// transactions each of which reads what the one before it wrote. Credits and debits don't
// depend on each other, and comparing a balance with what it has to pay for is no read.
func (t *Trace) Bound() float64 {
	block, _ := t.block()
	_, chain := block.Chain()
	if chain == 0 {
		return 0
	}
	return float64(block.Work()) / float64(chain)
}

// block returns the traced block for a simulation, and what its registers are. It takes
// the traced durations for executing, and nothing for all else.
func (t *Trace) block() (*simulate.Block, []access) {
	var (
		b     = new(simulate.Block)
		names []access
		index = make(map[access]int)
	)
	registers := func(list []access) []int {
		out := make([]int, 0, len(list))
		for _, key := range list {
			i, known := index[key]
			if !known {
				i = len(names)
				index[key], names = i, append(names, key)
				b.Registers = append(b.Registers, key.field.kind())
			}
			out = append(out, i)
		}
		return out
	}
	for _, tx := range t.Txs {
		b.Txs = append(b.Txs, simulate.Tx{After: blockstm.NoTx, Reads: registers(tx.reads), Writes: registers(tx.writes), Execute: tx.Duration})
	}
	return b, names
}

// follows returns of each transaction the last one before it that wrote what it reads,
// blockstm.NoTx if there is none. What is no more than likely to change, that an account
// has code or exists, does not count.
func (t *Trace) follows() []blockstm.TxIndex {
	var (
		all    = make([]blockstm.TxIndex, len(t.Txs))
		writer = make(map[access]blockstm.TxIndex)
	)
	for i, tx := range t.Txs {
		all[i] = blockstm.NoTx
		for _, key := range tx.reads {
			if last, written := writer[key]; written && key.field != code {
				all[i] = max(all[i], last)
			}
		}
		for _, key := range tx.writes {
			writer[key] = blockstm.TxIndex(i)
		}
	}
	return all
}

// hints are a run's of calls that follow one another. See miner.CallHints.
type hints struct {
	*miner.CallHints
	follows []blockstm.TxIndex
}

// Committed implements simulate.Hints.
func (h *hints) Committed(tx blockstm.TxIndex) { h.CallHints.Committed(tx, h.follows[tx]) }

// kind is how the register of such a field behaves.
func (f field) kind() simulate.Kind {
	switch f {
	case balance:
		return simulate.Total
	case slot:
		return simulate.Value
	default: // what is written does not hang on what else was read
		return simulate.Counter
	}
}

// tracer is a StateDB that notes what a transaction reads and what it may have written.
type tracer struct {
	*state.StateDB
	executing bool // by the EVM; before and after are checks and fees
	seen      map[access]struct{}
	read      map[access]struct{}
	before    map[access]common.Hash // values before a first write
	reads     []access               // the keys of read, in their order
	writes    []access               // the keys of before, in their order
}

func (t *tracer) reset() {
	t.executing = false
	t.seen, t.read, t.before = make(map[access]struct{}), make(map[access]struct{}), make(map[access]common.Hash)
	t.reads, t.writes = nil, nil
}

// value returns the present value of what an access is to.
func (t *tracer) value(key access) common.Hash {
	switch key.field {
	case balance:
		return t.StateDB.GetBalance(key.addr).Bytes32()
	case nonce:
		return common.BigToHash(new(uint256.Int).SetUint64(t.StateDB.GetNonce(key.addr)).ToBig())
	case code:
		return t.StateDB.GetCodeHash(key.addr)
	default:
		return t.StateDB.GetState(key.addr, key.key)
	}
}

func (t *tracer) reading(key access) {
	t.seen[key] = struct{}{}
	_, own := t.before[key]
	if _, known := t.read[key]; !known && (!own || key.field == balance) {
		t.read[key] = struct{}{} // a balance is what it was before, plus own changes
		t.reads = append(t.reads, key)
	}
}

func (t *tracer) writing(key access) {
	t.seen[key] = struct{}{}
	if _, known := t.before[key]; !known {
		t.before[key] = t.value(key)
		t.writes = append(t.writes, key)
	}
}

// accesses returns what was read, and what is different from before.
func (t *tracer) accesses() (reads, writes []access) {
	for _, key := range t.writes {
		if t.value(key) != t.before[key] {
			writes = append(writes, key)
		}
	}
	return t.reads, writes
}

// Prepare implements vm.StateDB. It is called after the sender has paid for the gas.
func (t *tracer) Prepare(rules params.Rules, sender, coinbase common.Address, dest *common.Address, precompiles []common.Address, list types.AccessList) {
	t.executing = true
	t.StateDB.Prepare(rules, sender, coinbase, dest, precompiles, list)
}

func (t *tracer) GetBalance(addr common.Address) *uint256.Int {
	if t.executing {
		t.reading(access{addr: addr, field: balance})
	}
	return t.StateDB.GetBalance(addr)
}

func (t *tracer) AddBalance(addr common.Address, amount *uint256.Int, reason tracing.BalanceChangeReason) uint256.Int {
	t.creating(addr)
	t.delta(addr)
	return t.StateDB.AddBalance(addr, amount, reason)
}

func (t *tracer) SubBalance(addr common.Address, amount *uint256.Int, reason tracing.BalanceChangeReason) uint256.Int {
	t.delta(addr)
	return t.StateDB.SubBalance(addr, amount, reason)
}

// delta notes a change of a balance that does not look at it.
func (t *tracer) delta(addr common.Address) { t.writing(access{addr: addr, field: balance}) }

// creating notes a change that may make an account.
func (t *tracer) creating(addr common.Address) { t.writing(access{addr: addr, field: code}) }

func (t *tracer) GetNonce(addr common.Address) uint64 {
	t.reading(access{addr: addr, field: nonce})
	return t.StateDB.GetNonce(addr)
}

func (t *tracer) SetNonce(addr common.Address, n uint64, reason tracing.NonceChangeReason) {
	t.writing(access{addr: addr, field: nonce})
	t.StateDB.SetNonce(addr, n, reason)
}

func (t *tracer) GetCodeHash(addr common.Address) common.Hash {
	t.reading(access{addr: addr, field: code})
	return t.StateDB.GetCodeHash(addr)
}

func (t *tracer) GetCode(addr common.Address) []byte {
	t.reading(access{addr: addr, field: code})
	return t.StateDB.GetCode(addr)
}

func (t *tracer) GetCodeSize(addr common.Address) int {
	t.reading(access{addr: addr, field: code})
	return t.StateDB.GetCodeSize(addr)
}

func (t *tracer) SetCode(addr common.Address, bytes []byte, reason tracing.CodeChangeReason) []byte {
	t.creating(addr)
	return t.StateDB.SetCode(addr, bytes, reason)
}

func (t *tracer) GetStateAndCommittedState(addr common.Address, key common.Hash) (common.Hash, common.Hash) {
	t.reading(access{addr, slot, key})
	return t.StateDB.GetStateAndCommittedState(addr, key)
}

func (t *tracer) GetState(addr common.Address, key common.Hash) common.Hash {
	t.reading(access{addr, slot, key})
	return t.StateDB.GetState(addr, key)
}

func (t *tracer) SetState(addr common.Address, key, value common.Hash) common.Hash {
	t.writing(access{addr, slot, key})
	return t.StateDB.SetState(addr, key, value)
}

func (t *tracer) CreateAccount(addr common.Address) {
	t.creating(addr)
	t.StateDB.CreateAccount(addr)
}

func (t *tracer) CreateContract(addr common.Address) {
	t.creating(addr)
	t.StateDB.CreateContract(addr)
}

func (t *tracer) SelfDestruct(addr common.Address) {
	t.creating(addr)
	t.delta(addr)
	t.StateDB.SelfDestruct(addr)
}

func (t *tracer) Exist(addr common.Address) bool {
	t.reading(access{addr: addr, field: code})
	return t.StateDB.Exist(addr)
}

func (t *tracer) Empty(addr common.Address) bool {
	t.reading(access{addr: addr, field: code})
	return t.StateDB.Empty(addr)
}
