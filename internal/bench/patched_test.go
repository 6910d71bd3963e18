//go:build patched

package bench

import "testing"

func TestTheMinerSealsTheSameBlockOnBothSides(t *testing.T) {
	n := newNode(t, Memory, 100, 0)
	for _, name := range []string{"transfers", "one-pool", "base"} {
		offer(t, n, find(t, name))
		for _, workers := range []int{1, 2, 4} {
			outcome, err := n.Compare(t.Context(), Comparison{Workers: workers, Rounds: 2, Sides: Both, Memory: true})
			if err != nil {
				t.Fatalf("%s, %d workers: %v; seed %d", name, workers, err, testSeed)
			}
			if !outcome.Equal || len(outcome.Pairs) != 2 {
				t.Errorf("%s, %d workers: equal %v, %d rounds; seed %d", name, workers, outcome.Equal, len(outcome.Pairs), testSeed)
			}
			for _, pair := range outcome.Pairs {
				if pair.Sequential.Engine.Executions != 0 || pair.Parallel.Engine.Executions < testTxs {
					t.Errorf("%s, %d workers: the parallel engine executed %d transactions sequentially and %d in parallel", name, workers,
						pair.Sequential.Engine.Executions, pair.Parallel.Engine.Executions)
				}
			}
		}
	}
}
