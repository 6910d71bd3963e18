package state

import (
	"errors"
	"math"
	"runtime"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethdb"
	upstream "github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/trie/trienode"
	"golang.org/x/sync/errgroup"

	"github.com/op-geth-parallel/op-geth-parallel/core/trie"
)

// batch is a state.Trie that collects changes until somebody asks for the hash, and then
// brings all of them to the stored trie at once, on all CPUs. Whoever asks for anything
// else, which a builder does not, is served by op-geth's trie, opened at that moment.
//
// Like op-geth's tries it is not safe for concurrent use.
type batch struct {
	tries *Tries
	owner common.Hash // hash of the account's address; zero: the account trie
	root  common.Hash // of the stored trie
	open  func() (state.Trie, error)

	beside func() // see Tries.Beside

	accounts chunked[accountChange]
	slots    chunked[slotChange]

	inner        state.Trie // op-geth's trie; nil: not opened yet
	innerHas     int        // how many of accounts it has
	innerHasSlot int        // how many of slots it has
}

type accountChange struct {
	address common.Address
	deleted bool
	account types.StateAccount
}

type slotChange struct {
	key   common.Hash
	value []byte // without leading zeroes; empty: deleted
}

// UpdateAccount implements state.Trie.
func (b *batch) UpdateAccount(address common.Address, account *types.StateAccount, _ int) error {
	*b.accounts.add() = accountChange{address: address, account: *account}
	return nil
}

// DeleteAccount implements state.Trie.
func (b *batch) DeleteAccount(address common.Address) error {
	*b.accounts.add() = accountChange{address: address, deleted: true}
	return nil
}

// UpdateStorage implements state.Trie.
func (b *batch) UpdateStorage(_ common.Address, key, value []byte) error {
	*b.slots.add() = slotChange{common.BytesToHash(key), value}
	return nil
}

// DeleteStorage implements state.Trie.
func (b *batch) DeleteStorage(_ common.Address, key []byte) error {
	*b.slots.add() = slotChange{key: common.BytesToHash(key)}
	return nil
}

// UpdateContractCode implements state.Trie: code is not in the trie.
func (b *batch) UpdateContractCode(common.Address, common.Hash, []byte) error { return nil }

// Hash implements state.Trie. If the stored trie cannot be read the hash is zero, and
// Tries.Failure says why.
func (b *batch) Hash() common.Hash {
	var besides errgroup.Group
	if b.beside != nil {
		besides.Go(func() error { b.beside(); return nil })
	}
	var root common.Hash
	err := trie.Guard(func() (err error) {
		root, err = b.hash()
		return err
	})
	_ = besides.Wait()
	if err == nil {
		return root
	}
	inner, again := b.full()
	if again == nil {
		return inner.Hash()
	}
	b.tries.fail(errors.Join(err, again))
	return common.Hash{}
}

// hash returns the root after all changes.
func (b *batch) hash() (common.Hash, error) {
	finals, err := b.finals()
	if err != nil {
		return common.Hash{}, err
	}
	first, accounts := len(finals), b.accounts.len()
	changes := make([]trie.Change, first+accounts+b.slots.len())
	err = parallel(len(changes), func(from, to int) error {
		blob := make([]byte, 0, (to-from)*maxAccount/2)
		account := func(c *trie.Change, a *types.StateAccount) {
			start := len(blob)
			blob = appendAccount(blob, a)
			c.Value = blob[start:len(blob):len(blob)]
		}
		for i := from; i < to; i++ {
			c := &changes[i]
			switch {
			case i < first:
				f := &finals[i]
				c.Key = f.hash
				if f.exists {
					account(c, &f.account)
				}
			case i < first+accounts:
				a := b.accounts.at(i - first)
				c.Key = keccak(a.address[:])
				if !a.deleted {
					account(c, &a.account)
				}
			default:
				s := b.slots.at(i - first - accounts)
				c.Key = keccak(s.key[:])
				if len(s.value) > 0 {
					c.Value = appendRLPString(nil, s.value)
				}
			}
		}
		return nil
	})
	if err != nil {
		return common.Hash{}, err
	}
	return trie.Root(b.tries.nodes, b.owner, b.root, changes)
}

// maxAccount is the size of the largest encoded account, bytes.
const maxAccount = 110

// finals returns the final values that the account trie has to have besides.
func (b *batch) finals() ([]finalAccount, error) {
	if b.owner != (common.Hash{}) {
		return nil, nil
	}
	return b.tries.finalAccounts()
}

// parallelMin is the number of changes below which a second goroutine does not pay.
const parallelMin = 128

// parallel calls f for parts of [0, n), side by side if there are enough.
func parallel(n int, f func(from, to int) error) error {
	if n < parallelMin {
		return f(0, n)
	}
	var group errgroup.Group
	parts := parts()
	for p := range parts {
		group.Go(func() error {
			return trie.Guard(func() error { return f(n*p/parts, n*(p+1)/parts) })
		})
	}
	return group.Wait()
}

// parts returns how many goroutines share work that only takes CPU time.
func parts() int { return runtime.GOMAXPROCS(0) }

// full returns op-geth's trie, with all changes.
func (b *batch) full() (state.Trie, error) {
	finals, err := b.finals()
	if err != nil {
		return nil, err
	}
	if len(finals) > 0 {
		// They may have changed since, and go before what the StateDB says.
		b.inner, b.innerHas, b.innerHasSlot = nil, 0, 0
	}
	inner, err := b.opened()
	if err != nil {
		return nil, err
	}
	for i := range finals {
		if err := putFinal(inner, &finals[i]); err != nil {
			return nil, err
		}
	}
	for ; b.innerHas < b.accounts.len(); b.innerHas++ {
		a := b.accounts.at(b.innerHas)
		if a.deleted {
			err = inner.DeleteAccount(a.address)
		} else {
			err = inner.UpdateAccount(a.address, &a.account, 0)
		}
		if err != nil {
			return nil, err
		}
	}
	for ; b.innerHasSlot < b.slots.len(); b.innerHasSlot++ {
		s := b.slots.at(b.innerHasSlot)
		if len(s.value) == 0 {
			err = inner.DeleteStorage(common.Address{}, s.key[:])
		} else {
			err = inner.UpdateStorage(common.Address{}, s.key[:], s.value)
		}
		if err != nil {
			return nil, err
		}
	}
	return inner, nil
}

func putFinal(inner state.Trie, f *finalAccount) error {
	if !f.exists {
		return inner.DeleteAccount(f.address)
	}
	return inner.UpdateAccount(f.address, &f.account, 0)
}

// opened returns op-geth's trie, with those changes that it was given so far.
func (b *batch) opened() (state.Trie, error) {
	if b.inner == nil {
		inner, err := b.open()
		if err != nil {
			return nil, err
		}
		b.inner = inner
	}
	return b.inner, nil
}

// CopyTrie returns an independent batch with the same changes. The patch of package
// core/state has StateDB.Copy call it.
func (b *batch) CopyTrie() state.Trie {
	c := *b
	c.accounts, c.slots = b.accounts.clone(), b.slots.clone()
	c.inner, c.innerHas, c.innerHasSlot = nil, 0, 0
	return &c
}

// PrefetchAccount implements state.Trie.
func (b *batch) PrefetchAccount(addresses []common.Address) error {
	return b.prefetch(len(addresses), func(inner state.Trie, from, to int) error {
		return inner.PrefetchAccount(addresses[from:to])
	})
}

// PrefetchStorage implements state.Trie.
func (b *batch) PrefetchStorage(addr common.Address, keys [][]byte) error {
	return b.prefetch(len(keys), func(inner state.Trie, from, to int) error {
		return inner.PrefetchStorage(addr, keys[from:to])
	})
}

// prefetch looks n keys up if that saves time. Hashing reads all nodes it needs by itself,
// on all CPUs. If they are in memory, to read them before only takes CPUs away from the
// workers; if they are on the disk, waiting for them is better done while workers work.
func (b *batch) prefetch(n int, look func(inner state.Trie, from, to int) error) error {
	inner, err := b.opened()
	if err != nil {
		return err
	}
	quickest, sampled := time.Duration(math.MaxInt64), min(n, sampleKeys)
	for i := range sampled {
		start := time.Now()
		if err := look(inner, i, i+1); err != nil {
			return err
		}
		// The quickest one: another goroutine may have had the CPU during others.
		quickest = min(quickest, time.Since(start))
	}
	if quickest < slowKey {
		return nil
	}
	return look(inner, sampled, n)
}

// The rest of state.Trie is op-geth's business.

// GetKey implements state.Trie.
func (b *batch) GetKey(hash []byte) []byte {
	inner, err := b.full()
	if err != nil {
		return nil
	}
	return inner.GetKey(hash)
}

// GetAccount implements state.Trie.
func (b *batch) GetAccount(address common.Address) (*types.StateAccount, error) {
	inner, err := b.full()
	if err != nil {
		return nil, err
	}
	return inner.GetAccount(address)
}

// GetStorage implements state.Trie.
func (b *batch) GetStorage(addr common.Address, key []byte) ([]byte, error) {
	inner, err := b.full()
	if err != nil {
		return nil, err
	}
	return inner.GetStorage(addr, key)
}

// errNoCommit says that a block's state is to be committed by whoever executes the block.
var errNoCommit = errors.New("a state that was filled in parallel cannot be committed")

// Commit implements state.Trie. It fails, and returns no root, once there are final values
// that the StateDB does not have: the nodes of their storage would be missing.
func (b *batch) Commit(collectLeaf bool) (common.Hash, *trienode.NodeSet) {
	if finals, err := b.finals(); err != nil || len(finals) > 0 {
		b.tries.fail(errors.Join(errNoCommit, err))
		return common.Hash{}, nil
	}
	inner, err := b.full()
	if err != nil {
		b.tries.fail(err)
		return common.Hash{}, nil
	}
	return inner.Commit(collectLeaf)
}

// Witness implements state.Trie. A block that collects one is not built on batches.
func (b *batch) Witness() map[string][]byte {
	inner, err := b.full()
	if err != nil {
		return nil
	}
	return inner.Witness()
}

// NodeIterator implements state.Trie.
func (b *batch) NodeIterator(start []byte) (upstream.NodeIterator, error) {
	inner, err := b.full()
	if err != nil {
		return nil, err
	}
	return inner.NodeIterator(start)
}

// Prove implements state.Trie.
func (b *batch) Prove(key []byte, proof ethdb.KeyValueWriter) error {
	inner, err := b.full()
	if err != nil {
		return err
	}
	return inner.Prove(key, proof)
}

// IsVerkle implements state.Trie.
func (b *batch) IsVerkle() bool { return false }
