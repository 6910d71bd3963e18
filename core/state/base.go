package state

import (
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Base is the state that a block starts from, read once for all workers, and the table
// of the multi-version registers on top of it. It serves two readers: the workers' Views,
// and, as its state.Reader, the block's own StateDB. Until Attach it merely notes what
// the StateDB reads: whatever that has touched is exactly what may differ from the parent
// state when the parallel part begins.
//
// It is safe for concurrent use, except for Attach.
type Base struct {
	reader source // the parent state; safe for concurrent use
	known  *Table // what is known of the parent state already; nil: nothing
	table  *Table

	finals   *Tries     // where final values are hashed, see holder; nil: the StateDB has to have all of them
	finalsMu sync.Mutex // guards changed, and what is said to be
	changed  []*Account // have final values that the StateDB was not given when they became final

	liveMu sync.Mutex     // guards db, which has no lock of its own
	db     *state.StateDB // the block's, from Attach on

	costsMu sync.RWMutex // guards costs. It is not liveMu: every transaction asks, and Apply holds that for long
	costs   map[storageKey]common.Hash

	// Next is the first index of the next run over this block, so that what an earlier
	// run left in the registers lies below. It belongs to the caller of Attach.
	Next blockstm.TxIndex
	// Spoiled is why there must be no further run over this block, if there is a reason.
	// It belongs to the caller of Attach.
	Spoiled error
}

// NewBase returns the base of a block whose parent state the reader gives. What another
// base has read of the very same state, its Table, may be known and is not read again; nil
// if there is none.
func NewBase(reader state.Reader, known *Table) *Base {
	return &Base{reader: newSource(reader), known: known, table: newTable(), costs: make(map[storageKey]common.Hash)}
}

// Bind has final values of accounts that the StateDB never asks for hashed by its tries,
// which are those given. It may use what they know to read the parent state quicker.
func (b *Base) Bind(tries *Tries) {
	b.finals, tries.base = tries, b
	b.reader.flatten(tries.root, tries.Database)
}

// Table returns what the base has read. It can serve further bases once the block is
// finished.
func (b *Base) Table() *Table { return b.table }

// Attach tells the base which StateDB it is the reader of, at the moment when the
// parallel part of the block begins. Everything that the StateDB has read so far takes
// its present value from there. Later calls do nothing.
func (b *Base) Attach(db *state.StateDB) error {
	if b.db != nil {
		return nil
	}
	for _, a := range b.table.all() {
		a.live = true
		a.holder.Store(uint32(stateHolds))
		code := noCode
		if hash := db.GetCodeHash(a.Address); hash != types.EmptyCodeHash && hash != (common.Hash{}) {
			code = newCode(hash, db.GetCode(a.Address))
		}
		a.set(db.GetNonce(a.Address), db.GetBalance(a.Address), code, db.GetStorageRoot(a.Address), db.Exist(a.Address))
		for key, s := range a.slots {
			s.value.Init(db.GetState(a.Address, key))
		}
	}
	b.db = db
	if b.finals != nil {
		// It would have next to nothing to do, and holds a trie that is not wanted.
		db.StopPrefetcher()
	}
	return db.Error()
}

// account returns what is held of an account, which is loaded first if need be.
func (b *Base) account(addr common.Address) (*Account, error) {
	if a := b.table.lookup(addr); a != nil {
		return a, nil
	}
	a := &Account{Address: addr}
	if old := b.known.lookup(addr); old != nil {
		a.hash, a.parentCode = old.hash, old.parentCode
		a.parent.keep(old.parent.get())
	} else {
		a.hash, a.parentCode = keccak(addr[:]), noCode
		if err := b.reader.account(addr, a.hash, &a.parent); err != nil {
			return nil, fmt.Errorf("account %v: %w", addr, err)
		}
		if a.parent.exists {
			if hash := common.BytesToHash(a.parent.account.CodeHash); hash != types.EmptyCodeHash {
				a.parentCode = &Code{Hash: hash}
			}
		}
	}
	if b.finals == nil {
		a.holder.Store(uint32(stateHolds))
	}
	if o := &a.parent; !o.exists {
		a.set(0, new(uint256.Int), noCode, common.Hash{}, false)
	} else {
		a.set(o.account.Nonce, &o.balance, a.parentCode, o.account.Root, true)
	}
	return b.table.insert(a), nil
}

// slot returns what is held of a slot of a, which is loaded first if need be.
func (b *Base) slot(a *Account, key common.Hash) (*Slot, error) {
	if s := a.slot(key); s != nil {
		return s, nil
	}
	s := &Slot{Key: key}
	switch {
	case a.live:
		b.liveMu.Lock()
		s.value.Init(b.db.GetState(a.Address, key))
		err := b.db.Error()
		b.liveMu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("slot %v of %v: %w", key, a.Address, err)
		}
	default:
		if err := b.load(a, s); err != nil {
			return nil, err
		}
		s.value.Init(s.origin)
	}
	return a.insert(s), nil
}

// load sets what a new slot of a is in the parent state.
func (b *Base) load(a *Account, s *Slot) error {
	if old := b.known.lookup(a.Address); old != nil {
		if was := old.slot(s.Key); was != nil && was.loaded {
			s.hash, s.origin, s.loaded = was.hash, was.origin, true
			return nil
		}
	}
	s.hash, s.loaded = keccak(s.Key[:]), true
	if !a.parent.exists || a.parent.account.Root == types.EmptyRootHash {
		return nil
	}
	value, err := b.reader.storage(a.Address, a.hash, s.Key, s.hash)
	if err != nil {
		return fmt.Errorf("slot %v of %v: %w", s.Key, a.Address, err)
	}
	s.origin = value
	return nil
}

// bytes returns the code's bytes, which are loaded first if need be.
func (b *Base) bytes(a *Account, c *Code) ([]byte, error) {
	if p := c.bytes.Load(); p != nil {
		return *p, nil
	}
	bytes := b.reader.Code(a.Address, c.Hash)
	if len(bytes) == 0 {
		return nil, fmt.Errorf("code %v of %v is not found", c.Hash, a.Address)
	}
	c.bytes.Store(&bytes)
	return bytes, nil
}

// Account implements state.StateReader for the block's StateDB: see holder.
func (b *Base) Account(addr common.Address) (*types.StateAccount, error) {
	a, err := b.account(addr)
	if err != nil {
		return nil, err
	}
	if b.db == nil || a.live {
		return a.parent.get(), nil
	}
	return b.handOver(a)
}

// Storage implements state.StateReader for the block's StateDB: see holder.
func (b *Base) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	a, err := b.account(addr)
	if err != nil {
		return common.Hash{}, err
	}
	if value, ok := b.handedSlot(a, key); ok {
		return value, nil
	}
	if s := a.slot(key); s != nil && s.loaded {
		return s.origin, nil
	}
	s := &Slot{Key: key}
	if err := b.load(a, s); err != nil {
		return common.Hash{}, err
	}
	if b.db == nil {
		a.insert(s)
	}
	return s.origin, nil
}

// Has implements state.ContractCodeReader for the block's StateDB.
func (b *Base) Has(addr common.Address, hash common.Hash) bool {
	return b.deployed(addr, hash) != nil || b.reader.Has(addr, hash)
}

// Code implements state.ContractCodeReader for the block's StateDB.
func (b *Base) Code(addr common.Address, hash common.Hash) []byte {
	if code := b.deployed(addr, hash); code != nil {
		return code
	}
	return b.reader.Code(addr, hash)
}

// CodeSize implements state.ContractCodeReader for the block's StateDB.
func (b *Base) CodeSize(addr common.Address, hash common.Hash) int {
	if code := b.deployed(addr, hash); code != nil {
		return len(code)
	}
	return b.reader.CodeSize(addr, hash)
}

// deployed returns the code that an account got in this block if it is that of the hash,
// or nil.
func (b *Base) deployed(addr common.Address, hash common.Hash) []byte {
	if b.db == nil {
		return nil
	}
	a := b.table.lookup(addr)
	if a == nil {
		return nil
	}
	if code := a.code.Committed(); code.Hash == hash {
		if bytes := code.bytes.Load(); bytes != nil {
			return *bytes
		}
	}
	return nil
}

// GetState implements types.StateGetter for the L1 and operator cost functions: the value
// that the block's StateDB held when the slot was asked for first. op-geth's functions
// read their parameters once a block, at its first transaction that pays, and so every
// worker's have to see them as they were then.
func (b *Base) GetState(addr common.Address, key common.Hash) common.Hash {
	name := storageKey{addr, key}
	b.costsMu.RLock()
	value, known := b.costs[name]
	b.costsMu.RUnlock()
	if known {
		return value
	}
	b.costsMu.Lock()
	defer b.costsMu.Unlock()
	if value, known := b.costs[name]; known {
		return value
	}
	b.liveMu.Lock()
	defer b.liveMu.Unlock()
	value = b.db.GetState(addr, key)
	b.costs[name] = value
	return value
}

// storageKey names a slot of the whole state.
type storageKey struct {
	address common.Address
	key     common.Hash
}
