package state

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/holiman/uint256"
)

// observe looks at the balance that the transaction starts with. By itself that is no
// read: what is decided by it has to be recorded with exactly, atLeast or covers.
func (v *View) observe(l *local) {
	if l.baseKnown {
		return
	}
	l.baseKnown = true
	if a := v.account(l); a != nil {
		if blocker, ok := a.balance.Read(v.tx, &l.base, false); !ok {
			v.block(blocker)
		}
	}
}

// now returns the present balance, of an observed account.
func (l *local) now() (balance uint256.Int) {
	balance.Add(&l.base, &l.delta)
	return balance
}

// bound opens the interval that the base was seen in.
func (l *local) bound() {
	if !l.bounded {
		l.bounded = true
		l.high.SetAllOne()
	}
}

// exactly records that the amount itself was seen.
func (v *View) exactly(l *local) {
	v.observe(l)
	if l.account != nil && !(l.bounded && l.low == l.high) {
		// Register as a reader, so that a later change below is noticed before the commit.
		var again uint256.Int
		_, _ = l.account.balance.Read(v.tx, &again, true)
	}
	l.bounded = true
	l.low, l.high = l.base, l.base
}

// atLeast records that the base was found to be no less than the amount.
func (v *View) atLeast(l *local, amount *uint256.Int) {
	l.bound()
	if l.low.Lt(amount) {
		l.low = *amount
	}
}

// below records that the base was found to be less than the amount, which is not zero.
func (l *local) below(amount *uint256.Int) {
	l.bound()
	var most uint256.Int
	most.SubUint64(amount, 1)
	if most.Lt(&l.high) {
		l.high = most
	}
}

// covers reports whether the present balance, of an observed account, is no less than the
// amount, and records that much. With delta d it holds exactly if base >= amount-d.
func (v *View) covers(l *local, amount *uint256.Int) bool {
	now := l.now()
	yes := !now.Lt(amount)
	if l.base.Sign() < 0 || amount.Sign() < 0 || now.Sign() < 0 {
		// Beyond 2^255 a delta cannot be told from its complement.
		v.exactly(l)
		return yes
	}
	var need uint256.Int
	_, under := need.SubOverflow(amount, &l.delta)
	if l.delta.Sign() < 0 {
		under = false // amount plus what was taken away
	}
	switch {
	case under: // covered by what came in
	case yes:
		v.atLeast(l, &need)
	case need.IsZero():
		v.exactly(l)
	default:
		l.below(&need)
	}
	return yes
}

// GetBalance implements vm.StateDB. What it returns is valid, and unchanged by later
// operations, until it is called for the same account again.
func (v *View) GetBalance(addr common.Address) *uint256.Int {
	l := v.local(addr)
	v.observe(l)
	if v.payer == nil && !v.prepared && l.changes == 0 {
		v.payer = l
	} else {
		v.exactly(l)
	}
	l.shown.Add(&l.base, &l.delta)
	return &l.shown
}

// AddBalance implements vm.StateDB. It reads nothing; the previous balance, which only
// tracers want, is not returned.
func (v *View) AddBalance(addr common.Address, amount *uint256.Int, _ tracing.BalanceChangeReason) uint256.Int {
	l := v.local(addr)
	if amount.IsZero() {
		if addr == ripemd && v.Empty(addr) {
			l.sticky = true
		}
		v.touch(l)
		return uint256.Int{}
	}
	v.pay(l)
	l.delta.Add(&l.delta, amount)
	return uint256.Int{}
}

// SubBalance implements vm.StateDB, like AddBalance.
func (v *View) SubBalance(addr common.Address, amount *uint256.Int, _ tracing.BalanceChangeReason) uint256.Int {
	l := v.local(addr)
	if amount.IsZero() {
		l.present++
		v.journal = append(v.journal, undo{kind: undoSoftTouch, account: l})
		return uint256.Int{}
	}
	v.pay(l)
	l.delta.Sub(&l.delta, amount)
	return uint256.Int{}
}

// pay prepares for a change of the balance.
func (v *View) pay(l *local) {
	v.journal = append(v.journal, undo{kind: undoBalance, account: l, amount: l.delta})
	l.present++
	l.changes++
}
