package state

import (
	"github.com/ethereum/go-ethereum/common"
)

// localSlot is a storage slot as one incarnation sees and changes it.
type localSlot struct {
	account *local
	key     common.Hash
	slot    *Slot // nil: not needed yet
	warm    bool
	known   bool        // origin and value are loaded
	origin  common.Hash // at the start of the transaction
	value   common.Hash
}

// localSlot returns the slot of this view.
func (v *View) localSlot(addr common.Address, key common.Hash) *localSlot {
	if s := v.lastSlot; s != nil && s.key == key && s.account.address == addr {
		return s
	}
	l := v.local(addr)
	s := v.findSlot(l, key)
	if s == nil {
		s = v.slotArena.next()
		s.account, s.key = l, key
		v.indexSlot(s)
	}
	v.lastSlot = s
	return s
}

// findSlot returns the slot of this view if there is one.
func (v *View) findSlot(l *local, key common.Hash) *localSlot {
	all := v.slotArena.used()
	if len(all) > scanned {
		return v.slots[slotKey{l, key}]
	}
	for _, s := range all {
		if s.key == key && s.account == l {
			return s
		}
	}
	return nil
}

// indexSlot makes sure that findSlot will find a slot just taken from the arena.
func (v *View) indexSlot(s *localSlot) {
	switch all := v.slotArena.used(); {
	case len(all) == scanned+1:
		for _, s := range all {
			v.slots[slotKey{s.account, s.key}] = s
		}
	case len(all) > scanned:
		v.slots[slotKey{s.account, s.key}] = s
	}
}

// load returns the slot with its values.
func (v *View) load(addr common.Address, key common.Hash) *localSlot {
	s := v.localSlot(addr, key)
	if s.known {
		return s
	}
	s.known = true
	a := v.account(s.account)
	if a == nil {
		return s
	}
	shared, err := v.base.slot(a, key)
	if err != nil {
		v.fail(err)
		return s
	}
	value, blocker, ok := a.storage(shared, v.tx, true)
	if !ok {
		v.block(blocker)
	}
	s.slot, s.origin, s.value = shared, value, value
	v.out.reads.slots = append(v.out.reads.slots, slotRead{a, shared, value})
	return s
}

// GetState implements vm.StateDB.
func (v *View) GetState(addr common.Address, key common.Hash) common.Hash {
	return v.load(addr, key).value
}

// GetStateAndCommittedState implements vm.StateDB: the present value, and that at the
// start of the transaction.
func (v *View) GetStateAndCommittedState(addr common.Address, key common.Hash) (common.Hash, common.Hash) {
	s := v.load(addr, key)
	return s.value, s.origin
}

// SetState implements vm.StateDB.
func (v *View) SetState(addr common.Address, key, value common.Hash) common.Hash {
	s := v.load(addr, key)
	old := s.value
	if old == value {
		return old
	}
	v.journal = append(v.journal, undo{kind: undoStorage, slot: s, word: old})
	s.account.present++
	s.account.changes++
	s.value = value
	return old
}
