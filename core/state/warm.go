package state

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/op-geth-parallel/op-geth-parallel/core/trie"
)

// warmer reads trie nodes while a block is filled that hashing its state will need, if they
// are slow to come by. Hashing reads what it needs by itself, on all CPUs. If nodes are in
// memory, to read them before only takes CPUs away from the workers; if they are on the
// disk, waiting for them is better done while workers work.
//
// One goroutine uses it, the ordered commit. What it reads is of no consequence but for the
// time that it takes, and what cannot be read is not its business.
type warmer struct {
	tries   *Tries
	pending []warmKey
	batches chan []warmKey // nil: no reader is running
	stopped atomic.Bool
	readers sync.WaitGroup
	skip    atomic.Int32 // batches not to look at, since nodes were quick to come by
}

// warmKey is a key of a trie that is going to change.
type warmKey struct {
	owner, root, key common.Hash
}

const (
	// warmBatch is how many keys a reader is handed at a time.
	warmBatch = 64

	// warmReaders is how many reads are under way at a time, at most: they wait, and take
	// next to no CPU time.
	warmReaders = 8

	// warmQueue is how many batches wait for a reader, at most. Further ones are forgotten.
	warmQueue = 256

	// sampleKeys is how many keys of a batch are looked up to see how long that takes.
	sampleKeys = 5

	// slowKey is how long looking up a key takes at least if nodes come from the disk. From
	// memory it is some microseconds.
	slowKey = 25 * time.Microsecond

	// sampleEvery is how many batches are passed over after one whose nodes were quick to
	// come by.
	sampleEvery = 16
)

// account notes that an account is going to change in the account trie.
func (w *warmer) account(a *Account) { w.note(warmKey{common.Hash{}, w.tries.root, a.hash}) }

// slot notes that a slot is going to change in its account's trie.
func (w *warmer) slot(a *Account, s *Slot) { w.note(warmKey{a.hash, a.root, s.hash}) }

func (w *warmer) note(k warmKey) {
	if k.root == (common.Hash{}) {
		return
	}
	w.pending = append(w.pending, k)
	if len(w.pending) < warmBatch {
		return
	}
	if w.skip.Load() > 0 {
		w.skip.Add(-1)
		w.pending = w.pending[:0]
		return
	}
	if w.batches == nil {
		w.batches = make(chan []warmKey, warmQueue)
		w.readers.Add(warmReaders)
		for range warmReaders {
			go w.read(w.batches)
		}
	}
	select {
	case w.batches <- w.pending:
		w.pending = make([]warmKey, 0, warmBatch)
	default:
		w.pending = w.pending[:0]
	}
}

// close ends the readers, and waits for them.
func (w *warmer) close() {
	w.stopped.Store(true)
	if w.batches != nil {
		close(w.batches)
		w.batches = nil
	}
	w.readers.Wait()
	w.pending = nil
}

// read is the life of a reader.
func (w *warmer) read(batches <-chan []warmKey) {
	defer w.readers.Done()
	for keys := range batches {
		_ = trie.Guard(func() error { w.warm(keys); return nil }) // whoever hashes will see
	}
}

// warm reads the nodes on the way to the keys, unless the first ones say that it is not
// worth it.
func (w *warmer) warm(keys []warmKey) {
	var samples [sampleKeys]time.Duration
	for i, k := range keys {
		if w.stopped.Load() {
			return
		}
		if i == sampleKeys {
			// The median: another goroutine may have had the CPU during some, and others
			// ended at a node that was in memory.
			slices.Sort(samples[:])
			if samples[sampleKeys/2] < slowKey {
				w.skip.Store(sampleEvery)
				return
			}
		}
		start := time.Now()
		if trie.Walk(w.tries.nodes, k.owner, k.root, k.key) != nil {
			return
		}
		if i < sampleKeys {
			samples[i] = time.Since(start)
		}
	}
}
