package miner

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/trie"
	"golang.org/x/sync/errgroup"
)

// assembly derives the roots of a block's transactions and receipts while the state is
// hashed, which op-geth does one after the other. It is the types.ListHasher that a
// finished block is assembled with: if op-geth asks for the root of the very list that it
// has derived one of, that is the answer, and otherwise it derives it then.
//
// One goroutine uses it at a time.
type assembly struct {
	types.ListHasher

	txs         types.Transactions
	receipts    types.Receipts
	txRoot      *common.Hash // of txs; nil: not derived
	receiptRoot *common.Hash // of receipts; nil: not derived
}

func newAssembly() *assembly { return &assembly{ListHasher: trie.NewStackTrie(nil)} }

// offer tells what will probably be in the block.
func (a *assembly) offer(txs types.Transactions, receipts types.Receipts) {
	a.txs, a.receipts, a.txRoot, a.receiptRoot = txs, receipts, nil, nil
}

// derive derives the roots of what was offered.
func (a *assembly) derive() {
	txs, receipts := a.txs, a.receipts
	if len(txs) == 0 || len(receipts) == 0 {
		return
	}
	var group errgroup.Group
	group.Go(func() error { a.txRoot = derived(txs); return nil })
	a.receiptRoot = derived(receipts)
	_ = group.Wait()
}

// derived returns the root of a list, nil if it cannot be derived: op-geth will find out
// by itself.
func derived(list types.DerivableList) (root *common.Hash) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("Deriving the root of a list panicked", "err", r)
			root = nil
		}
	}()
	hash := types.DeriveSha(list, trie.NewStackTrie(nil))
	return &hash
}

// DeriveSha returns the root of a list. The patch of package core/types has the function
// of this name call it.
func (a *assembly) DeriveSha(list types.DerivableList) common.Hash {
	switch list := list.(type) {
	case types.Transactions:
		if a.txRoot != nil && slices.Equal(list, a.txs) {
			return *a.txRoot
		}
	case types.Receipts:
		if a.receiptRoot != nil && slices.Equal(list, a.receipts) {
			return *a.receiptRoot
		}
	}
	return types.DeriveSha(list, a.ListHasher)
}
