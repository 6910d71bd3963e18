package state

import (
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Code is a contract's code with its hash. It is immutable, and compared by identity.
type Code struct {
	Hash  common.Hash
	bytes atomic.Pointer[[]byte] // nil: not loaded yet
}

// noCode is the code of accounts that have none.
var noCode = newCode(types.EmptyCodeHash, nil)

func newCode(hash common.Hash, bytes []byte) *Code {
	c := &Code{Hash: hash}
	c.bytes.Store(&bytes)
	return c
}

// Account is what the multi-version memory holds of one account.
type Account struct {
	Address common.Address
	hash    common.Hash // of the address

	// The parent state, immutable.
	parent     storedAccount
	parentCode *Code

	// Set by Base.Attach, immutable while workers run.
	live      bool        // the block's StateDB had touched it: its values come from there
	lingering bool        // it exists though it is empty, or would leave storage behind if it were: see the package comment
	root      common.Hash // storage root at the start, zero if absent

	nonce   blockstm.Cell[uint64]
	code    blockstm.Cell[*Code]
	balance blockstm.Sum

	fate atomic.Pointer[fate] // nil: there is no reason yet to ask for it

	mu      patientMutex // guards slots and emptied
	slots   map[common.Hash]*Slot
	emptied bool // the committed state has lost root: slots not loaded yet are zero

	holder atomic.Uint32 // a holder
	handed *handed       // what the StateDB was given in the end; guarded by Base.finalsMu

	// Owned by the Ledger, and when that has no more to do by Base.handOver.
	listed      bool        // on a list of accounts that have changed, see Ledger.list
	codeChanged bool        // code is to be applied
	written     []*Slot     // slots that the StateDB, or whoever hashes, does not know of
	rootNow     common.Hash // root of the storage with all of written, if rootKnown
	rootKnown   bool
	nonceThere  uint64      // what the StateDB has
	moneyThere  uint256.Int // what the StateDB has for a balance
}

// storedAccount is an account as a state has it, or none, in one piece of memory.
type storedAccount struct {
	exists  bool
	account types.StateAccount // if it exists
	balance uint256.Int        // what account points to
}

// keep takes in an account, nil if there is none.
func (s *storedAccount) keep(a *types.StateAccount) {
	if s.exists = a != nil; s.exists {
		s.account, s.balance = *a, *a.Balance
		s.account.Balance = &s.balance
	}
}

// get returns the account, nil if there is none.
func (s *storedAccount) get() *types.StateAccount {
	if !s.exists {
		return nil
	}
	return &s.account
}

// heldByState reports whether the StateDB is the account's holder.
func (a *Account) heldByState() bool { return holder(a.holder.Load()) == stateHolds }

// fate says whether an account was destroyed. Few accounts have one.
type fate struct {
	lingers blockstm.Cell[bool] // of a lingering account: still there, untouched
	wiped   blockstm.Cell[bool] // destroyed in this block: nothing is left of root
}

// destiny returns the fate of an account, which gets one if it has none.
func (a *Account) destiny() *fate {
	if f := a.fate.Load(); f != nil {
		return f
	}
	a.fate.CompareAndSwap(nil, new(fate))
	return a.fate.Load()
}

// Slot is what the multi-version memory holds of one storage slot.
type Slot struct {
	Key    common.Hash
	hash   common.Hash // of Key, if loaded
	value  blockstm.Cell[common.Hash]
	origin common.Hash // in the parent state
	loaded bool        // origin is known
	listed bool        // owned by the Ledger: among its account's written slots
}

// set gives the registers their committed values, before anyone uses them.
func (a *Account) set(nonce uint64, balance *uint256.Int, code *Code, root common.Hash, exists bool) {
	a.nonce.Init(nonce)
	a.balance.Init(balance)
	a.code.Init(code)
	a.nonceThere, a.moneyThere = nonce, *balance
	a.root = root
	stored := root != (common.Hash{}) && root != types.EmptyRootHash
	a.lingering = exists && nonce == 0 && code.Hash == types.EmptyCodeHash && (balance.IsZero() || stored)
	if a.lingering {
		a.destiny().lingers.Init(true)
	}
}

// slot returns what is held of a slot, or nil.
func (a *Account) slot(key common.Hash) *Slot {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.slots[key]
}

// insert adds a slot unless there is one already, and returns the one that is there.
func (a *Account) insert(s *Slot) *Slot {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.slots[s.Key]; old != nil {
		return old
	}
	if a.slots == nil {
		a.slots = make(map[common.Hash]*Slot)
	}
	if a.emptied {
		s.value.Init(common.Hash{})
	}
	a.slots[s.Key] = s
	return s
}

// exists reports whether transaction tx finds the account. If that hangs on an estimate,
// ok is false and blocker its writer.
func (a *Account) exists(tx blockstm.TxIndex) (exists bool, blocker blockstm.TxIndex, ok bool) {
	nonce, writer, ok := a.nonce.Read(tx, false)
	if !ok || nonce != 0 {
		return true, writer, ok
	}
	code, writer, ok := a.code.Read(tx, false)
	if !ok || code.Hash != types.EmptyCodeHash {
		return true, writer, ok
	}
	var balance uint256.Int
	if blocker, ok := a.balance.Read(tx, &balance, false); !ok || !balance.IsZero() {
		return true, blocker, ok
	}
	if a.lingering {
		return a.destiny().lingers.Read(tx, true)
	}
	return false, blockstm.NoTx, true
}

// storage returns the value of a slot that transaction tx finds. If it hangs on an
// estimate, ok is false and blocker its writer.
func (a *Account) storage(s *Slot, tx blockstm.TxIndex, register bool) (value common.Hash, blocker blockstm.TxIndex, ok bool) {
	value, writer, ok := s.value.Read(tx, register)
	f := a.fate.Load()
	if !ok || f == nil {
		return value, writer, ok
	}
	// A committed wipe is in the slot already. An uncommitted one hides all before it.
	switch wiped, wiper, ok := f.wiped.Read(tx, register); {
	case !ok:
		return common.Hash{}, wiper, false
	case wiped && wiper != blockstm.NoTx && writer <= wiper:
		return common.Hash{}, blockstm.NoTx, true
	}
	return value, blockstm.NoTx, true
}
