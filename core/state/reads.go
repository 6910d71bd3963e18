package state

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// Touched is a set of accounts, with slots of their storage.
type Touched map[common.Address]map[common.Hash]struct{}

// Account adds an account.
func (t Touched) Account(addr common.Address) {
	if _, ok := t[addr]; !ok {
		t[addr] = make(map[common.Hash]struct{})
	}
}

// Slot adds a slot, and its account.
func (t Touched) Slot(addr common.Address, key common.Hash) {
	t.Account(addr)
	t[addr][key] = struct{}{}
}

// unreadSlot stands for the storage of an account of which no slot is known that is not
// zero, though there are some: whether there is storage decides whether a contract can be
// created at an address.
var unreadSlot = crypto.Keccak256Hash([]byte("storage that was not read"))

// Alloc returns what the reader has of the accounts and slots, as a genesis does. Slots
// that are zero are kept, accounts that are absent are not.
func (t Touched) Alloc(reader state.Reader) (types.GenesisAlloc, error) {
	alloc := make(types.GenesisAlloc)
	for addr, keys := range t {
		account, err := reader.Account(addr)
		if err != nil {
			return nil, fmt.Errorf("account %v: %w", addr, err)
		}
		if account == nil {
			continue
		}
		out := types.Account{Nonce: account.Nonce, Balance: account.Balance.ToBig()}
		if hash := common.BytesToHash(account.CodeHash); hash != types.EmptyCodeHash {
			if out.Code = reader.Code(addr, hash); len(out.Code) == 0 {
				return nil, fmt.Errorf("code %v of %v is not found", hash, addr)
			}
		}
		out.Storage = make(map[common.Hash]common.Hash)
		empty := true
		for key := range keys {
			value, err := reader.Storage(addr, key)
			if err != nil {
				return nil, fmt.Errorf("slot %v of %v: %w", key, addr, err)
			}
			out.Storage[key] = value
			empty = empty && value == common.Hash{}
		}
		if empty && account.Root != types.EmptyRootHash {
			out.Storage[unreadSlot] = common.Hash{31: 1}
		}
		alloc[addr] = out
	}
	return alloc, nil
}

// Difference is one value that two states, or two executions, differ in.
type Difference struct {
	What       string `json:"what"`
	Parallel   string `json:"parallel"`
	Sequential string `json:"sequential"`
}

// String returns the difference as a line of text.
func (d Difference) String() string {
	return fmt.Sprintf("%s: parallel %s, sequential %s", d.What, d.Parallel, d.Sequential)
}

// Differences returns what of the accounts and slots the two states differ in, in the
// order of the addresses.
func (t Touched) Differences(parallel, sequential *state.StateDB) []Difference {
	var out []Difference
	for _, addr := range slices.SortedFunc(maps.Keys(t), common.Address.Cmp) {
		compare := func(what string, p, s any) {
			if text, want := fmt.Sprint(p), fmt.Sprint(s); text != want {
				out = append(out, Difference{fmt.Sprintf("account %v, %s", addr, what), text, want})
			}
		}
		compare("exists", parallel.Exist(addr), sequential.Exist(addr))
		compare("balance", parallel.GetBalance(addr), sequential.GetBalance(addr))
		compare("nonce", parallel.GetNonce(addr), sequential.GetNonce(addr))
		compare("code hash", parallel.GetCodeHash(addr), sequential.GetCodeHash(addr))
		for _, key := range slices.SortedFunc(maps.Keys(t[addr]), common.Hash.Cmp) {
			compare("slot "+key.Hex(), parallel.GetState(addr, key), sequential.GetState(addr, key))
		}
	}
	return out
}

// ReadLog is a parent state that notes what is read of it. It is safe for concurrent use.
type ReadLog struct {
	state.Reader

	mu      sync.Mutex // guards touched
	touched Touched
}

// NewReadLog returns a log of what is read of the reader, which goes on from touched.
func NewReadLog(reader state.Reader, touched Touched) *ReadLog {
	return &ReadLog{Reader: reader, touched: touched}
}

// Account implements state.StateReader.
func (l *ReadLog) Account(addr common.Address) (*types.StateAccount, error) {
	l.mu.Lock()
	l.touched.Account(addr)
	l.mu.Unlock()
	return l.Reader.Account(addr)
}

// Storage implements state.StateReader.
func (l *ReadLog) Storage(addr common.Address, key common.Hash) (common.Hash, error) {
	l.mu.Lock()
	l.touched.Slot(addr, key)
	l.mu.Unlock()
	return l.Reader.Storage(addr, key)
}

// Reads adds all that was read of the parent state through the base, by whomever, to
// touched, and returns what of it is not as the reader has it, which ought to be nothing.
// No worker may be running.
func (b *Base) Reads(touched Touched, reader state.Reader) ([]Difference, error) {
	var out []Difference
	compare := func(what string, p, s any) {
		if text, want := fmt.Sprint(p), fmt.Sprint(s); text != want {
			out = append(out, Difference{what, text, want})
		}
	}
	for i := range b.table.shards {
		for addr, a := range b.table.shards[i].accounts {
			touched.Account(addr)
			account, err := reader.Account(addr)
			if err != nil {
				return nil, fmt.Errorf("account %v: %w", addr, err)
			}
			if !sameAccount(a.parent.get(), account) {
				compare(fmt.Sprintf("account %v in the parent state", addr), describeOrigin(a.parent.get()), describeOrigin(account))
			}
			for key, s := range a.slots {
				touched.Slot(addr, key)
				if !s.loaded || !a.parent.exists {
					continue // no value was read, or that of an account that has none
				}
				value, err := reader.Storage(addr, key)
				if err != nil {
					return nil, fmt.Errorf("slot %v of %v: %w", key, addr, err)
				}
				compare(fmt.Sprintf("slot %v of %v in the parent state", key, addr), s.origin, value)
			}
		}
	}
	slices.SortFunc(out, func(x, y Difference) int { return bytes.Compare([]byte(x.What), []byte(y.What)) })
	return out, nil
}

func sameAccount(a, b *types.StateAccount) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Nonce == b.Nonce && a.Balance.Eq(b.Balance) && a.Root == b.Root && bytes.Equal(a.CodeHash, b.CodeHash)
}

func describeOrigin(a *types.StateAccount) string {
	if a == nil {
		return "absent"
	}
	return fmt.Sprintf("balance %v, nonce %d, code %x, storage %v", a.Balance, a.Nonce, a.CodeHash, a.Root)
}
