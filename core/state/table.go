package state

import (
	"github.com/ethereum/go-ethereum/common"
)

// shardCount is how many ways the table is split, so that workers seldom meet.
const shardCount = 64

// Table holds the accounts of a Base. Of a finished block's table only what it knows of
// the parent state is of use: that does not depend on the block, and never changes.
//
// It is safe for concurrent use.
type Table struct {
	shards [shardCount]shard
}

type shard struct {
	mu       patientMutex // guards accounts
	accounts map[common.Address]*Account
	_        [88]byte // shards lie on cache lines of their own
}

func newTable() *Table {
	t := new(Table)
	for i := range t.shards {
		t.shards[i].accounts = make(map[common.Address]*Account)
	}
	return t
}

func (t *Table) shard(addr common.Address) *shard {
	return &t.shards[(addr[1]^addr[7]^addr[13]^addr[19])%shardCount]
}

// lookup returns what is held of an account, nil if nothing is, as there is in no table.
func (t *Table) lookup(addr common.Address) *Account {
	if t == nil {
		return nil
	}
	sh := t.shard(addr)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.accounts[addr]
}

// insert adds an account unless it is there already, and returns the one that is there.
func (t *Table) insert(a *Account) *Account {
	sh := t.shard(a.Address)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if old := sh.accounts[a.Address]; old != nil {
		return old
	}
	sh.accounts[a.Address] = a
	return a
}

// all returns the accounts. Nobody else uses the table.
func (t *Table) all() (accounts []*Account) {
	for i := range t.shards {
		for _, a := range t.shards[i].accounts {
			accounts = append(accounts, a)
		}
	}
	return accounts
}
