package miner

import (
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"
)

func someLists(n int) (txs types.Transactions, receipts types.Receipts) {
	for i := range n {
		txs = append(txs, types.NewTx(&types.LegacyTx{Nonce: uint64(i), GasPrice: big.NewInt(1), To: &common.Address{1}}))
		receipts = append(receipts, &types.Receipt{Status: 1, CumulativeGasUsed: uint64(i), TxHash: txs[i].Hash()})
	}
	return txs, receipts
}

func TestTheRootsOfTheListsAreTheirsWhateverWasOffered(t *testing.T) {
	txs, receipts := someLists(200)
	moreTxs, moreReceipts := someLists(201)
	swapped := slices.Clone(receipts)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	for name, offer := range map[string]func(a *assembly){
		"the same":     func(a *assembly) { a.offer(txs, receipts) },
		"nothing":      func(*assembly) {},
		"empty lists":  func(a *assembly) { a.offer(nil, nil) },
		"fewer":        func(a *assembly) { a.offer(txs[:199], receipts[:199]) },
		"more":         func(a *assembly) { a.offer(moreTxs, moreReceipts) },
		"another sort": func(a *assembly) { a.offer(txs, swapped) },
		"nil receipts": func(a *assembly) { a.offer(txs, make(types.Receipts, 200)) },
	} {
		a := newAssembly()
		offer(a)
		a.derive()
		for _, list := range []types.DerivableList{txs, receipts, types.Withdrawals{{Index: 1}}} {
			if got, want := a.DeriveSha(list), types.DeriveSha(list, trie.NewStackTrie(nil)); got != want {
				t.Errorf("%s: root %v of %T, want %v", name, got, list, want)
			}
		}
	}
}

func TestTheRootsThatWereDerivedAreUsed(t *testing.T) {
	txs, receipts := someLists(3)
	a := newAssembly()
	a.offer(txs, receipts)
	a.derive()
	if a.txRoot == nil || a.receiptRoot == nil {
		t.Fatal("nothing was derived")
	}
	a.txRoot, a.receiptRoot = &common.Hash{1}, &common.Hash{2}
	if got := a.DeriveSha(txs); got != *a.txRoot {
		t.Errorf("root %v of the transactions was derived again", got)
	}
	if got := a.DeriveSha(receipts); got != *a.receiptRoot {
		t.Errorf("root %v of the receipts was derived again", got)
	}
}
