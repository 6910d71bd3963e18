package blockstm

import "testing"

// cellModel is a Cell as a plain list.
type cellModel struct {
	committed int
	entries   map[TxIndex]entry[int]
	reader    TxIndex // the highest transaction that registered a read
}

// read returns what tx is to be shown.
func (m *cellModel) read(tx TxIndex) (value int, writer TxIndex, ok bool) {
	value, writer, ok = m.committed, NoTx, true
	for at, e := range m.entries {
		if at < tx && at > writer {
			value, writer, ok = e.value, at, !e.estimate
		}
	}
	return value, writer, ok
}

// readers returns what a change by tx is to report.
func (m *cellModel) readers(tx TxIndex) TxIndex {
	if m.reader > tx {
		return m.reader
	}
	return NoTx
}

// FuzzCell compares a Cell with a plain list of entries: writes and rewrites by later
// incarnations, estimates, what is stale and what is withdrawn, and commits in order.
func FuzzCell(f *testing.F) {
	f.Add([]byte{0x00, 0x11, 0x39, 0x22, 0x05, 0x13, 0x38, 0x1a, 0x28, 0x3f})
	f.Add([]byte{0x01, 0x02, 0x03, 0x28, 0x28, 0x28, 0x07, 0x04, 0x05, 0x3f, 0x28, 0x3a, 0x0a})
	f.Fuzz(func(t *testing.T, data []byte) {
		var (
			cell Cell[int]
			head TxIndex
			m    = cellModel{entries: make(map[TxIndex]entry[int])}
		)
		cell.Init(-1)
		m.committed = -1
		for i, b := range data {
			tx := head + TxIndex(b&7)
			version := Version{Tx: tx, Incarnation: Incarnation(i)}
			got, want := NoTx, NoTx
			switch b >> 3 & 7 {
			case 0, 1:
				value := i
				if b&0x40 != 0 {
					value = int(b & 3)
				}
				got, want = cell.Write(version, value), m.readers(tx)
				m.entries[tx] = entry[int]{version: version, value: value}
			case 2: // the incarnation, or one as old as the entry, did not write here
				if b&0x40 != 0 {
					version.Incarnation = m.entries[tx].version.Incarnation
				}
				if e, there := m.entries[tx]; there && e.version.Incarnation < version.Incarnation {
					want = m.readers(tx)
					delete(m.entries, tx)
				}
				got = cell.RemoveStale(version)
			case 3:
				if _, there := m.entries[tx]; there {
					want = m.readers(tx)
					delete(m.entries, tx)
				}
				got = cell.Withdraw(tx)
			case 4:
				cell.MarkEstimate(tx)
				if e, there := m.entries[tx]; there {
					e.estimate = true
					m.entries[tx] = e
				}
			case 5: // the head commits what it wrote, if it did
				if e, there := m.entries[head]; there {
					cell.Commit(head, e.value)
					m.committed = e.value
					delete(m.entries, head)
				}
				head++
			default:
				register := b&0x40 != 0
				value, writer, ok := cell.Read(tx, register)
				if register {
					m.reader = max(m.reader, tx)
				}
				if v, w, o := m.read(tx); value != v || writer != w || ok != o {
					t.Fatalf("step %d: %d reads %d of %d, %t; want %d of %d, %t", i, tx, value, writer, ok, v, w, o)
				}
				for _, seen := range []int{value, value + 1} {
					if valid := (Captured[int]{Cell: &cell, Seen: seen}).Valid(tx); valid != (ok && seen == value) {
						t.Fatalf("step %d: having read %d is valid: %t, though %d would read %d, %t", i, seen, valid, tx, value, ok)
					}
				}
			}
			if got != want {
				t.Fatalf("step %d (%#x): reports readers up to %d, want %d", i, b, got, want)
			}
			if cell.Committed() != m.committed || cell.Pending() != len(m.entries) {
				t.Fatalf("step %d: committed %d with %d entries, want %d with %d", i, cell.Committed(), cell.Pending(), m.committed, len(m.entries))
			}
		}
	})
}
