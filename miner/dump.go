package miner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/trie"

	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
	settings "github.com/op-geth-parallel/op-geth-parallel/params"
)

// Dump is a block that sequential execution did not confirm, as it is written down, with
// all that is needed to build and execute it again without the node it comes from.
type Dump struct {
	Version      string            `json:"version"` // ours
	Reason       string            `json:"reason"`
	Incomplete   string            `json:"incomplete,omitempty"` // why what follows Sequential is not all there
	Number       uint64            `json:"number"`
	ParentHash   common.Hash       `json:"parentHash"`
	Header       *types.Header     `json:"header"` // as the parallel builder sealed it
	Transactions []hexutil.Bytes   `json:"transactions"`
	Withdrawals  types.Withdrawals `json:"withdrawals"`
	Parallel     *DumpedOutcome    `json:"parallel"`
	Sequential   *DumpedOutcome    `json:"sequential"` // null: the execution failed

	Differences []pstate.Difference `json:"differences"` // between the two outcomes
	Misread     []pstate.Difference `json:"misread"`     // of the parent state, by the parallel builder
	Runs        []DumpedRun         `json:"runs"`        // how the block was filled, in order

	Config      *params.ChainConfig    `json:"config"`
	Parent      *types.Header          `json:"parent"`
	BlockHashes map[uint64]common.Hash `json:"blockHashes"` // what BLOCKHASH can ask for
	Pre         types.GenesisAlloc     `json:"pre"`         // what any execution read of the parent state
}

// DumpedRun is one run of the parallel builder over the block.
type DumpedRun struct {
	Threads        int               `json:"threads"`
	Seed           *int64            `json:"seed"` // of a disturbed schedule; null: it was not disturbed
	Candidates     []DumpedCandidate `json:"candidates"`
	MaxDABlockSize *hexutil.Big      `json:"maxDABlockSize"`
	MaxSize        hexutil.Uint64    `json:"maxSize"`
	Committed      int               `json:"committed"`
	Executions     int               `json:"executions"`
	Reexecutions   int               `json:"reexecutions"`
	ByWorker       []int             `json:"byWorker"`
	Interrupt      int32             `json:"interrupt"`
	Fallback       string            `json:"fallback,omitempty"`
}

// DumpedCandidate is a transaction that was offered to the block, in the order in which
// the builder took them from the pool.
type DumpedCandidate struct {
	Tx          hexutil.Bytes                 `json:"tx"` // without sidecar
	DABytes     *hexutil.Big                  `json:"daBytes"`
	Conditional *types.TransactionConditional `json:"conditional,omitempty"`
}

// DumpedOutcome is what executing a dumped block has given.
type DumpedOutcome struct {
	GasUsed      hexutil.Uint64  `json:"gasUsed"`
	StateRoot    common.Hash     `json:"stateRoot"`
	ReceiptsRoot common.Hash     `json:"receiptsRoot"`
	Receipts     []hexutil.Bytes `json:"receipts"` // consensus encoding
}

func newDump(sealed *Sealed, again outcomeAgain, reason error) *Dump {
	block := sealed.Block
	d := &Dump{
		Version:      settings.Version,
		Reason:       reason.Error(),
		Number:       block.NumberU64(),
		ParentHash:   block.ParentHash(),
		Header:       block.Header(),
		Transactions: encodings(block.Transactions()),
		Withdrawals:  block.Withdrawals(),
		Parallel: &DumpedOutcome{
			GasUsed:      hexutil.Uint64(block.GasUsed()),
			StateRoot:    block.Root(),
			ReceiptsRoot: block.ReceiptHash(),
			Receipts:     encodings(sealed.Receipts),
		},
	}
	if again.result != nil {
		d.Sequential = &DumpedOutcome{
			GasUsed:      hexutil.Uint64(again.result.GasUsed),
			StateRoot:    again.root,
			ReceiptsRoot: types.DeriveSha(again.result.Receipts, trie.NewStackTrie(nil)),
			Receipts:     encodings(again.result.Receipts),
		}
	}
	return d
}

// encodings returns the consensus encoding of every item, empty for one that has none.
func encodings[T interface{ MarshalBinary() ([]byte, error) }](items []T) []hexutil.Bytes {
	out := make([]hexutil.Bytes, len(items))
	for i, item := range items {
		if raw, err := item.MarshalBinary(); err == nil {
			out[i] = raw
		}
	}
	return out
}

// write puts the dump into the directory, which it makes if need be, and returns the
// file's path. The file is there with its whole content or not at all.
func (d *Dump) write(dir string) (path string, err error) {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(dir, ".block-*")
	if err != nil {
		return "", err
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		path = filepath.Join(dir, fmt.Sprintf("block-%d-%x.json", d.Number, d.Header.Hash().Bytes()[:8]))
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(tmp.Name()))
	}
	return path, nil
}

// ReadDump reads a dumped block.
func ReadDump(path string) (*Dump, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := new(Dump)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if d.Header == nil || d.Parallel == nil {
		return nil, fmt.Errorf("%s: there is no header or no parallel outcome in it", path)
	}
	return d, nil
}

// Sealed returns the block as it was sealed, with its receipts, for Verify, but for where
// the parent's state is.
func (d *Dump) Sealed() (*Sealed, error) {
	s := new(Sealed)
	var txs types.Transactions
	for i, raw := range d.Transactions {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		txs = append(txs, tx)
	}
	for i, raw := range d.Parallel.Receipts {
		r := new(types.Receipt)
		if err := r.UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("receipt %d: %w", i, err)
		}
		s.Receipts = append(s.Receipts, r)
	}
	s.Block = types.NewBlockWithHeader(d.Header).WithBody(types.Body{Transactions: txs, Withdrawals: d.Withdrawals})
	return s, nil
}
