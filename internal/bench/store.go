package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethdb"
	"github.com/ethereum/go-ethereum/ethdb/pebble"

	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
)

// Setting is where the parent state is.
type Setting string

const (
	Memory Setting = "memory" // all of it in memory
	Warm   Setting = "warm"   // on disk; what the block touches is in the caches
	Cold   Setting = "cold"   // on disk; caches and the system's page cache are empty
)

// Settings returns all settings.
func Settings() []Setting { return []Setting{Memory, Warm, Cold} }

const (
	pebbleCache   = 512 // MiB
	pebbleHandles = 512

	completeMark = "complete" // a file in the directory of a store that is whole
)

// Store is a database with the parent block and its state. On disk, stores are kept from
// run to run, under a name that stands for what is in them.
type Store struct {
	Setting  Setting
	Accounts int // besides those of the workloads

	genesis *core.Genesis // until it is in the database
	dir     string        // on disk
	memory  *keptMemory   // in memory
}

// keptMemory is a database in memory that survives being closed.
type keptMemory struct{ ethdb.Database }

// Close implements ethdb.Database: the content is to stay.
func (keptMemory) Close() error { return nil }

// NewStore makes a store, or finds it if it is on disk already. The state has the
// accounts and contracts of alloc, the predeploys of a real chain, and as many further
// accounts as told, a quarter of which hold the first token too.
func NewStore(setting Setting, root string, accounts int, alloc types.GenesisAlloc, progress func(string)) (*Store, error) {
	genesis, err := opchain.Genesis(opchain.Options{Alloc: alloc, Compact: true})
	if err != nil {
		return nil, err
	}
	s := &Store{Setting: setting, Accounts: accounts, genesis: genesis}
	if setting == Memory {
		progress(fmt.Sprintf("making a state of %d accounts in memory", len(genesis.Alloc)+accounts))
		s.populate()
		s.memory = &keptMemory{rawdb.NewMemoryDatabase()}
		return s, s.settle()
	}
	s.dir = filepath.Join(root, fmt.Sprintf("state-%d-%x", accounts, digest(genesis.Alloc, accounts)[:8]))
	if _, err := os.Stat(filepath.Join(s.dir, completeMark)); err == nil {
		s.genesis = nil
		return s, nil
	}
	progress(fmt.Sprintf("making a state of %d accounts in %s", len(genesis.Alloc)+accounts, s.dir))
	if err := os.RemoveAll(s.dir); err != nil {
		return nil, err
	}
	s.populate()
	if err := s.settle(); err != nil {
		return nil, err
	}
	return s, os.WriteFile(filepath.Join(s.dir, completeMark), nil, 0o644)
}

// digest names what is in a state.
func digest(alloc types.GenesisAlloc, accounts int) []byte {
	h := crypto.NewKeccakState()
	word := func(n uint64) { h.Write(binary.BigEndian.AppendUint64(nil, n)) }
	word(uint64(accounts))
	for _, addr := range slices.SortedFunc(maps.Keys(alloc), common.Address.Cmp) {
		a := alloc[addr]
		h.Write(addr[:])
		word(a.Nonce)
		word(uint64(len(a.Code)))
		h.Write(a.Code)
		h.Write(common.BigToHash(a.Balance).Bytes())
		word(uint64(len(a.Storage)))
		for _, key := range slices.SortedFunc(maps.Keys(a.Storage), common.Hash.Cmp) {
			value := a.Storage[key]
			h.Write(key[:])
			h.Write(value[:])
		}
	}
	return h.Sum(nil)
}

// populate adds the further accounts to the genesis.
func (s *Store) populate() {
	var (
		alloc = s.genesis.Alloc
		token = alloc[workload.TokenAddress(0)]
		entry [64]byte // of the token's mapping of balances, at slot 0
	)
	for i := range s.Accounts {
		hash := crypto.Keccak256(binary.BigEndian.AppendUint64([]byte("further account"), uint64(i)))
		addr := common.BytesToAddress(hash)
		alloc[addr] = types.Account{Balance: new(big.Int).SetBytes(hash[:8]), Nonce: uint64(hash[8])}
		if i%4 == 0 && token.Storage != nil {
			copy(entry[12:32], addr[:])
			token.Storage[crypto.Keccak256Hash(entry[:])] = common.BytesToHash(hash[9:16])
		}
	}
}

// settle opens a new store until its state can be read as that of a running node.
func (s *Store) settle() error {
	db, chain, err := s.open(nil)
	if err != nil {
		return err
	}
	s.genesis = nil
	for !chain.TrieDB().SnapshotCompleted() {
		time.Sleep(10 * time.Millisecond)
	}
	chain.Stop()
	return db.Close()
}

// open opens the database and the chain on it.
func (s *Store) open(engine consensus.Engine) (ethdb.Database, *core.BlockChain, error) {
	if engine == nil {
		engine = beacon.New(nil)
	}
	var db ethdb.Database = s.memory
	if s.Setting != Memory {
		kv, err := pebble.New(s.dir, pebbleCache, pebbleHandles, "", false)
		if err != nil {
			return nil, nil, fmt.Errorf("opening the database %s: %w", s.dir, err)
		}
		db = rawdb.NewDatabase(kv)
	}
	cfg := core.DefaultConfig().WithStateScheme(rawdb.PathScheme)
	chain, err := core.NewBlockChain(db, s.genesis, engine, cfg)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("opening the chain: %w", err), db.Close())
	}
	return db, chain, nil
}

// evict has the system forget the store's files.
func (s *Store) evict() error {
	return filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return evictFile(path)
	})
}
