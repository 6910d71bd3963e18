package blockstm

import "github.com/holiman/uint256"

// Delta is one transaction's change of a Sum: what was there stays or is wiped, and
// then Add is added, modulo 2^256 (so subtraction is the addition of the complement).
type Delta struct {
	Add  uint256.Int
	Wipe bool
}

// Sum is a register whose writers add to it: their writes commute, so that transactions
// that only add never conflict with each other. A reader gets the total below it.
// It must not be copied after first use.
type Sum struct {
	register[Delta]
	committed uint256.Int // guarded by mu
}

// Init sets the committed value of a sum that nobody uses yet.
func (s *Sum) Init(v *uint256.Int) { s.committed = *v }

// Read stores into total what transaction tx sees: the committed value and every change
// below tx. If one of them is an estimate it returns its writer and false: tx should
// wait for it. A registered read makes later writes below tx report it.
func (s *Sum) Read(tx TxIndex, total *uint256.Int, register bool) (blocker TxIndex, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if register {
		s.readBy(tx)
	}
	*total = s.committed
	live := s.entries.live()
	for i := range live {
		e := &live[i]
		if e.version.Tx >= tx {
			break
		}
		if e.estimate {
			return e.version.Tx, false
		}
		e.value.apply(total)
	}
	return NoTx, true
}

func (d *Delta) apply(total *uint256.Int) {
	if d.Wipe {
		*total = d.Add
		return
	}
	total.Add(total, &d.Add)
}

// Write records a speculative change. It returns the highest transaction that may have
// read the sum without seeing it, NoTx if there is none.
func (s *Sum) Write(version Version, d Delta) TxIndex { return s.write(version, d) }

// Commit applies d, the change of tx, to the committed value. Everything below tx is
// committed.
func (s *Sum) Commit(tx TxIndex, d Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries.remove(tx)
	d.apply(&s.committed)
	s.written = tx + 1
}

// Committed returns the committed value.
func (s *Sum) Committed() uint256.Int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed
}

// CapturedSum is a read of a sum: the bounds, both inclusive, within which the total
// leads to the same execution. An exact read has Low equal to High; a comparison ("is
// there enough?") leaves one side open, so that more money is no conflict.
type CapturedSum struct {
	Sum       *Sum
	Low, High uint256.Int
}

// Valid reports whether the total that tx would see now lies within the bounds.
func (c *CapturedSum) Valid(tx TxIndex) bool {
	var total uint256.Int
	if _, ok := c.Sum.Read(tx, &total, false); !ok {
		return false
	}
	return !total.Lt(&c.Low) && !total.Gt(&c.High)
}
