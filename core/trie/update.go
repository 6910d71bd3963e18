package trie

import (
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/triedb/database"
)

// Change is what becomes of one key.
type Change struct {
	Key   common.Hash
	Value []byte // what the leaf is to hold; empty: the key is removed

	order int // tells changes of the same key apart
}

// updater takes sorted changes down through a part of a trie. One goroutine uses it.
type updater struct {
	encoder
	reader database.NodeReader
	owner  common.Hash
	path   common.Hash      // the nibbles that lead to the node at work
	loose  [keyNibbles]byte // the same, one nibble a byte, as the reader takes it
	forks  int              // branches above this depth deal with their children in parallel
}

func newUpdater(reader database.NodeReader, owner common.Hash) *updater {
	return &updater{encoder: newEncoder(), reader: reader, owner: owner}
}

// descend notes that the node at work is the child n of one at a depth.
func (u *updater) descend(depth int, n byte) {
	setNibble(&u.path, depth, n)
	u.loose[depth] = n
}

// resolve takes apart the node that a reference, of something, stands for.
func (u *updater) resolve(it *items, at *ref, depth int) error {
	var blob []byte
	if at.isHash() {
		var err error
		if blob, err = u.reader.Node(u.owner, u.loose[:depth:depth], at.hash()); err != nil {
			return err
		}
	} else {
		blob = slices.Clone(at.bytes()) // a leaf's value stays in use
	}
	if len(blob) == 0 {
		return fmt.Errorf("%w: no node of %v at path %x", ErrMalformed, u.owner, u.loose[:depth])
	}
	if err := it.parse(blob); err != nil {
		return fmt.Errorf("%w (of %v at path %x)", err, u.owner, u.loose[:depth])
	}
	return nil
}

// group returns how many of the changes, of which there are some, go the way of the first
// one at a depth.
func group(changes []Change, depth int) (byte, int) {
	first := nibble(&changes[0].Key, depth)
	if nibble(&changes[len(changes)-1].Key, depth) == first {
		return first, len(changes)
	}
	n := sort.Search(len(changes), func(i int) bool { return nibble(&changes[i].Key, depth) > first })
	return first, n
}

// update returns what becomes, by the changes, of the node that a reference at a depth
// stands for.
func (u *updater) update(at *ref, depth int, changes []Change) (node, error) {
	if at.length == 0 {
		return u.build(depth, changes), nil
	}
	var it items
	if err := u.resolve(&it, at, depth); err != nil {
		return node{}, err
	}
	if it.count == branchItems {
		return u.updateBranch(&it, depth, changes)
	}
	key, end, value, child, err := it.short(depth, &u.path)
	if err != nil {
		return node{}, err
	}
	if end < keyNibbles {
		return u.updateExtension(&key, end, &child, depth, changes)
	}
	return u.updateLeaf(key, value, depth, changes), nil
}

// updateLeaf returns what becomes of a leaf: it is one more key, unless it is among those
// that change.
func (u *updater) updateLeaf(key common.Hash, value []byte, depth int, changes []Change) node {
	i := sort.Search(len(changes), func(i int) bool { return changes[i].Key.Cmp(key) >= 0 })
	if i < len(changes) && changes[i].Key == key {
		return u.build(depth, changes)
	}
	all := make([]Change, 0, len(changes)+1)
	all = append(append(append(all, changes[:i]...), Change{Key: key, Value: value}), changes[i:]...)
	return u.build(depth, all)
}

// updateExtension returns what becomes of an extension that begins at a depth and whose
// child, at end, is a branch. It is taken nibble by nibble, as a chain of branches that
// have a single child each.
func (u *updater) updateExtension(key *common.Hash, end int, child *ref, depth int, changes []Change) (node, error) {
	if len(changes) == 0 {
		if depth == end {
			return node{kind: branch, ref: *child}, nil
		}
		return node{kind: extension, key: *key, end: end, ref: *child}, nil
	}
	if depth == end {
		return u.update(child, depth, changes)
	}
	var (
		children family
		along    = nibble(key, depth)
		own      []Change
	)
	for len(changes) > 0 {
		n, count := group(changes, depth)
		if n == along {
			own = changes[:count]
		} else {
			u.descend(depth, n)
			kid := u.build(depth+1, changes[:count])
			u.adopt(&children, n, &kid, depth)
		}
		changes = changes[count:]
	}
	u.descend(depth, along)
	kid, err := u.updateExtension(key, end, child, depth+1, own)
	if err != nil {
		return node{}, err
	}
	u.adopt(&children, along, &kid, depth)
	return u.join(&children, depth), nil
}

// updateBranch returns what becomes of a branch.
func (u *updater) updateBranch(it *items, depth int, changes []Change) (node, error) {
	var children family
	for i := range children.refs {
		if err := it.child(i, &children.refs[i]); err != nil {
			return node{}, err
		}
		if children.refs[i].length > 0 {
			children.present |= 1 << i
		}
	}
	if depth < u.forks && len(changes) >= forkMin {
		if err := u.updateInParallel(&children, depth, changes); err != nil {
			return node{}, err
		}
		return u.settle(&children, depth)
	}
	for len(changes) > 0 {
		n, count := group(changes, depth)
		u.descend(depth, n)
		kid, err := u.update(&children.refs[n], depth+1, changes[:count])
		if err != nil {
			return node{}, err
		}
		u.adopt(&children, n, &kid, depth)
		changes = changes[count:]
	}
	return u.settle(&children, depth)
}

// settle makes a node of a stored branch's children. A single one that nobody has looked
// at yet is resolved, since what becomes of it depends on its kind.
func (u *updater) settle(children *family, depth int) (node, error) {
	if bits.OnesCount16(children.present) != 1 || children.lone.kind != none {
		return u.join(children, depth), nil
	}
	n := byte(bits.TrailingZeros16(children.present))
	u.descend(depth, n)
	only := &children.refs[n]
	var it items
	if err := u.resolve(&it, only, depth+1); err != nil {
		return node{}, err
	}
	if it.count == branchItems {
		children.lone = node{kind: branch, ref: *only}
		return u.join(children, depth), nil
	}
	key, end, value, child, err := it.short(depth+1, &u.path)
	if err != nil {
		return node{}, err
	}
	if end == keyNibbles {
		return node{kind: leaf, key: key, value: value}, nil
	}
	return node{kind: extension, key: key, end: end, ref: child}, nil
}

// build returns the trie of the changes alone, from a depth on.
func (u *updater) build(depth int, changes []Change) node {
	for len(changes) > 0 && len(changes[0].Value) == 0 {
		changes = changes[1:]
	}
	if len(changes) == 0 {
		return node{}
	}
	if len(changes) == 1 {
		return node{kind: leaf, key: changes[0].Key, value: changes[0].Value}
	}
	var children family
	for len(changes) > 0 {
		n, count := group(changes, depth)
		u.descend(depth, n)
		kid := u.build(depth+1, changes[:count])
		u.adopt(&children, n, &kid, depth)
		changes = changes[count:]
	}
	return u.join(&children, depth)
}

// family is the children of a node at work.
type family struct {
	refs    [16]ref
	present uint16 // which of them there are
	lone    node   // the one looked at last of those that remain. If there is only one child, it is that, or nobody has looked at it
}

// adopt makes kid the child n of a node at a depth.
func (u *updater) adopt(f *family, n byte, kid *node, depth int) {
	f.refs[n] = u.reference(kid, depth+1)
	if kid.kind == none {
		f.present &^= 1 << n
		return
	}
	f.present |= 1 << n
	f.lone = *kid
}

// join makes a node at a depth of its children: nothing, the only one, or a branch.
func (u *updater) join(f *family, depth int) node {
	switch bits.OnesCount16(f.present) {
	case 0:
		return node{}
	case 1:
		if f.lone.kind != branch {
			return f.lone
		}
		n := node{kind: extension, key: u.path, end: depth + 1, ref: f.lone.ref}
		setNibble(&n.key, depth, byte(bits.TrailingZeros16(f.present)))
		return n
	}
	e := &u.encoder
	e.content = e.content[:0]
	for i := range f.refs {
		if f.refs[i].length == 0 {
			e.content = append(e.content, 0x80)
		} else {
			e.content = append(e.content, f.refs[i].bytes()...)
		}
	}
	e.content = append(e.content, 0x80) // no value
	return node{kind: branch, ref: u.refer(e.list())}
}
