package miner

import (
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// account is one sender's part of one of the two lists.
type account struct {
	address common.Address
	last    blockstm.TxIndex // its candidate drawn last
	dropped atomic.Bool      // its further candidates are left out; set by the ordered commit
}

// candidate is a transaction drawn from the lists.
type candidate struct {
	lazy    *txpool.LazyTransaction
	tx      *types.Transaction // nil: evicted from the pool
	account *account           // nil if tx is
	group   *group             // nil: it belongs to none
	blob    bool               // from the list of blob transactions
	daSize  uint64             // estimated DA size, 0 if none is given

	message *core.Message // made by the first worker that executes it
	invalid error         // why there can be no message
}

// stream draws candidates from the two lists in the order in which upstream's loop would
// take them if every one succeeded. It is used by one goroutine at a time, except for
// the dropped marks of its accounts.
type stream struct {
	plain, blob TxSource
	signer      types.Signer
	accounts    map[accountKey]*account

	freshAccounts   slab[account]
	freshCandidates slab[candidate]
}

// slab allocates many values at a time.
type slab[T any] struct {
	free []T
}

const slabSize = 32

// next returns a zero value of its own.
func (s *slab[T]) next() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabSize)
	}
	p := &s.free[0]
	s.free = s.free[1:]
	return p
}

// accountKey names a sender in one of the lists. A drop concerns one list only.
type accountKey struct {
	address common.Address
	blob    bool
}

func newStream(signer types.Signer, plain, blob TxSource) *stream {
	return &stream{plain: plain, blob: blob, signer: signer, accounts: make(map[accountKey]*account)}
}

// next draws the candidate with the index tx, or nil if both lists are empty. It returns
// the candidate of the same account drawn before it too, blockstm.NoTx if there is none.
func (s *stream) next(tx blockstm.TxIndex) (*candidate, blockstm.TxIndex) {
	for {
		source, lazy, blob := s.best()
		if lazy == nil {
			return nil, blockstm.NoTx
		}
		c := s.freshCandidates.next()
		c.lazy, c.tx, c.blob = lazy, lazy.Resolve(), blob
		if lazy.DABytes != nil {
			c.daSize = lazy.DABytes.Uint64()
		}
		if c.tx == nil {
			source.Pop()
			return c, blockstm.NoTx
		}
		c.account = s.account(c.tx, blob)
		if c.account.dropped.Load() {
			source.Pop()
			continue
		}
		source.Shift()
		before := c.account.last
		c.account.last = tx
		return c, before
	}
}

// best returns the better of the lists' best transactions: the blob one only if it pays
// strictly more.
func (s *stream) best() (source TxSource, lazy *txpool.LazyTransaction, blob bool) {
	plain, plainTip := s.plain.Peek()
	blobTx, blobTip := s.blob.Peek()
	if blobTx != nil && (plain == nil || plainTip.Lt(blobTip)) {
		return s.blob, blobTx, true
	}
	return s.plain, plain, false
}

func (s *stream) account(tx *types.Transaction, blob bool) *account {
	from, _ := types.Sender(s.signer, tx) // the pool has checked it
	key := accountKey{from, blob}
	a := s.accounts[key]
	if a == nil {
		a = s.freshAccounts.next()
		a.address, a.last = from, blockstm.NoTx
		s.accounts[key] = a
	}
	return a
}

// rest returns what the lists still offer, by sender in nonce order: the drawn candidates
// that are handed back first, then what was not drawn. Nothing is drawn any more.
func (s *stream) rest(drawn []*candidate) (plain, blob map[common.Address][]*txpool.LazyTransaction) {
	plain, blob = make(map[common.Address][]*txpool.LazyTransaction), make(map[common.Address][]*txpool.LazyTransaction)
	for _, c := range drawn {
		if c.tx == nil || c.account.dropped.Load() {
			continue
		}
		into := plain
		if c.blob {
			into = blob
		}
		into[c.account.address] = append(into[c.account.address], c.lazy)
	}
	drain := func(source TxSource, blob bool, into map[common.Address][]*txpool.LazyTransaction) {
		for !source.Empty() {
			lazy, _ := source.Peek()
			tx := lazy.Resolve()
			if tx == nil {
				source.Pop()
				continue
			}
			a := s.account(tx, blob)
			if a.dropped.Load() {
				source.Pop()
				continue
			}
			into[a.address] = append(into[a.address], lazy)
			source.Shift()
		}
	}
	drain(s.plain, false, plain)
	drain(s.blob, true, blob)
	return plain, blob
}

// noTxs is the list that is always empty.
type noTxs struct{}

func (noTxs) Peek() (*txpool.LazyTransaction, *uint256.Int) { return nil, nil }
func (noTxs) Shift()                                        {}
func (noTxs) Pop()                                          {}
func (noTxs) Empty() bool                                   { return true }
func (noTxs) Clear()                                        {}
