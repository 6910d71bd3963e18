package trie

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"
)

// ErrMalformed is returned (wrapped, with the place) for a stored node that is not what a
// trie of 32-byte keys can have there.
var ErrMalformed = errors.New("malformed trie node")

// keyNibbles is the depth at which every key has ended.
const keyNibbles = 2 * common.HashLength

// nibble returns a key's nibble at a depth.
func nibble(key *common.Hash, depth int) byte {
	if depth%2 == 0 {
		return key[depth/2] >> 4
	}
	return key[depth/2] & 0xf
}

// setNibble changes a key's nibble at a depth.
func setNibble(key *common.Hash, depth int, n byte) {
	if depth%2 == 0 {
		key[depth/2] = key[depth/2]&0x0f | n<<4
	} else {
		key[depth/2] = key[depth/2]&0xf0 | n
	}
}

// ref is what stands in a parent for a child: nothing, a hash, or the child itself. It is
// the RLP item, of which nothing is no bytes instead of 0x80.
type ref struct {
	length uint8
	item   [1 + common.HashLength]byte
}

const hashItem = 0x80 + common.HashLength // the first byte of a hash's RLP item

func (r *ref) isHash() bool  { return r.length == 1+common.HashLength }
func (r *ref) bytes() []byte { return r.item[:r.length] }

// hash returns the hash of a reference that is one.
func (r *ref) hash() common.Hash { return common.Hash(r.item[1:]) }

func (r *ref) set(item []byte) { r.length = uint8(copy(r.item[:], item)) }

// hashRef returns the reference to the node with this hash.
func hashRef(hash common.Hash) (r ref) {
	r.length, r.item[0] = 1+common.HashLength, hashItem
	copy(r.item[1:], hash[:])
	return r
}

// kind is what a node is.
type kind uint8

const (
	none      kind = iota // there is no node
	leaf                  // the rest of a key, and its value
	extension             // a run of nibbles, and a branch below it
	branch                // up to 16 children
)

// node is a node on its way up. It does not say where it begins: whichever parent takes
// it in knows its own depth, and a node that replaces its parent gets longer for nothing.
type node struct {
	kind  kind
	key   common.Hash // of a leaf. Of an extension: the nibbles that lead to its child
	end   int         // of an extension: the depth of its child
	value []byte      // of a leaf
	ref   ref         // of a branch: its own. Of an extension: its child's
}

// split takes the first item off an RLP list's content, which holds items of trie nodes.
func split(content []byte) (item, rest []byte, err error) {
	_, _, rest, err = rlp.Split(content)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return content[:len(content)-len(rest)], rest, nil
}

// items is a stored node taken apart: 2 items, or 17.
type items struct {
	content []byte
	offsets [branchItems + 1]uint16 // of the items in content, and its end
	count   int
}

const (
	shortItems  = 2
	branchItems = 17
	maxNode     = 1 << 16 // bytes; no node comes near
)

// parse takes a stored node apart.
func (it *items) parse(blob []byte) error {
	content, rest, err := rlp.SplitList(blob)
	if err != nil || len(rest) > 0 || len(content) >= maxNode {
		return fmt.Errorf("%w: no list: %x", ErrMalformed, blob)
	}
	it.content, it.count = content, 0
	for pos := 0; pos < len(content); it.count++ {
		if it.count == branchItems {
			return fmt.Errorf("%w: too many items: %x", ErrMalformed, blob)
		}
		it.offsets[it.count] = uint16(pos)
		switch first := content[pos]; {
		case first <= 0x80: // a byte, or nothing
			pos++
		case first == hashItem:
			pos += 1 + common.HashLength
		default:
			item, _, err := split(content[pos:])
			if err != nil {
				return err
			}
			pos += len(item)
		}
		if pos > len(content) {
			return fmt.Errorf("%w: cut short: %x", ErrMalformed, blob)
		}
	}
	it.offsets[it.count] = uint16(len(content))
	if it.count != shortItems && it.count != branchItems {
		return fmt.Errorf("%w: %d items: %x", ErrMalformed, it.count, blob)
	}
	if it.count == branchItems && it.item(16)[0] != 0x80 {
		return fmt.Errorf("%w: branch with a value: %x", ErrMalformed, blob)
	}
	return nil
}

func (it *items) item(i int) []byte { return it.content[it.offsets[i]:it.offsets[i+1]] }

// child stores the reference in an item.
func (it *items) child(i int, r *ref) error {
	item := it.item(i)
	switch {
	case len(item) == 1 && item[0] == 0x80:
		r.length = 0
	case len(item) == 1+common.HashLength && item[0] == hashItem, item[0] >= 0xc0 && len(item) < common.HashLength:
		r.set(item)
	default:
		return fmt.Errorf("%w: no reference: %x", ErrMalformed, item)
	}
	return nil
}

// short reads a node of two items that begins at a depth, under the given nibbles. For a
// leaf, end is keyNibbles and value what it holds; for an extension, end is the depth of
// child.
func (it *items) short(depth int, path *common.Hash) (key common.Hash, end int, value []byte, child ref, err error) {
	compact, _, err := rlp.SplitString(it.item(0))
	if err != nil || len(compact) == 0 || compact[0] >= 0x40 {
		return key, 0, nil, child, fmt.Errorf("%w: path %x", ErrMalformed, it.item(0))
	}
	key, end = *path, depth
	nibbles := 2 * (len(compact) - 1)
	odd := compact[0]&0x10 != 0
	if odd {
		nibbles++
	}
	if depth+nibbles > keyNibbles {
		return key, 0, nil, child, fmt.Errorf("%w: path %x at depth %d", ErrMalformed, compact, depth)
	}
	if odd {
		setNibble(&key, end, compact[0]&0xf)
		end++
	}
	for _, b := range compact[1:] {
		setNibble(&key, end, b>>4)
		setNibble(&key, end+1, b&0xf)
		end += 2
	}
	if isLeaf := compact[0]&0x20 != 0; isLeaf != (end == keyNibbles) || end == depth && !isLeaf {
		return key, 0, nil, child, fmt.Errorf("%w: path %x at depth %d", ErrMalformed, compact, depth)
	}
	if end < keyNibbles {
		if err := it.child(1, &child); err == nil && child.length == 0 {
			return key, 0, nil, child, fmt.Errorf("%w: extension to nothing", ErrMalformed)
		}
		return key, end, nil, child, err
	}
	value, _, err = rlp.SplitString(it.item(1))
	if err != nil || len(value) == 0 {
		return key, 0, nil, child, fmt.Errorf("%w: value %x", ErrMalformed, it.item(1))
	}
	return key, end, value, child, nil
}
