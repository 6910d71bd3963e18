package state

import "sync"

// patientMutex is a sync.RWMutex for sections of some tens of nanoseconds, such as a look
// at a map. Who finds it taken looks again before parking: a parked goroutine is woken and
// has a CPU some tens of microseconds later, several transactions, and if it was at the
// head of the line, or commits, all others wait for it meanwhile.
type patientMutex struct{ sync.RWMutex }

// patience is how often it is tried before parking: some ten microseconds, many times what
// holding the lock takes unless its holder has lost the CPU.
const patience = 2000

// Lock locks for writing.
func (m *patientMutex) Lock() {
	for range patience {
		if m.TryLock() {
			return
		}
	}
	m.RWMutex.Lock()
}

// RLock locks for reading.
func (m *patientMutex) RLock() {
	for range patience {
		if m.TryRLock() {
			return
		}
	}
	m.RWMutex.RLock()
}
