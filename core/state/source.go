package state

import (
	"errors"
	"reflect"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/triedb/database"
	"github.com/holiman/uint256"
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

// account returns what the state has of an account, nil if it has none. As long as the
// flat state is not complete, some of it can only be found in the trie, where the reader
// looks next.
func (s *source) account(addr common.Address, hash common.Hash) (*types.StateAccount, error) {
	switch {
	case s.slim != nil:
		blob, err := s.slim.AccountRLP(hash)
		if err != nil {
			break
		}
		if len(blob) == 0 {
			return nil, nil
		}
		if account, err := decodeSlim(blob); err == nil {
			return account, nil
		}
	case s.flat != nil:
		slim, err := s.flat.Account(hash)
		if err != nil {
			break
		}
		if slim == nil {
			return nil, nil
		}
		return completed(slim.Nonce, slim.Balance, slim.Root, slim.CodeHash), nil
	}
	return s.Account(addr)
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

// decodeSlim decodes an account as a path based database stores it (types.SlimAccount).
func decodeSlim(blob []byte) (*types.StateAccount, error) {
	content, rest, err := rlp.SplitList(blob)
	if err != nil || len(rest) > 0 {
		return nil, errNotSlim
	}
	nonce, content, err := rlp.SplitUint64(content)
	if err != nil {
		return nil, err
	}
	var fields [3][]byte // balance, root, code hash
	for i := range fields {
		if fields[i], content, err = rlp.SplitString(content); err != nil {
			return nil, err
		}
	}
	if len(content) > 0 || len(fields[0]) > 32 || len(fields[1])%32 > 0 || len(fields[2])%32 > 0 {
		return nil, errNotSlim
	}
	return completed(nonce, new(uint256.Int).SetBytes(fields[0]), fields[1], fields[2]), nil
}

// completed returns an account of the slim format's fields. Those that are left out there
// stand for an empty storage and no code.
func completed(nonce uint64, balance *uint256.Int, root, codeHash []byte) *types.StateAccount {
	a := &types.StateAccount{Nonce: nonce, Balance: balance, Root: types.EmptyRootHash, CodeHash: types.EmptyCodeHash[:]}
	if len(root) > 0 {
		a.Root = common.BytesToHash(root)
	}
	if len(codeHash) > 0 {
		a.CodeHash = common.CopyBytes(codeHash)
	}
	return a
}

func keccak(data []byte) common.Hash { return crypto.Keccak256Hash(data) }
