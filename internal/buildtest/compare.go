package buildtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
)

// Diff returns how the block got differs from the block want, nil if it does not: the
// first differing transaction, the first differing receipt, and a differing account.
func Diff(s *Scenario, want, got *Built) error {
	if want.Block.Hash() == got.Block.Hash() {
		// The hash covers all but what receipts derive from the block and their logs' places.
		return diffReceipts(want, got, true)
	}
	if err := diffTxs(want.Block.Transactions(), got.Block.Transactions()); err != nil {
		return err
	}
	if err := diffReceipts(want, got, false); err != nil {
		return err
	}
	if want.Block.Root() != got.Block.Root() {
		return diffState(s, want, got)
	}
	w, g := *want.Block.Header(), *got.Block.Header()
	return fmt.Errorf("headers differ:\n  want %+v\n  got  %+v", w, g)
}

func diffTxs(want, got types.Transactions) error {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			return fmt.Errorf("transaction %d: %s is too many, block ends before it", i, describe(got[i]))
		case i >= len(got):
			return fmt.Errorf("transaction %d: missing, want %s", i, describe(want[i]))
		case want[i].Hash() != got[i].Hash():
			return fmt.Errorf("transaction %d: got %s, want %s", i, describe(got[i]), describe(want[i]))
		}
	}
	return nil
}

func describe(tx *types.Transaction) string {
	from, _ := types.Sender(types.LatestSignerForChainID(tx.ChainId()), tx)
	return fmt.Sprintf("%s (from %s, nonce %d, to %v, gas %d)", tx.Hash(), from, tx.Nonce(), tx.To(), tx.Gas())
}

// diffReceipts compares the consensus fields or, if the blocks are known to be the same,
// what only the receipts themselves tell.
func diffReceipts(want, got *Built, derived bool) error {
	for i := range min(len(want.Receipts), len(got.Receipts)) {
		w, g := want.Receipts[i], got.Receipts[i]
		wb, err := w.MarshalBinary()
		if err != nil {
			return err
		}
		gb, err := g.MarshalBinary()
		if err != nil {
			return err
		}
		same := bytes.Equal(wb, gb)
		if derived && same {
			same = w.TxHash == g.TxHash && w.GasUsed == g.GasUsed && w.ContractAddress == g.ContractAddress &&
				w.TransactionIndex == g.TransactionIndex && w.BlobGasUsed == g.BlobGasUsed && w.Type == g.Type &&
				w.Bloom == g.Bloom && fmt.Sprint(w.BlobGasPrice, w.BlockNumber) == fmt.Sprint(g.BlobGasPrice, g.BlockNumber)
			for j := range w.Logs {
				a, b := w.Logs[j], g.Logs[j]
				same = same && a.TxHash == b.TxHash && a.TxIndex == b.TxIndex && a.Index == b.Index &&
					a.BlockNumber == b.BlockNumber && a.BlockTimestamp == b.BlockTimestamp
			}
		}
		if !same {
			return fmt.Errorf("receipt %d, of %s:\n  want %s\n  got  %s", i, w.TxHash, describeReceipt(w), describeReceipt(g))
		}
	}
	if len(want.Receipts) != len(got.Receipts) {
		return fmt.Errorf("%d receipts, want %d", len(got.Receipts), len(want.Receipts))
	}
	return nil
}

func describeReceipt(r *types.Receipt) string {
	s := fmt.Sprintf("status %d, gas %d, cumulative %d, index %d, contract %s, %d logs", r.Status, r.GasUsed, r.CumulativeGasUsed,
		r.TransactionIndex, r.ContractAddress, len(r.Logs))
	for _, l := range r.Logs {
		s += fmt.Sprintf("\n       log %d of tx %d at %s: topics %x data %x", l.Index, l.TxIndex, l.Address, l.Topics, l.Data)
	}
	return s
}

// diffState looks for the difference in the accounts that the block may have touched.
func diffState(s *Scenario, want, got *Built) error {
	touched := map[common.Address]bool{s.Coinbase: true}
	for addr := range s.Alloc {
		touched[addr] = true
	}
	for _, c := range s.Candidates {
		touched[c.From] = true
		if to := c.Tx.To(); to != nil {
			touched[*to] = true
		}
	}
	for _, r := range want.Receipts {
		touched[r.ContractAddress] = true
		for _, l := range r.Logs {
			touched[l.Address] = true
		}
	}
	for _, vault := range feeVaults() {
		touched[vault] = true
	}
	for _, addr := range slices.SortedFunc(maps.Keys(touched), common.Address.Cmp) {
		if w, g := describeAccount(want.State, addr), describeAccount(got.State, addr); w != g {
			return fmt.Errorf("account %s:\n  want %s\n  got  %s", addr, w, g)
		}
	}
	return fmt.Errorf("state root: got %s, want %s, in an account that neither pool nor genesis names", got.Block.Root(), want.Block.Root())
}

func describeAccount(db *state.StateDB, addr common.Address) string {
	if !db.Exist(addr) {
		return "absent"
	}
	return fmt.Sprintf("balance %s, nonce %d, code %s, storage %s", db.GetBalance(addr), db.GetNonce(addr), db.GetCodeHash(addr), db.GetStorageRoot(addr))
}
