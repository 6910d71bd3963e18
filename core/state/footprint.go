package state

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// slotRead is a storage slot that was read, and what was seen.
type slotRead struct {
	account *Account
	slot    *Slot
	seen    common.Hash
}

// existRead is a question whether an account exists, and the answer.
type existRead struct {
	account *Account
	seen    bool
}

// readSet is all that an incarnation was shown of the state below it.
type readSet struct {
	nonces   []blockstm.Captured[uint64]
	codes    []blockstm.Captured[*Code]
	flags    []blockstm.Captured[bool]
	balances []blockstm.CapturedSum
	slots    []slotRead
	exists   []existRead
}

func (r *readSet) reset() {
	r.nonces = r.nonces[:0]
	r.codes = r.codes[:0]
	r.flags = r.flags[:0]
	r.balances = r.balances[:0]
	r.slots = r.slots[:0]
	r.exists = r.exists[:0]
}

// accountWrite is what a transaction leaves of an account: a part of it, or, if destroyed
// is set, nothing.
type accountWrite struct {
	account   *Account
	destroyed bool
	paid      bool // delta is not zero
	nonceSet  bool
	code      *Code // nil: unchanged
	nonce     uint64
	delta     blockstm.Delta
}

type slotWrite struct {
	account *Account
	slot    *Slot
	value   common.Hash
}

type writeSet struct {
	accounts []accountWrite
	slots    []slotWrite
}

func (w *writeSet) reset() {
	w.accounts = w.accounts[:0]
	w.slots = w.slots[:0]
}

// registers calls f for every register that the set writes.
func (w *writeSet) registers(f func(register)) {
	for i := range w.accounts {
		aw := &w.accounts[i]
		if aw.nonceSet || aw.destroyed {
			f(&aw.account.nonce)
		}
		if aw.code != nil || aw.destroyed {
			f(&aw.account.code)
		}
		if aw.paid || aw.destroyed {
			f(&aw.account.balance)
		}
		if aw.destroyed {
			f(&aw.account.destiny().wiped)
			f(&aw.account.destiny().lingers)
		}
	}
	for i := range w.slots {
		f(&w.slots[i].slot.value)
	}
}

// register is what all kinds of registers have in common.
type register interface {
	MarkEstimate(blockstm.TxIndex)
	RemoveStale(blockstm.Version) blockstm.TxIndex
	Withdraw(blockstm.TxIndex) blockstm.TxIndex
}

// Footprint is what one transaction's last incarnation read and wrote. A View fills it;
// its memory is reused from incarnation to incarnation, and by later transactions once
// this one is committed or withdrawn. One goroutine uses it at a time.
type Footprint struct {
	reads  readSet
	writes writeSet
	old    writeSet // published by the incarnation before
}

// Valid reports whether tx would be shown the same again.
func (f *Footprint) Valid(tx blockstm.TxIndex) bool {
	for _, r := range f.reads.nonces {
		if !r.Valid(tx) {
			return false
		}
	}
	for _, r := range f.reads.slots {
		if value, _, ok := r.account.storage(r.slot, tx, false); !ok || value != r.seen {
			return false
		}
	}
	for i := range f.reads.balances {
		if !f.reads.balances[i].Valid(tx) {
			return false
		}
	}
	for _, r := range f.reads.exists {
		if exists, _, ok := r.account.exists(tx); !ok || exists != r.seen {
			return false
		}
	}
	for _, r := range f.reads.codes {
		if !r.Valid(tx) {
			return false
		}
	}
	for _, r := range f.reads.flags {
		if !r.Valid(tx) {
			return false
		}
	}
	return true
}

// Follows returns the highest transaction that wrote what this one read, NoTx if there is
// none: executed before that one this one will see something else. What is no more than
// likely to change, such as that an account exists or that a balance suffices, does not
// count. It belongs to the ordered commit, when all below is committed.
func (f *Footprint) Follows() blockstm.TxIndex {
	last := blockstm.NoTx
	for i := range f.reads.nonces {
		last = max(last, f.reads.nonces[i].Cell.CommittedBy())
	}
	for i := range f.reads.codes {
		last = max(last, f.reads.codes[i].Cell.CommittedBy())
	}
	for i := range f.reads.slots {
		last = max(last, f.reads.slots[i].slot.value.CommittedBy())
	}
	for i := range f.reads.balances {
		if b := &f.reads.balances[i]; b.Low == b.High {
			last = max(last, b.Sum.CommittedBy())
		}
	}
	return last
}

// Publish makes the writes visible to later transactions, and takes back those of the
// incarnation before that this one did not repeat. It returns the highest later
// transaction that may have read otherwise, blockstm.NoTx if there is none.
func (f *Footprint) Publish(version blockstm.Version) blockstm.TxIndex {
	readers := blockstm.NoTx
	for i := range f.writes.accounts {
		w := &f.writes.accounts[i]
		a := w.account
		if w.destroyed {
			fate := a.destiny()
			readers = max(readers, fate.wiped.Write(version, true), fate.lingers.Write(version, false))
		}
		if w.nonceSet || w.destroyed {
			readers = max(readers, a.nonce.Write(version, w.nonce))
		}
		if w.code != nil {
			readers = max(readers, a.code.Write(version, w.code))
		}
		if w.paid || w.destroyed {
			readers = max(readers, a.balance.Write(version, w.delta))
		}
	}
	for _, w := range f.writes.slots {
		readers = max(readers, w.slot.value.Write(version, w.value))
	}
	f.old.registers(func(r register) { readers = max(readers, r.RemoveStale(version)) })
	f.old.reset()
	return readers
}

// Abort marks what was published as estimates.
func (f *Footprint) Abort(tx blockstm.TxIndex) {
	f.writes.registers(func(r register) { r.MarkEstimate(tx) })
}

// Withdraw takes back what was published, for good, and forgets it: the transaction is
// dropped, or the run is over.
func (f *Footprint) Withdraw(tx blockstm.TxIndex) {
	withdraw := func(r register) { r.Withdraw(tx) }
	f.writes.registers(withdraw)
	f.old.registers(withdraw)
	f.writes.reset()
	f.old.reset()
}

// begin prepares for another incarnation. What the last one published stays known as
// old; that of an incarnation that published nothing does too.
func (f *Footprint) begin() {
	f.reads.reset()
	if len(f.old.accounts)+len(f.old.slots) == 0 {
		f.old, f.writes = f.writes, f.old
	}
	f.writes.reset()
}
