package trie

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// encoder encodes and hashes nodes. One goroutine uses it.
type encoder struct {
	keccak  crypto.KeccakState
	sum     common.Hash
	content []byte // of the node being encoded
	blob    []byte
}

func newEncoder() encoder { return encoder{keccak: crypto.NewKeccakState()} }

// appendHeader appends the header of an RLP string (short 0x80) or list (0xc0) with that
// many bytes of content.
func appendHeader(b []byte, short byte, length int) []byte {
	switch {
	case length < 56:
		return append(b, short+byte(length))
	case length < 1<<8:
		return append(b, short+55+1, byte(length))
	default: // see maxNode
		return append(b, short+55+2, byte(length>>8), byte(length))
	}
}

func appendString(b, s []byte) []byte {
	if len(s) == 1 && s[0] < 0x80 {
		return append(b, s[0])
	}
	return append(appendHeader(b, 0x80, len(s)), s...)
}

// appendPath appends the compact form of the key's nibbles from a depth to an end, as an
// RLP string.
func appendPath(b []byte, key *common.Hash, from, end int) []byte {
	var compact [1 + common.HashLength]byte
	if end == keyNibbles {
		compact[0] = 0x20
	}
	if (end-from)%2 == 1 {
		compact[0] |= 0x10 | nibble(key, from)
		from++
	}
	n := 1
	for ; from < end; from += 2 {
		compact[n] = nibble(key, from)<<4 | nibble(key, from+1)
		n++
	}
	return appendString(b, compact[:n])
}

// list returns the encoding of the list with the present content, valid until the next
// call.
func (e *encoder) list() []byte {
	e.blob = append(appendHeader(e.blob[:0], 0xc0, len(e.content)), e.content...)
	return e.blob
}

// encode returns the encoding of a leaf or extension that begins at a depth, valid until
// the next call.
func (e *encoder) encode(n *node, depth int) []byte {
	if n.kind == leaf {
		e.content = appendPath(e.content[:0], &n.key, depth, keyNibbles)
		e.content = appendString(e.content, n.value)
	} else {
		e.content = appendPath(e.content[:0], &n.key, depth, n.end)
		e.content = append(e.content, n.ref.bytes()...)
	}
	return e.list()
}

func (e *encoder) hash(blob []byte) common.Hash {
	e.keccak.Reset()
	e.keccak.Write(blob)
	e.keccak.Read(e.sum[:])
	return e.sum
}

// refer returns the reference to a node with this encoding.
func (e *encoder) refer(blob []byte) (r ref) {
	if len(blob) < common.HashLength {
		r.set(blob)
		return r
	}
	return hashRef(e.hash(blob))
}

// reference returns what stands for a node in a parent, at whose child's depth it begins.
func (e *encoder) reference(n *node, depth int) ref {
	switch n.kind {
	case none:
		return ref{}
	case branch:
		return n.ref
	default:
		return e.refer(e.encode(n, depth))
	}
}

// root returns the hash of a trie whose topmost node is n. A root is hashed however short
// its encoding is.
func (e *encoder) root(n *node) common.Hash {
	r := e.reference(n, 0)
	if r.isHash() {
		return r.hash()
	}
	return e.hash(r.bytes())
}
