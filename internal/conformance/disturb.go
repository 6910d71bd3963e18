package conformance

import (
	"hash/fnv"
	"math/rand"
	"runtime"
	"sync"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// maxSpurious bounds how often one transaction's valid execution is thrown away.
const maxSpurious = 2

// disturbance makes workers wait and throws valid executions away. Without it, most of
// the blocks here are so small that one worker is through before another has begun.
type disturbance struct {
	mu     sync.Mutex
	rng    *rand.Rand               // guarded by mu
	thrown map[blockstm.TxIndex]int // guarded by mu
}

// disturb returns the disturbance of a case. Its decisions follow from the name, but not
// the moments at which the engine asks for them.
func disturb(name string) *disturbance {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return &disturbance{rng: rand.New(rand.NewSource(int64(hash.Sum64()))), thrown: make(map[blockstm.TxIndex]int)}
}

func (d *disturbance) roll(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Intn(n)
}

// Pause implements blockstm.Chaos.
func (d *disturbance) Pause(int) {
	switch roll := d.roll(64); {
	case roll == 0:
		time.Sleep(50 * time.Microsecond)
	case roll < 24:
		runtime.Gosched()
	}
}

// Spurious implements blockstm.Chaos.
func (d *disturbance) Spurious(tx blockstm.TxIndex) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.thrown[tx] == maxSpurious || d.rng.Intn(4) != 0 {
		return false
	}
	d.thrown[tx]++
	return true
}
