package buildtest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// lateWorkers keeps all workers but one from starting until that one has passed a number
// of decision points.
type lateWorkers struct{ points, first atomic.Int64 }

// Pause implements blockstm.Chaos.
func (l *lateWorkers) Pause(worker int) {
	if worker == 0 {
		if l.points.Add(1) > l.first.Load() {
			time.Sleep(200 * time.Microsecond) // let them have the rest
		}
		return
	}
	for deadline := time.Now().Add(time.Second); l.points.Load() <= l.first.Load() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Microsecond)
	}
}

// Spurious implements blockstm.Chaos.
func (l *lateWorkers) Spurious(blockstm.TxIndex) bool { return false }

func TestAWorkerThatComesLateSeesTheBlockAsTheFirstDid(t *testing.T) {
	// What a worker caches for the whole block must not depend on when it starts.
	for _, name := range []string{"fees-are-those-of-the-first-transaction", "l1block-is-read-after-the-attributes", "operator-fee", "beacon-root-and-parent-hash"} {
		for _, trap := range Traps() {
			if trap.Name != name {
				continue
			}
			t.Run(name, func(t *testing.T) {
				s, err := trap.Spring("Jovian", caseSeed())
				if err != nil {
					t.Fatal(err)
				}
				n := openNode(t, s.Scenario, "")
				want, err := n.fill(attempt{workers: Sequential})
				if err != nil {
					t.Fatal(err)
				}
				for points := int64(4); points < 48; points += 8 {
					late := new(lateWorkers)
					late.first.Store(points)
					got, err := n.fill(attempt{workers: 3, chaos: late})
					if err == nil {
						err = Diff(s.Scenario, want, got)
					}
					if err != nil {
						t.Fatalf("others start after %d points: %v\n%s", points, err, replay(t, s.Seed))
					}
				}
			})
		}
	}
}
