package miner

import (
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// group is the candidates that call one contract. Transactions that touch one key of a
// contract mostly touch the same further ones, a pool's reserves or a token's counter, so
// it is the contract, and not a key, of which is learnt whether its callers depend on one
// another: then each is executed after the one before it, as long as there is enough else
// to do meanwhile. That is a hint: it delays an execution, and decides nothing.
type group struct {
	size  int              // candidates drawn; the drawer's
	drew  blockstm.TxIndex // the candidate drawn last; the drawer's
	last  blockstm.TxIndex // the candidate committed last; the ordered commit's
	bound atomic.Int32     // of boundWhole: the share, of late, of those that followed the one before
}

const (
	boundWhole  = 1 << 10
	boundMemory = 8 // candidates over which the share is averaged

	// boundLeast is the share from which on it is worth waiting: more is thrown away by
	// not doing so than gained.
	boundLeast = boundWhole / 2

	// groupMost is the share of all candidates, one in so many, up to which a group's wait:
	// where there is little else, workers that wait are idle, and two callers of which one
	// reads late what the other has written can run at once all the same.
	groupMost = 2
)

// groups are those of a run.
type groups struct {
	drew  int // candidates, of whichever group
	known map[common.Address]*group
	fresh slab[group]
}

// drawn gives the candidate with the index tx, which is the one after the last, its group.
// It returns the candidate that it should be executed after, blockstm.NoTx if there is
// none. A payment, which has no data, belongs to no group.
func (g *groups) drawn(tx blockstm.TxIndex, c *candidate) blockstm.TxIndex {
	g.drew++
	if c.tx == nil || c.tx.To() == nil || len(c.tx.Data()) == 0 {
		return blockstm.NoTx
	}
	if g.known == nil {
		g.known = make(map[common.Address]*group)
	}
	to := *c.tx.To()
	of := g.known[to]
	if of == nil {
		of = g.fresh.next()
		of.drew, of.last = blockstm.NoTx, blockstm.NoTx
		g.known[to] = of
	}
	c.group = of
	before := of.drew
	of.drew = tx
	of.size++
	if of.bound.Load() < boundLeast || groupMost*of.size > g.drew {
		return blockstm.NoTx
	}
	return before
}

// committed notes that tx, of the group, is final, and which transaction it has followed.
func (g *group) committed(tx, follows blockstm.TxIndex) {
	if g == nil {
		return
	}
	if g.last != blockstm.NoTx {
		now := int32(0)
		if follows >= g.last {
			now = boundWhole
		}
		bound := g.bound.Load()
		g.bound.Store(bound + (now-bound)/boundMemory)
	}
	g.last = tx
}
