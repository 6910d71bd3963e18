package state

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/stateless"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// View is the vm.StateDB of one incarnation of one transaction: what is committed or
// published below it, plus what it did itself. A worker has one and uses it for one
// incarnation after the other; nothing in it survives Begin.
//
// An incarnation that met an estimate or could not read the base is void. The EVM has no
// way to be told, so it is cancelled, sees zeroes until it notices, and Void says why.
type View struct {
	base   *Base
	tx     blockstm.TxIndex
	out    *Footprint
	cancel func()

	// Why the incarnation is void.
	blocked blockstm.TxIndex
	err     error

	locals map[common.Address]*local // see find
	last   *local                    // the account used last
	arena  arena[local]

	slots     map[slotKey]*localSlot // see findSlot
	lastSlot  *localSlot             // the slot used last
	slotArena arena[localSlot]

	journal   []undo
	transient map[slotKey]common.Hash
	refund    uint64
	logs      []*types.Log

	// Accounts of the base that were used recently, the fee recipients above all.
	recent [recents]*Account

	// Warm from the start by the rules, in every transaction.
	precompiles []common.Address

	// payer is the account whose balance was looked at before Prepare. In that phase the
	// state transition asks for nothing but whether it covers the cost.
	payer    *local
	prepared bool // Prepare was called
}

// Check that all of upstream's interface is there.
var _ vm.StateDB = (*View)(nil)

// slotKey names a slot of an account of this view.
type slotKey struct {
	account *local
	key     common.Hash
}

// NewView returns a view for one worker. cancel is called when an incarnation becomes
// void; it should stop the EVM.
func NewView(base *Base, cancel func()) *View {
	return &View{
		base:      base,
		cancel:    cancel,
		locals:    make(map[common.Address]*local),
		slots:     make(map[slotKey]*localSlot),
		transient: make(map[slotKey]common.Hash),
	}
}

// recents is the size of a view's memory of accounts.
const recents = 32

// maxKept bounds what a view keeps of its maps' memory for the next transaction: clearing
// a map costs by its size.
const maxKept = 64

// Begin starts an incarnation of tx whose reads and writes go to out.
func (v *View) Begin(tx blockstm.TxIndex, out *Footprint) {
	out.begin()
	v.tx, v.out = tx, out
	v.blocked, v.err = blockstm.NoTx, nil
	v.locals = emptied(v.locals)
	v.slots = emptied(v.slots)
	v.transient = emptied(v.transient)
	v.arena.reset()
	v.slotArena.reset()
	v.last, v.lastSlot = nil, nil
	v.payer, v.prepared = nil, false
	clear(v.journal)
	v.journal = v.journal[:0]
	v.refund = 0
	v.logs = nil
}

func emptied[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > maxKept {
		return make(map[K]V)
	}
	clear(m)
	return m
}

// Void tells whether the incarnation is void: because of the estimate of a lower
// transaction, or because the base could not be read.
func (v *View) Void() (blocked blockstm.TxIndex, err error) { return v.blocked, v.err }

// Logs returns the logs of the incarnation. They are the caller's.
func (v *View) Logs() []*types.Log { return v.logs }

// block makes the incarnation void because of an estimate.
func (v *View) block(tx blockstm.TxIndex) {
	if v.blocked == blockstm.NoTx {
		v.blocked = tx
		v.cancel()
	}
}

// fail makes the incarnation void because of an error.
func (v *View) fail(err error) {
	if v.err == nil {
		v.err = err
		v.cancel()
	}
}

// Seal ends the incarnation and completes its footprint. If the transaction turned out to
// be invalid it leaves no writes, only what it was shown. A void incarnation is not
// sealed.
func (v *View) Seal(valid bool) {
	if v.payer != nil {
		v.exactly(v.payer)
		v.payer = nil
	}
	if valid {
		for _, l := range v.arena.used() {
			v.sealAccount(l)
		}
		for _, s := range v.slotArena.used() {
			if s.known && s.value != s.origin && !s.account.destructed {
				v.out.writes.slots = append(v.out.writes.slots, slotWrite{s.account.account, s.slot, s.value})
			}
		}
	}
	for _, l := range v.arena.used() {
		if l.bounded {
			v.out.reads.balances = append(v.out.reads.balances, blockstm.CapturedSum{Sum: &l.account.balance, Low: l.low, High: l.high})
		}
	}
}

// sealAccount records what the transaction leaves of an account.
func (v *View) sealAccount(l *local) {
	if l.changes == 0 && !l.sticky {
		return
	}
	a := v.account(l)
	if a == nil {
		return
	}
	if l.destructed || a.lingering && v.isCleared(l) {
		v.out.writes.accounts = append(v.out.writes.accounts, accountWrite{
			account: a, destroyed: true, code: noCode, delta: blockstm.Delta{Wipe: true},
		})
		return
	}
	w := accountWrite{account: a, nonceSet: l.nonceSet, nonce: l.nonce, paid: !l.delta.IsZero()}
	w.delta.Add = l.delta
	if l.codeSet {
		w.code = l.code
	}
	if w.nonceSet || w.paid || w.code != nil {
		v.out.writes.accounts = append(v.out.writes.accounts, w)
	}
}

// isCleared reports whether a lingering account, which the transaction touched, is to go
// by EIP-161.
func (v *View) isCleared(l *local) bool {
	there := &l.account.destiny().lingers
	lingers, writer, ok := there.Read(v.tx, true)
	if !ok {
		v.block(writer)
	}
	v.out.reads.flags = append(v.out.reads.flags, blockstm.Captured[bool]{Cell: there, Seen: lingers})
	if !lingers || l.nonce64(v) != 0 || l.codeOf(v) != noCode {
		return false
	}
	v.exactly(l)
	balance := l.now()
	return balance.IsZero()
}

// The access list, and what else ends with the transaction.

// Prepare implements vm.StateDB. Everything before it in a state transition only decides
// whether the transaction is valid.
func (v *View) Prepare(rules params.Rules, sender, coinbase common.Address, dest *common.Address, precompiles []common.Address, list types.AccessList) {
	if v.payer != nil {
		v.atLeast(v.payer, &v.payer.base)
		v.payer = nil
	}
	v.prepared = true
	if rules.IsEIP2929 {
		v.precompiles = precompiles
		v.local(sender).warm = true
		if dest != nil {
			v.local(*dest).warm = true
		}
		for _, entry := range list {
			v.local(entry.Address).warm = true
			for _, key := range entry.StorageKeys {
				v.localSlot(entry.Address, key).warm = true
			}
		}
		if rules.IsShanghai {
			v.local(coinbase).warm = true
		}
	}
}

// isPrecompile reports whether addr is one of the precompiles that Prepare was told of.
// They are few, and all but the first bytes of their addresses are zero.
func (v *View) isPrecompile(addr common.Address) bool {
	if addr[0] != 0 || addr[1] != 0 || addr[2] != 0 || addr[3] != 0 {
		return false
	}
	for i := range v.precompiles {
		if v.precompiles[i] == addr {
			return true
		}
	}
	return false
}

// AddressInAccessList implements vm.StateDB.
func (v *View) AddressInAccessList(addr common.Address) bool {
	return v.isPrecompile(addr) || v.local(addr).warm
}

// SlotInAccessList implements vm.StateDB.
func (v *View) SlotInAccessList(addr common.Address, key common.Hash) (addressOk, slotOk bool) {
	return v.AddressInAccessList(addr), v.localSlot(addr, key).warm
}

// AddAddressToAccessList implements vm.StateDB.
func (v *View) AddAddressToAccessList(addr common.Address) {
	if l := v.local(addr); !l.warm {
		l.warm = true
		v.journal = append(v.journal, undo{kind: undoWarm, account: l})
	}
}

// AddSlotToAccessList implements vm.StateDB.
func (v *View) AddSlotToAccessList(addr common.Address, key common.Hash) {
	v.AddAddressToAccessList(addr)
	if s := v.localSlot(addr, key); !s.warm {
		s.warm = true
		v.journal = append(v.journal, undo{kind: undoWarmSlot, slot: s})
	}
}

// GetTransientState implements vm.StateDB.
func (v *View) GetTransientState(addr common.Address, key common.Hash) common.Hash {
	if len(v.transient) == 0 {
		return common.Hash{}
	}
	return v.transient[slotKey{v.local(addr), key}]
}

// SetTransientState implements vm.StateDB.
func (v *View) SetTransientState(addr common.Address, key, value common.Hash) {
	k := slotKey{v.local(addr), key}
	old := v.transient[k]
	if old == value {
		return
	}
	v.journal = append(v.journal, undo{kind: undoTransient, account: k.account, key: key, word: old})
	v.transient[k] = value
}

// AddRefund implements vm.StateDB.
func (v *View) AddRefund(gas uint64) {
	v.journal = append(v.journal, undo{kind: undoRefund, number: v.refund})
	v.refund += gas
}

// SubRefund implements vm.StateDB. The counter cannot fall below zero in a run on a
// consistent state; on an inconsistent one the incarnation is thrown away.
func (v *View) SubRefund(gas uint64) {
	v.journal = append(v.journal, undo{kind: undoRefund, number: v.refund})
	v.refund -= min(gas, v.refund)
}

// GetRefund implements vm.StateDB.
func (v *View) GetRefund() uint64 { return v.refund }

// AddLog implements vm.StateDB. The log gets its place in the block at commit.
func (v *View) AddLog(log *types.Log) {
	v.journal = append(v.journal, undo{kind: undoLog})
	v.logs = append(v.logs, log)
}

// EmitLogsForBurnAccounts implements vm.StateDB. It belongs to Amsterdam, whose blocks
// are built sequentially.
func (v *View) EmitLogsForBurnAccounts() {}

// AddPreimage implements vm.StateDB. A builder does not record preimages.
func (v *View) AddPreimage(common.Hash, []byte) {}

// Witness implements vm.StateDB. Blocks with a witness are built sequentially.
func (v *View) Witness() *stateless.Witness { return nil }

// AccessEvents implements vm.StateDB. They belong to Verkle tries, whose blocks are built
// sequentially.
func (v *View) AccessEvents() *state.AccessEvents { return nil }

// Finalise implements vm.StateDB: see Seal.
func (v *View) Finalise(bool) {}

// CanTransfer reports whether the account has the amount, and records no more than that
// about its balance. It is meant for vm.BlockContext.
func CanTransfer(db vm.StateDB, addr common.Address, amount *uint256.Int) bool {
	v, ok := db.(*View)
	if !ok {
		return db.GetBalance(addr).Cmp(amount) >= 0
	}
	l := v.local(addr)
	v.observe(l)
	return v.covers(l, amount)
}
