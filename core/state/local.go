package state

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// ripemd is the precompile of EIP-161's exception: that it was touched stays so even when
// the call is reverted.
var ripemd = common.BytesToAddress([]byte{3})

// local is an account as one incarnation sees and changes it.
type local struct {
	address common.Address
	account *Account // nil: nothing of the shared state was needed yet

	warm        bool
	newContract bool
	destructed  bool
	sticky      bool // touched, by EIP-161's exception

	// present counts the journal's steps that imply the account's existence, changes those
	// of them that make it a candidate for EIP-161's clearing.
	present, changes int32

	existsKnown, exists bool // at the start of the transaction

	nonceKnown, nonceSet bool
	nonce                uint64

	codeKnown, codeSet bool
	code               *Code

	// The balance is base plus delta, both modulo 2^256. Of base no more is recorded than
	// that it lies in [low, high], if bounded.
	baseKnown, bounded bool
	base, delta        uint256.Int
	low, high          uint256.Int
	shown              uint256.Int // what GetBalance returned last
}

// local returns the account of this view.
func (v *View) local(addr common.Address) *local {
	if l := v.last; l != nil && l.address == addr {
		return l
	}
	l := v.find(addr)
	if l == nil {
		l = v.arena.next()
		l.address = addr
		v.index(l)
	}
	v.last = l
	return l
}

// scanned is the number of accounts up to which looking at each is quicker than a map.
const scanned = 8

// find returns the account of this view if there is one.
func (v *View) find(addr common.Address) *local {
	all := v.arena.used()
	if len(all) > scanned {
		return v.locals[addr]
	}
	for _, l := range all {
		if l.address == addr {
			return l
		}
	}
	return nil
}

// index makes sure that find will find an account just taken from the arena.
func (v *View) index(l *local) {
	switch all := v.arena.used(); {
	case len(all) == scanned+1:
		for _, l := range all {
			v.locals[l.address] = l
		}
	case len(all) > scanned:
		v.locals[l.address] = l
	}
}

// account returns the shared part of an account, or nil if it could not be loaded.
func (v *View) account(l *local) *Account {
	if l.account == nil {
		recent := &v.recent[l.address[common.AddressLength-1]%recents]
		if *recent == nil || (*recent).Address != l.address {
			a, err := v.base.account(l.address)
			if err != nil {
				v.fail(err)
				return nil
			}
			*recent = a
		}
		l.account = *recent
	}
	return l.account
}

// existed reports whether the account was there when the transaction started.
func (v *View) existed(l *local) bool {
	if l.existsKnown {
		return l.exists
	}
	l.existsKnown = true
	if a := v.account(l); a != nil {
		exists, blocker, ok := a.exists(v.tx)
		if !ok {
			v.block(blocker)
		}
		l.exists = exists
		v.out.reads.exists = append(v.out.reads.exists, existRead{a, exists})
	}
	return l.exists
}

// nonce64 returns the nonce.
func (l *local) nonce64(v *View) uint64 {
	if !l.nonceKnown {
		l.nonceKnown = true
		if a := v.account(l); a != nil {
			nonce, writer, ok := a.nonce.Read(v.tx, true)
			if !ok {
				v.block(writer)
			}
			l.nonce = nonce
			v.out.reads.nonces = append(v.out.reads.nonces, blockstm.Captured[uint64]{Cell: &a.nonce, Seen: nonce})
		}
	}
	return l.nonce
}

// codeOf returns the code, of which the hash and the bytes are one.
func (l *local) codeOf(v *View) *Code {
	if !l.codeKnown {
		l.codeKnown, l.code = true, noCode
		if a := v.account(l); a != nil {
			code, writer, ok := a.code.Read(v.tx, true)
			if !ok {
				v.block(writer)
			}
			l.code = code
			v.out.reads.codes = append(v.out.reads.codes, blockstm.Captured[*Code]{Cell: &a.code, Seen: code})
		}
	}
	return l.code
}

// touch notes that the account was used in a way that brings it into being.
func (v *View) touch(l *local) {
	l.present++
	l.changes++
	v.journal = append(v.journal, undo{kind: undoTouch, account: l})
}

// Exist implements vm.StateDB.
func (v *View) Exist(addr common.Address) bool {
	l := v.local(addr)
	return l.present > 0 || v.existed(l)
}

// Empty implements vm.StateDB.
func (v *View) Empty(addr common.Address) bool {
	l := v.local(addr)
	if l.present == 0 && !v.existed(l) {
		return true
	}
	if !l.nonceSet && !l.codeSet && l.delta.IsZero() {
		// Unchanged: then to exist is not to be empty, but for the exception.
		if a := v.account(l); a == nil || !a.lingering {
			return !v.existed(l)
		}
	}
	if l.nonce64(v) != 0 || l.codeOf(v) != noCode {
		return false
	}
	v.observe(l)
	v.exactly(l)
	balance := l.now()
	return balance.IsZero()
}

// CreateAccount implements vm.StateDB. The caller has made sure that there is none.
func (v *View) CreateAccount(addr common.Address) { v.touch(v.local(addr)) }

// CreateContract implements vm.StateDB.
func (v *View) CreateContract(addr common.Address) {
	if l := v.local(addr); !l.newContract {
		l.newContract = true
		v.journal = append(v.journal, undo{kind: undoNewContract, account: l})
	}
}

// IsNewContract implements vm.StateDB.
func (v *View) IsNewContract(addr common.Address) bool { return v.local(addr).newContract }

// SelfDestruct implements vm.StateDB. The caller has taken the balance away.
func (v *View) SelfDestruct(addr common.Address) {
	l := v.local(addr)
	if l.destructed || l.present == 0 && !v.existed(l) {
		return
	}
	l.destructed = true
	l.present++
	l.changes++
	v.journal = append(v.journal, undo{kind: undoDestruct, account: l})
}

// HasSelfDestructed implements vm.StateDB.
func (v *View) HasSelfDestructed(addr common.Address) bool { return v.local(addr).destructed }

// GetNonce implements vm.StateDB.
func (v *View) GetNonce(addr common.Address) uint64 { return v.local(addr).nonce64(v) }

// SetNonce implements vm.StateDB.
func (v *View) SetNonce(addr common.Address, nonce uint64, _ tracing.NonceChangeReason) {
	l := v.local(addr)
	l.nonce64(v)
	v.journal = append(v.journal, undo{kind: undoNonce, account: l, number: l.nonce, flag: l.nonceSet})
	l.nonce, l.nonceSet = nonce, true
	l.present++
	l.changes++
}

// GetCode implements vm.StateDB.
func (v *View) GetCode(addr common.Address) []byte {
	l := v.local(addr)
	code := l.codeOf(v)
	if code == noCode || l.account == nil {
		return nil
	}
	bytes, err := v.base.bytes(l.account, code)
	if err != nil {
		v.fail(err)
	}
	return bytes
}

// GetCodeSize implements vm.StateDB.
func (v *View) GetCodeSize(addr common.Address) int { return len(v.GetCode(addr)) }

// GetCodeHash implements vm.StateDB.
func (v *View) GetCodeHash(addr common.Address) common.Hash {
	l := v.local(addr)
	if code := l.codeOf(v); code != noCode {
		return code.Hash
	}
	if l.present > 0 || v.existed(l) {
		return types.EmptyCodeHash
	}
	return common.Hash{}
}

// SetCode implements vm.StateDB. The previous code, which only tracers want, is not
// returned.
func (v *View) SetCode(addr common.Address, bytes []byte, _ tracing.CodeChangeReason) []byte {
	l := v.local(addr)
	l.codeOf(v)
	v.journal = append(v.journal, undo{kind: undoCode, account: l, code: l.code, flag: l.codeSet})
	l.code = noCode
	if len(bytes) > 0 {
		l.code = newCode(crypto.Keccak256Hash(bytes), bytes)
	}
	l.codeSet = true
	l.present++
	l.changes++
	return nil
}

// GetStorageRoot implements vm.StateDB: the root before the block, as upstream has it
// until the block's end.
func (v *View) GetStorageRoot(addr common.Address) common.Hash {
	l := v.local(addr)
	if l.present == 0 && !v.existed(l) {
		return common.Hash{}
	}
	a := v.account(l)
	if a == nil || a.root == (common.Hash{}) || a.root == types.EmptyRootHash {
		return types.EmptyRootHash
	}
	gone := &a.destiny().wiped
	wiped, writer, ok := gone.Read(v.tx, true)
	if !ok {
		v.block(writer)
	}
	v.out.reads.flags = append(v.out.reads.flags, blockstm.Captured[bool]{Cell: gone, Seen: wiped})
	if wiped {
		return types.EmptyRootHash
	}
	return a.root
}
