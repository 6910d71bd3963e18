package state

import "slices"

// chunked is a list that grows without moving what is in it, nor by more than it needs.
type chunked[T any] struct {
	chunks [][]T // all full but the last, once there are two
}

const (
	firstChunk = 8
	chunkSize  = 256
)

// add appends a zero value and returns where it is.
func (c *chunked[T]) add() *T {
	n := len(c.chunks)
	switch {
	case n == 0:
		c.chunks = append(c.chunks, make([]T, 0, firstChunk))
		n = 1
	case len(c.chunks[n-1]) == chunkSize:
		c.chunks = append(c.chunks, make([]T, 0, chunkSize))
		n++
	}
	last := &c.chunks[n-1]
	var zero T
	*last = append(*last, zero) // only the first chunk grows
	return &(*last)[len(*last)-1]
}

// len returns the number of values.
func (c *chunked[T]) len() int {
	n := len(c.chunks)
	if n == 0 {
		return 0
	}
	return (n-1)*chunkSize + len(c.chunks[n-1])
}

// at returns where the value i is.
func (c *chunked[T]) at(i int) *T { return &c.chunks[i/chunkSize][i%chunkSize] }

// clone returns a list of the same values, independent of c.
func (c *chunked[T]) clone() chunked[T] {
	out := chunked[T]{chunks: make([][]T, len(c.chunks))}
	for i := range c.chunks {
		out.chunks[i] = slices.Clone(c.chunks[i])
	}
	return out
}
