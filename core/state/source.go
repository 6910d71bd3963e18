package state

import (
	"errors"
	"reflect"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/triedb/database"
)

// source reads the parent state. op-geth's reader hashes an address or a key each time,
// and so does whoever changes it in a trie later: where the reader is op-geth's own, over
// a database that is asked by hash, the source asks that, and the hash is kept.
//
// It is safe for concurrent use once it is set up.
type source struct {
	state.Reader
	flat database.StateReader // nil: only Reader is asked
	slim slimReader           // flat, if it gives accounts as they are stored
}

// slimReader is what path based databases can do besides a database.StateReader.
type slimReader interface {
	AccountRLP(hash common.Hash) ([]byte, error)
}

func newSource(reader state.Reader) source { return source{Reader: reader} }

// flatten has the source ask the database of the state with the given root, if there is
// nothing between its reader and that.
func (s *source) flatten(root common.Hash, db state.Database) {
	if _, plain := db.(*state.CachingDB); !plain || !isUpstreams(s.Reader) {
		return
	}
	flat, err := db.TrieDB().StateReader(root)
	if err != nil {
		return // hash based: the reader knows what else there is
	}
	s.flat = flat
	s.slim, _ = flat.(slimReader)
}

// isUpstreams reports whether a reader is one that op-geth's package state made.
func isUpstreams(reader state.Reader) bool {
	t := reflect.TypeOf(reader)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == reflect.TypeFor[state.CachingDB]().PkgPath()
}

// account stores what the state has of an account. As long as the flat state is not
// complete, some of it can only be found in the trie, where the reader looks next.
func (s *source) account(addr common.Address, hash common.Hash, into *storedAccount) error {
	switch {
	case s.slim != nil:
		if blob, err := s.slim.AccountRLP(hash); err == nil && decodeSlim(blob, into) == nil {
			return nil
		}
	case s.flat != nil:
		slim, err := s.flat.Account(hash)
		if err != nil {
			break
		}
		if into.exists = slim != nil; into.exists {
			into.complete(slim.Nonce, slim.Balance.Bytes(), slim.Root, slim.CodeHash)
		}
		return nil
	}
	account, err := s.Account(addr)
	if err == nil {
		into.keep(account)
	}
	return err
}

// storage returns the value of a slot.
func (s *source) storage(addr common.Address, addrHash common.Hash, key, keyHash common.Hash) (common.Hash, error) {
	if s.flat != nil {
		if blob, err := s.flat.Storage(addrHash, keyHash); err == nil {
			if len(blob) == 0 {
				return common.Hash{}, nil
			}
			if content, rest, err := rlp.SplitString(blob); err == nil && len(rest) == 0 {
				return common.BytesToHash(content), nil
			}
		}
	}
	return s.Storage(addr, key)
}

var errNotSlim = errors.New("no account in the slim format")

// decodeSlim decodes an account as a path based database stores it (types.SlimAccount),
// or that there is none.
func decodeSlim(blob []byte, into *storedAccount) error {
	if len(blob) == 0 {
		into.exists = false
		return nil
	}
	content, rest, err := rlp.SplitList(blob)
	if err != nil || len(rest) > 0 {
		return errNotSlim
	}
	nonce, content, err := rlp.SplitUint64(content)
	if err != nil {
		return err
	}
	var fields [3][]byte // balance, root, code hash
	for i := range fields {
		if fields[i], content, err = rlp.SplitString(content); err != nil {
			return err
		}
	}
	if len(content) > 0 || len(fields[0]) > 32 || len(fields[1])%32 > 0 || len(fields[2])%32 > 0 {
		return errNotSlim
	}
	into.exists = true
	into.complete(nonce, fields[0], fields[1], fields[2])
	return nil
}

// complete sets the account by the fields of the slim format, in which an empty storage
// and no code are left out.
func (s *storedAccount) complete(nonce uint64, balance, root, codeHash []byte) {
	s.balance.SetBytes(balance)
	s.account = types.StateAccount{Nonce: nonce, Balance: &s.balance, Root: types.EmptyRootHash, CodeHash: types.EmptyCodeHash[:]}
	if len(root) > 0 {
		s.account.Root = common.BytesToHash(root)
	}
	if len(codeHash) > 0 {
		s.account.CodeHash = common.CopyBytes(codeHash)
	}
}

// hasher hashes addresses and keys and leaves no garbage.
type hasher struct {
	state crypto.KeccakState
	sum   common.Hash
}

var hashers = sync.Pool{New: func() any { return &hasher{state: crypto.NewKeccakState()} }}

func keccak(data []byte) common.Hash {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	h.state.Reset()
	h.state.Write(data)
	h.state.Read(h.sum[:])
	return h.sum
}
