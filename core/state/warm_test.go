package state

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// slowNodes has no trie node for anybody, after a while, and counts who asks.
type slowNodes struct {
	delay time.Duration
	asked atomic.Int64
}

// Node implements database.NodeReader: an extension at the root, which no key is on.
func (n *slowNodes) Node(common.Hash, []byte, common.Hash) ([]byte, error) {
	n.asked.Add(1)
	if n.delay > 0 {
		for start := time.Now(); time.Since(start) < n.delay; { // sleeping takes longer than asked for
		}
	}
	// [path of one odd nibble f, hash]
	return append([]byte{0xe2, 0x1f, 0xa0}, make([]byte, 32)...), nil
}

// warmed returns how often nodes were read for n accounts.
func warmed(delay time.Duration, n int) int64 {
	nodes := &slowNodes{delay: delay}
	w := &warmer{tries: &Tries{root: common.Hash{1}, nodes: nodes}}
	for range n {
		w.account(&Account{})
	}
	for range 1000 { // what was queued is read unless the block is finished before
		if len(w.batches) == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(10 * time.Millisecond)
	w.close()
	return nodes.asked.Load()
}

func TestNodesAreReadAheadIfTheyAreSlowToComeBy(t *testing.T) {
	const n = 10 * warmBatch
	if got := warmed(2*slowKey, n); got != n {
		t.Errorf("nodes read for %d of %d keys though they are slow to come by", got, n)
	}
	if got := warmed(0, n); got < sampleKeys || got > n/4 {
		t.Errorf("nodes read for %d of %d keys though they are quick to come by, want some %d", got, n, sampleKeys)
	}
}

func TestWhatIsReadAheadEndsWithTheBlock(t *testing.T) {
	nodes := &slowNodes{delay: 10 * time.Millisecond}
	w := &warmer{tries: &Tries{root: common.Hash{1}, nodes: nodes}}
	for range 20 * warmBatch {
		w.account(&Account{})
	}
	start := time.Now()
	w.close()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v to end, want no more than a node's time", took)
	}
	asked := nodes.asked.Load()
	time.Sleep(30 * time.Millisecond)
	if later := nodes.asked.Load(); later != asked {
		t.Errorf("%d nodes read after the end", later-asked)
	}
}
