package miner

import (
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// CallHints is what a run of its own learns of calls that follow one another, for a
// simulation of one: see group.
type CallHints struct {
	groups groups
	txs    []*types.Transaction
	of     []*group // by index; nil: not drawn, or in none
}

// NewCallHints returns the hints of a run that will draw these transactions.
func NewCallHints(txs []*types.Transaction) *CallHints {
	return &CallHints{txs: txs, of: make([]*group, len(txs))}
}

// Drawn takes note that the transaction with the index tx is drawn, which is the one after
// the last, and returns which one it is best executed after, blockstm.NoTx if there is none.
func (h *CallHints) Drawn(tx blockstm.TxIndex) blockstm.TxIndex {
	c := candidate{tx: h.txs[tx]}
	after := h.groups.drawn(tx, &c)
	h.of[tx] = c.group
	return after
}

// Committed takes note that tx is final, and of which one it followed. It may run beside
// Drawn, for another transaction.
func (h *CallHints) Committed(tx, follows blockstm.TxIndex) { h.of[tx].committed(tx, follows) }
