package state

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
)

// undoKind names what an undo puts back.
type undoKind uint8

const (
	undoTouch       undoKind = iota // an account that came into being, or was touched
	undoSoftTouch                   // the same, of no consequence for EIP-161
	undoBalance                     // amount: the delta before
	undoNonce                       // number, flag: the nonce, and whether it was set
	undoCode                        // code, flag: the code, and whether it was set
	undoNewContract                 // an account that became a contract
	undoDestruct                    // an account that was destroyed
	undoStorage                     // word: the slot's value before
	undoTransient                   // key, word: the transient slot's value before
	undoRefund                      // number: the counter before
	undoLog                         // a log
	undoWarm                        // an account that became warm
	undoWarmSlot                    // a slot that became warm
)

// undo is one step of the journal.
type undo struct {
	kind    undoKind
	flag    bool
	account *local
	slot    *localSlot
	code    *Code
	number  uint64
	amount  uint256.Int
	key     common.Hash
	word    common.Hash
}

// Snapshot implements vm.StateDB.
func (v *View) Snapshot() int { return len(v.journal) }

// RevertToSnapshot implements vm.StateDB.
func (v *View) RevertToSnapshot(id int) {
	for i := len(v.journal) - 1; i >= id; i-- {
		v.undo(&v.journal[i])
	}
	clear(v.journal[id:])
	v.journal = v.journal[:id]
}

func (v *View) undo(u *undo) {
	l := u.account
	switch u.kind {
	case undoTouch:
		l.present--
		l.changes--
	case undoSoftTouch:
		l.present--
	case undoBalance:
		l.delta = u.amount
		l.present--
		l.changes--
	case undoNonce:
		l.nonce, l.nonceSet = u.number, u.flag
		l.present--
		l.changes--
	case undoCode:
		l.code, l.codeSet = u.code, u.flag
		l.present--
		l.changes--
	case undoNewContract:
		l.newContract = false
	case undoDestruct:
		l.destructed = false
		l.present--
		l.changes--
	case undoStorage:
		u.slot.value = u.word
		u.slot.account.present--
		u.slot.account.changes--
	case undoTransient:
		v.transient[slotKey{l, u.key}] = u.word
	case undoRefund:
		v.refund = u.number
	case undoLog:
		v.logs = v.logs[:len(v.logs)-1]
	case undoWarm:
		l.warm = false
	case undoWarmSlot:
		u.slot.warm = false
	}
}
