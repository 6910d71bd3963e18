package state

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Ledger makes writes final: first in the registers, transaction by transaction, and from
// there, in batches, in the block's StateDB, if that is the account's holder. An account
// that a hundred transactions of a batch change goes there once. It belongs to the ordered
// commit: one goroutine uses it at a time.
type Ledger struct {
	base     *Base
	db       *state.StateDB
	accounts []*Account // held by the StateDB, and changed since the last Apply
	warmer   *warmer    // nil: the StateDB has a prefetcher
}

// NewLedger returns the ledger of the base's block. The base is attached.
func NewLedger(base *Base) *Ledger {
	l := &Ledger{base: base, db: base.db}
	if base.finals != nil {
		l.warmer = &warmer{tries: base.finals}
	}
	return l
}

// Close ends what the ledger has running, which is to read ahead.
func (l *Ledger) Close() {
	if l.warmer != nil {
		l.warmer.close()
		l.warmer = nil
	}
}

// Pending returns the number of accounts that Apply would write.
func (l *Ledger) Pending() int { return len(l.accounts) }

// Commit makes the published writes of tx final. Everything below tx is.
func (l *Ledger) Commit(tx blockstm.TxIndex, f *Footprint) {
	for i := range f.writes.accounts {
		w := &f.writes.accounts[i]
		a := w.account
		if w.destroyed {
			l.destroy(tx, w)
			continue
		}
		l.list(a)
		if w.nonceSet {
			a.nonce.Commit(tx, w.nonce)
		}
		if w.code != nil {
			a.code.Commit(tx, w.code)
			a.codeChanged = true
		}
		if w.paid {
			a.balance.Commit(tx, w.delta)
		}
	}
	for i := range f.writes.slots {
		w := &f.writes.slots[i]
		w.slot.value.Commit(tx, w.value)
		w.account.rootKnown = false
		l.list(w.account)
		if !w.slot.listed {
			w.slot.listed = true
			w.account.written = append(w.account.written, w.slot)
			if l.warmer != nil && w.slot.loaded {
				l.warmer.slot(w.account, w.slot)
			}
		}
	}
	f.writes.reset()
	f.old.reset()
}

// list notes that an account has changed, for Apply if the StateDB holds it, and
// otherwise for whoever hashes the state.
func (l *Ledger) list(a *Account) {
	switch {
	case a.listed:
	case a.heldByState():
		a.listed = true
		l.accounts = append(l.accounts, a)
	default:
		a.listed = true
		l.base.note(a)
		if l.warmer != nil {
			l.warmer.account(a)
		}
	}
}

// give makes the StateDB the holder of an account. The next Apply writes to it what the
// account has become so far.
func (l *Ledger) give(a *Account) {
	if a.heldByState() {
		return
	}
	a.holder.Store(uint32(stateHolds))
	if a.listed {
		l.accounts = append(l.accounts, a)
	}
}

// Surrender makes the StateDB the holder of all accounts, with their final values: a
// sequential execution goes on from there.
func (l *Ledger) Surrender() {
	for _, a := range l.base.takeChanged() {
		l.give(a)
	}
	l.Apply()
}

// destroy makes the end of an account final. The StateDB learns of it at once, since an
// account that comes back later in the block must start from nothing there too.
func (l *Ledger) destroy(tx blockstm.TxIndex, w *accountWrite) {
	a := w.account
	if !a.heldByState() {
		l.give(a)
		l.Apply()
	}
	a.mu.Lock()
	a.emptied = true
	for _, s := range a.slots {
		s.value.Commit(tx, common.Hash{})
	}
	a.mu.Unlock()
	a.nonce.Commit(tx, 0)
	a.code.Commit(tx, noCode)
	a.balance.Commit(tx, w.delta)
	a.destiny().wiped.Commit(tx, true)
	a.destiny().lingers.Commit(tx, false)

	for _, s := range a.written {
		s.listed = false
	}
	a.written = a.written[:0]
	a.codeChanged = false
	a.nonceThere = 0
	a.moneyThere.Clear()

	l.base.liveMu.Lock()
	defer l.base.liveMu.Unlock()
	if l.db.Exist(a.Address) {
		l.db.SelfDestruct(a.Address)
		l.db.Finalise(true)
	}
}

// Apply writes the final values of what was committed since the last call, and is held by
// the StateDB, to it, and finalises them there.
func (l *Ledger) Apply() {
	if len(l.accounts) == 0 {
		return
	}
	l.base.liveMu.Lock()
	defer l.base.liveMu.Unlock()
	for _, a := range l.accounts {
		l.apply(a)
	}
	clear(l.accounts)
	l.accounts = l.accounts[:0]
	l.db.Finalise(true)
}

func (l *Ledger) apply(a *Account) {
	a.listed = false
	if nonce := a.nonce.Committed(); nonce != a.nonceThere {
		a.nonceThere = nonce
		l.db.SetNonce(a.Address, nonce, tracing.NonceChangeUnspecified)
	}
	if balance := a.balance.Committed(); balance != a.moneyThere {
		a.moneyThere = balance
		// The StateDB keeps the pointer.
		l.db.SetBalance(a.Address, new(uint256.Int).Set(&balance), tracing.BalanceChangeUnspecified)
	}
	if a.codeChanged {
		a.codeChanged = false
		code := a.code.Committed()
		if hash := l.db.GetCodeHash(a.Address); code.Hash != hash && !(code == noCode && hash == (common.Hash{})) {
			l.db.SetCode(a.Address, *code.bytes.Load(), tracing.CodeChangeUnspecified)
		}
	}
	for _, s := range a.written {
		s.listed = false
		l.db.SetState(a.Address, s.Key, s.value.Committed())
	}
	a.written = a.written[:0]
}

// Conditional checks a transaction's preconditions against everything committed so far.
// The StateDB has an account's storage root as it was before the block until it is
// hashed, also when sequential, and so has to hold the accounts that it is asked about.
func (l *Ledger) Conditional(c *types.TransactionConditional) error {
	for addr := range c.KnownAccounts {
		if a := l.base.table.lookup(addr); a != nil {
			l.give(a)
		}
	}
	l.Apply()
	l.base.liveMu.Lock()
	defer l.base.liveMu.Unlock()
	return l.db.CheckTransactionConditional(c)
}

// Log adds the logs of a transaction, whose place in the block is index, to the StateDB,
// which numbers them.
func (l *Ledger) Log(hash common.Hash, index int, logs []*types.Log) {
	l.db.SetTxContext(hash, index)
	for _, log := range logs {
		l.db.AddLog(log)
	}
}
