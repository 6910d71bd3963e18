package state

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/triedb/database"
)

// Tries is what the block's StateDB takes for its state.Database: that of the parent
// state, but for the tries, which are hashed by package core/trie. See batch.
//
// It is safe for concurrent use, its tries are not.
type Tries struct {
	state.Database
	root  common.Hash         // of the parent state
	nodes database.NodeReader // of the parent state; safe for concurrent use
	base  *Base               // has final values that are hashed here, see Base.Bind; nil: there are none

	// Beside is called while the account trie is hashed, in a goroutine that has ended when
	// that has. Nil: nothing is. It is set before the tries are used.
	Beside func()

	mu  sync.Mutex // guards err
	err error      // why a root is wrong
}

// NewTries returns the tries of root in db.
func NewTries(root common.Hash, db state.Database) (*Tries, error) {
	nodes, err := db.TrieDB().NodeReader(root)
	if err != nil {
		return nil, err
	}
	return &Tries{Database: db, root: root, nodes: nodes}, nil
}

// OpenTrie implements state.Database.
func (t *Tries) OpenTrie(root common.Hash) (state.Trie, error) {
	if root != t.root {
		return t.Database.OpenTrie(root)
	}
	return &batch{tries: t, root: root, beside: t.Beside, open: func() (state.Trie, error) { return t.Database.OpenTrie(root) }}, nil
}

// OpenStorageTrie implements state.Database.
func (t *Tries) OpenStorageTrie(stateRoot common.Hash, address common.Address, root common.Hash, self state.Trie) (state.Trie, error) {
	if stateRoot != t.root {
		return t.Database.OpenStorageTrie(stateRoot, address, root, self)
	}
	b := &batch{tries: t, owner: crypto.Keccak256Hash(address[:]), root: root}
	if t.base != nil {
		var slots map[common.Hash]common.Hash
		b.root, slots = t.base.seeds(address, root)
		for key, value := range slots {
			*b.slots.add() = slotChange{key, trimmed(value)}
		}
	}
	parent := b.root
	b.open = func() (state.Trie, error) { return t.Database.OpenStorageTrie(stateRoot, address, parent, self) }
	return b, nil
}

// finalAccounts returns the accounts whose final values belong in the account trie though
// nobody has put them there.
func (t *Tries) finalAccounts() ([]finalAccount, error) {
	if t.base == nil {
		return nil, nil
	}
	return t.base.finalAccounts()
}

// fail notes why a root is wrong. Hashing a trie has no other way to say so.
func (t *Tries) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

// Failure returns why a root that was asked for is wrong: a trie could not be read. It
// returns nil if nothing speaks against the roots.
func (t *Tries) Failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
