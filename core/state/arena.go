package state

// arena hands out zeroed values with stable addresses and takes them all back at once,
// so that a transaction's bookkeeping costs no garbage.
type arena[T any] struct {
	chunks []*[arenaChunk]T
	inUse  []*T
}

const arenaChunk = 16

// next returns a zeroed value.
func (a *arena[T]) next() *T {
	n := len(a.inUse)
	if n/arenaChunk == len(a.chunks) {
		a.chunks = append(a.chunks, new([arenaChunk]T))
	}
	p := &a.chunks[n/arenaChunk][n%arenaChunk]
	a.inUse = append(a.inUse, p)
	return p
}

// used returns the values handed out, in order.
func (a *arena[T]) used() []*T { return a.inUse }

// reset takes all values back. Of a huge transaction's memory it keeps a part only.
func (a *arena[T]) reset() {
	var zero T
	for _, p := range a.inUse {
		*p = zero
	}
	a.inUse = a.inUse[:0]
	if len(a.chunks) > maxKept {
		clear(a.chunks[maxKept:])
		a.chunks = a.chunks[:maxKept]
	}
}
