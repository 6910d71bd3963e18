package miner

import (
	"math/rand/v2"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// Lesson is what a finished block has taught about further blocks on the same parent
// state: what it has read of that, and which transactions follow which. op-geth builds
// the block of a slot again and again, mostly of the same transactions.
//
// What was read of the parent state is true for good. What follows what is a hint: it
// delays an execution, and decides nothing. It is immutable.
type Lesson struct {
	root  common.Hash
	table *pstate.Table

	hashes []common.Hash      // of the transactions drawn, by index
	after  []blockstm.TxIndex // the highest one whose writes each of them has read, or blockstm.NoTx
}

// Learn returns the lesson of a finished block on a state made by PrepareState, nil if
// there is none.
func Learn(db *state.StateDB) *Lesson {
	t, ok := db.Database().(*trailedDatabase)
	if !ok {
		return nil
	}
	base, ok := db.Reader().(*pstate.Base)
	if !ok || base.Spoiled != nil {
		return nil
	}
	return &Lesson{root: t.root, table: base.Table(), hashes: t.course.hashes, after: t.course.after}
}

// Misled returns the lesson with hints that are wrong, for tests: any transaction is said
// to follow any other.
func (l *Lesson) Misled(seed int64) *Lesson {
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	wrong := *l
	wrong.after = make([]blockstm.TxIndex, len(l.after))
	for i := range wrong.after {
		wrong.after[i] = blockstm.TxIndex(r.IntN(len(l.after)+1) - 1)
	}
	return &wrong
}

// of returns what the lesson knows of the state of a root.
func (l *Lesson) of(root common.Hash) *pstate.Table {
	if l == nil || l.root != root {
		return nil
	}
	return l.table
}

// course is a lesson in the making. It belongs to the runs over one block; each method is
// called by one goroutine at a time.
type course struct {
	hashes []common.Hash      // drawn's
	after  []blockstm.TxIndex // committed's

	known map[common.Hash]int // index in lesson, by hash
	from  *Lesson             // an earlier lesson, may be nil
	again []blockstm.TxIndex  // index in this block, by index in the earlier lesson
}

// newCourse returns the course of a block on the state of a root.
func newCourse(root common.Hash, from *Lesson) *course {
	c := new(course)
	if from == nil || from.root != root {
		return c
	}
	c.from, c.known, c.again = from, make(map[common.Hash]int, len(from.hashes)), make([]blockstm.TxIndex, len(from.hashes))
	for i, hash := range from.hashes {
		c.known[hash], c.again[i] = i, blockstm.NoTx
	}
	return c
}

// drawn notes that the transaction with the given hash has the index tx, which is the one
// after the last. It returns the transaction that it followed in the earlier lesson,
// blockstm.NoTx if none is known or drawn.
func (c *course) drawn(tx blockstm.TxIndex, hash common.Hash) blockstm.TxIndex {
	c.hashes = append(c.hashes, hash)
	i, ok := c.known[hash]
	if !ok {
		return blockstm.NoTx
	}
	c.again[i] = tx
	if a := c.from.after[i]; a != blockstm.NoTx && int(a) < len(c.again) {
		return c.again[a]
	}
	return blockstm.NoTx
}

// committed notes what the next transaction, in the order of their indices, has followed.
func (c *course) committed(after blockstm.TxIndex) { c.after = append(c.after, after) }

// end notes that no more is committed of what was drawn.
func (c *course) end() {
	for len(c.after) < len(c.hashes) {
		c.committed(blockstm.NoTx)
	}
}
