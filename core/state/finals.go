package state

import (
	"errors"
	"fmt"
	"maps"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"golang.org/x/sync/errgroup"

	"github.com/op-geth-parallel/op-geth-parallel/core/trie"
)

// holder says who knows an account's final values. To write them to the StateDB, which
// keeps a journal, caches what it was before, and in the end tells the tries, costs as much
// as many a transaction, and belongs to the ordered commit. So the registers keep them, and
// whoever hashes the state takes them from there.
//
//  1. An account has one holder at a time. At first it is the registers, but for what the
//     StateDB had touched when it was attached.
//  2. The StateDB holds what it has asked for: if it is asked about an account, or to change
//     it, it will not ask the Base again.
//  3. Before the parallel part is over, the StateDB is asked only after Ledger.give, or
//     about what has not changed, and so has every value that it would have if sequential.
//     After that, it gets what has become of the account, with the root of its storage.
type holder uint32

const (
	registersHold holder = iota
	stateHolds
)

// handed is an account as the StateDB was given it when the parallel part was over.
type handed struct {
	account *types.StateAccount         // nil: there is none
	slots   map[common.Hash]common.Hash // that are not what they are in the parent state
}

// note adds an account, whose holder are the registers, to those that have changed.
func (b *Base) note(a *Account) {
	b.finalsMu.Lock()
	defer b.finalsMu.Unlock()
	b.changed = append(b.changed, a)
}

// takeChanged returns the accounts that have changed and may be held by the registers,
// and forgets them.
func (b *Base) takeChanged() []*Account {
	b.finalsMu.Lock()
	defer b.finalsMu.Unlock()
	changed := b.changed
	b.changed = nil
	return changed
}

// handOver makes the StateDB the holder of an account, and returns what it is to start
// from: see holder.
func (b *Base) handOver(a *Account) (*types.StateAccount, error) {
	b.finalsMu.Lock()
	defer b.finalsMu.Unlock()
	switch {
	case a.handed != nil:
		return a.handed.account, nil
	case a.heldByState():
		return a.parent.get(), nil
	case !a.listed:
		a.holder.Store(uint32(stateHolds))
		return a.parent.get(), nil
	}
	root, err := b.finals.storageRoot(a)
	if err != nil {
		return nil, fmt.Errorf("storage of %v: %w", a.Address, err)
	}
	h := &handed{slots: make(map[common.Hash]common.Hash, len(a.written))}
	for _, s := range a.written {
		s.listed = false
		h.slots[s.Key] = s.value.Committed()
	}
	var final finalAccount
	if a.final(root, &final); final.exists {
		h.account = &final.account
	}
	a.handed = h
	a.holder.Store(uint32(stateHolds))
	a.listed, a.codeChanged, a.written = false, false, nil
	a.nonceThere, a.moneyThere = a.nonce.Committed(), a.balance.Committed()
	return h.account, nil
}

// handedSlot returns the value of a slot that the StateDB was handed over.
func (b *Base) handedSlot(a *Account, key common.Hash) (value common.Hash, ok bool) {
	if b.db == nil {
		return common.Hash{}, false
	}
	b.finalsMu.Lock()
	defer b.finalsMu.Unlock()
	if a.handed != nil {
		value, ok = a.handed.slots[key]
	}
	return value, ok
}

// final stores what has become of an account whose storage has the given root.
func (a *Account) final(root common.Hash, f *finalAccount) {
	nonce, code := a.nonce.Committed(), a.code.Committed()
	f.address, f.hash, f.balance = a.Address, a.hash, a.balance.Committed()
	f.exists = nonce != 0 || code.Hash != types.EmptyCodeHash || !f.balance.IsZero() || a.lingering && a.destiny().lingers.Committed()
	f.account = types.StateAccount{Nonce: nonce, Balance: &f.balance, Root: root, CodeHash: code.Hash[:]}
}

// finalAccount is a changed account that is to be in the account trie, or not any more.
type finalAccount struct {
	address common.Address
	hash    common.Hash // of the address
	storedAccount
}

// finalAccounts returns what has become of the accounts that have changed and were held by
// the registers when the parallel part was over.
func (b *Base) finalAccounts() ([]finalAccount, error) {
	b.finalsMu.Lock()
	defer b.finalsMu.Unlock()
	var small []*Account
	for _, a := range b.changed {
		switch {
		case a.heldByState(), len(a.written) == 0, a.rootKnown:
		case len(a.written) < parallelMin:
			small = append(small, a)
		default:
			if _, err := b.finals.storageRoot(a); err != nil {
				return nil, err
			}
		}
	}
	err := parallelMost(len(small), func(i int) error {
		_, err := b.finals.storageRoot(small[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]finalAccount, len(b.changed))
	n := 0
	for _, a := range b.changed {
		f := &out[n]
		switch {
		case a.handed != nil:
			f.address, f.hash = a.Address, a.hash
			f.keep(a.handed.account)
		case a.heldByState():
			continue
		default:
			root, err := b.finals.storageRoot(a)
			if err != nil {
				return nil, err
			}
			a.final(root, f)
		}
		n++
	}
	return out[:n], nil
}

// parallelMost calls f for each of [0, n), on several goroutines if there are many.
func parallelMost(n int, f func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(parts())
	const step = 16
	for from := 0; from < n; from += step {
		group.Go(func() error {
			return trie.Guard(func() error {
				for i := from; i < min(from+step, n); i++ {
					if err := f(i); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return group.Wait()
}

// storageRoot returns the root of an account's storage with all that was committed. The
// caller holds finalsMu, but for different accounts at the same time.
func (t *Tries) storageRoot(a *Account) (common.Hash, error) {
	switch {
	case a.rootKnown:
		return a.rootNow, nil
	case len(a.written) > 0:
	case a.root == (common.Hash{}):
		return types.EmptyRootHash, nil
	default:
		return a.root, nil
	}
	changes := make([]trie.Change, 0, len(a.written))
	for _, s := range a.written {
		if value := s.value.Committed(); value != s.origin {
			changes = append(changes, trie.Change{Key: s.hash, Value: trimmed(value)})
		}
	}
	_ = parallel(len(changes), func(from, to int) error {
		blob := make([]byte, 0, (to-from)*8)
		for i := from; i < to; i++ {
			if c := &changes[i]; len(c.Value) > 0 {
				start := len(blob)
				blob = appendRLPString(blob, c.Value)
				c.Value = blob[start:len(blob):len(blob)]
			}
		}
		return nil
	})
	root, err := trie.Root(t.nodes, a.hash, a.root, changes)
	if err != nil {
		var again error
		if root, again = t.upstreamRoot(a); again != nil {
			return common.Hash{}, errors.Join(err, again)
		}
	}
	a.rootNow, a.rootKnown = root, true
	return root, nil
}

// upstreamRoot returns the root that op-geth's trie gives an account's storage with all that
// was committed.
func (t *Tries) upstreamRoot(a *Account) (common.Hash, error) {
	root := a.root
	if root == (common.Hash{}) {
		root = types.EmptyRootHash
	}
	b := &batch{tries: t, owner: a.hash, open: func() (state.Trie, error) {
		return t.Database.OpenStorageTrie(t.root, a.Address, root, nil)
	}}
	for _, s := range a.written {
		*b.slots.add() = slotChange{s.Key, trimmed(s.value.Committed())}
	}
	inner, err := b.full()
	if err != nil {
		return common.Hash{}, err
	}
	return inner.Hash(), nil
}

// trimmed returns the value without leading zeroes.
func trimmed(value common.Hash) []byte { return common.TrimLeftZeroes(value[:]) }

// appendRLPString appends a string of at most 55 bytes.
func appendRLPString(b, s []byte) []byte {
	if len(s) == 1 && s[0] < 0x80 {
		return append(b, s[0])
	}
	return append(append(b, 0x80+byte(len(s))), s...)
}

// appendAccount appends an account as the account trie has it.
func appendAccount(b []byte, a *types.StateAccount) []byte {
	var number [32]byte
	a.Balance.WriteToArray32(&number)
	money := common.TrimLeftZeroes(number[:])
	length := rlp.IntSize(a.Nonce) + stringSize(money) + 2*(1+common.HashLength)
	b = append(b, 0xf8, byte(length)) // of 68 to 108 bytes
	b = rlp.AppendUint64(b, a.Nonce)
	b = appendRLPString(b, money)
	b = append(append(b, 0x80+common.HashLength), a.Root[:]...)
	return append(append(b, 0x80+common.HashLength), a.CodeHash...)
}

func stringSize(s []byte) int {
	if len(s) == 1 && s[0] < 0x80 {
		return 1
	}
	return 1 + len(s)
}

// seeds returns the slots that an account's storage has changed in since the parent state
// when its root was the one given, because the StateDB was handed it with that. It returns
// nil if there are none.
func (b *Base) seeds(address common.Address, root common.Hash) (parent common.Hash, slots map[common.Hash]common.Hash) {
	a := b.table.lookup(address)
	if a == nil {
		return root, nil
	}
	b.finalsMu.Lock()
	defer b.finalsMu.Unlock()
	if a.handed == nil || a.handed.account == nil || a.handed.account.Root != root || len(a.handed.slots) == 0 {
		return root, nil
	}
	return a.root, maps.Clone(a.handed.slots)
}
