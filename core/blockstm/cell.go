package blockstm

import "sync"

// entry is what one uncommitted transaction did to a register.
type entry[V any] struct {
	version  Version
	estimate bool // the incarnation was aborted: the next one probably writes here again
	value    V
}

// chain holds a register's uncommitted entries in ascending index order. The live part
// is buf[head:]; commits take from the front, and the buffer is reused. Most registers
// never have more than one entry, which needs no memory of its own.
type chain[V any] struct {
	buf   []entry[V]
	head  int
	first [1]entry[V]
}

func (c *chain[V]) live() []entry[V] { return c.buf[c.head:] }

// find returns the position in the live part of the first entry at or above tx. Writers
// mostly come in order, so it looks from the end.
func (c *chain[V]) find(tx TxIndex) int {
	live := c.live()
	i := len(live)
	for i > 0 && live[i-1].version.Tx >= tx {
		i--
	}
	return i
}

// set records e, in place of an older entry of the same transaction.
func (c *chain[V]) set(e entry[V]) {
	i := c.find(e.version.Tx)
	live := c.live()
	if i < len(live) && live[i].version.Tx == e.version.Tx {
		live[i] = e
		return
	}
	if c.buf == nil {
		c.buf = c.first[:0]
	}
	if len(c.buf) == cap(c.buf) && c.head > 0 {
		n := copy(c.buf, live)
		clear(c.buf[n:])
		c.buf, c.head = c.buf[:n], 0
	}
	c.buf = append(c.buf, e)
	live = c.live()
	copy(live[i+1:], live[i:])
	live[i] = e
}

// get returns the entry of tx, or nil.
func (c *chain[V]) get(tx TxIndex) *entry[V] {
	live := c.live()
	if i := c.find(tx); i < len(live) && live[i].version.Tx == tx {
		return &live[i]
	}
	return nil
}

// remove takes out the entry of tx, if there is one.
func (c *chain[V]) remove(tx TxIndex) {
	live := c.live()
	i := c.find(tx)
	if i == len(live) || live[i].version.Tx != tx {
		return
	}
	var zero entry[V]
	if i == 0 {
		live[0] = zero
		c.head++
		if c.head == len(c.buf) {
			c.buf, c.head = c.buf[:0], 0
		}
		return
	}
	copy(live[i:], live[i+1:])
	live[len(live)-1] = zero
	c.buf = c.buf[:len(c.buf)-1]
}

// register is what Cell and Sum share: the entries, their lock, and who read.
type register[V any] struct {
	mu      sync.Mutex // guards everything in the register, also the committed value of the type around it
	entries chain[V]
	reader  TxIndex // the highest transaction that registered a read; it never goes down
	written TxIndex // by whom the committed value was, plus one; 0: it is the initial one
}

// CommittedBy returns the transaction whose value is the committed one, NoTx if it is the
// initial one. It belongs to the ordered commit, which is the only one to change it.
func (r *register[V]) CommittedBy() TxIndex { return r.written - 1 }

// readBy notes that tx depends on the register. The caller holds mu.
func (r *register[V]) readBy(tx TxIndex) {
	if tx > r.reader {
		r.reader = tx
	}
}

// write records an entry and returns the highest transaction that may have read the
// register without seeing it, NoTx if there is none.
func (r *register[V]) write(version Version, value V) TxIndex {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries.set(entry[V]{version: version, value: value})
	return r.readersAbove(version.Tx)
}

func (r *register[V]) readersAbove(tx TxIndex) TxIndex {
	if r.reader > tx {
		return r.reader
	}
	return NoTx
}

// MarkEstimate tells readers to expect that tx writes here again.
func (r *register[V]) MarkEstimate(tx TxIndex) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries.get(tx); e != nil {
		e.estimate = true
	}
}

// RemoveStale takes out what an incarnation before the given version left here. It
// returns the highest transaction that may have read it, NoTx if there is none.
func (r *register[V]) RemoveStale(version Version) TxIndex {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries.get(version.Tx); e == nil || e.version.Incarnation >= version.Incarnation {
		return NoTx
	}
	r.entries.remove(version.Tx)
	return r.readersAbove(version.Tx)
}

// Withdraw takes out whatever tx left here: it is dropped. It returns the highest
// transaction that may have read it, NoTx if there is none.
func (r *register[V]) Withdraw(tx TxIndex) TxIndex {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries.get(tx) == nil {
		return NoTx
	}
	r.entries.remove(tx)
	return r.readersAbove(tx)
}

// Pending returns the number of uncommitted entries.
func (r *register[V]) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries.live())
}

// Cell is a register that holds what its last writer set. The zero value holds the zero
// value of V. It must not be copied after first use.
type Cell[V comparable] struct {
	register[V]
	committed V // guarded by mu
}

// Init sets the committed value of a cell that nobody uses yet.
func (c *Cell[V]) Init(v V) { c.committed = v }

// Read returns the value that transaction tx sees: that of the highest writer below it,
// and who that is (NoTx: the committed state). If that writer was aborted the value is
// only an estimate and ok is false: tx should wait for it. A registered read makes later
// writes below tx report it.
func (c *Cell[V]) Read(tx TxIndex, register bool) (v V, writer TxIndex, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if register {
		c.readBy(tx)
	}
	if i := c.entries.find(tx); i > 0 {
		e := &c.entries.live()[i-1]
		return e.value, e.version.Tx, !e.estimate
	}
	return c.committed, NoTx, true
}

// Write records a speculative value. It returns the highest transaction that may have
// read the cell without seeing it, NoTx if there is none.
func (c *Cell[V]) Write(version Version, v V) TxIndex { return c.write(version, v) }

// Commit makes v, written by tx, the committed value. Everything below tx is committed.
func (c *Cell[V]) Commit(tx TxIndex, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.remove(tx)
	c.committed, c.written = v, tx+1
}

// Committed returns the committed value.
func (c *Cell[V]) Committed() V {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.committed
}

// Captured is a read of a cell: what was seen.
type Captured[V comparable] struct {
	Cell *Cell[V]
	Seen V
}

// Valid reports whether tx would see the same value again.
func (c Captured[V]) Valid(tx TxIndex) bool {
	v, _, ok := c.Cell.Read(tx, false)
	return ok && v == c.Seen
}
