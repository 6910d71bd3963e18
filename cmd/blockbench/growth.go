package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/op-geth-parallel/op-geth-parallel/internal/bench"
)

// measureGrowth measures how filling grows with the block and the window, on each of the
// workloads at each number of workers.
func (s *settings) measureGrowth(ctx context.Context, progress *progress) error {
	defer s.Profile()()
	var all error
	for _, load := range s.Workloads {
		for _, workers := range s.Workers {
			g, err := bench.MeasureGrowth(ctx, bench.GrowthOptions{
				World: s.World, Workload: load, Txs: s.growth, Windows: s.windows, Workers: workers, Rounds: s.Rounds, Progress: s.Progress,
			})
			progress.end()
			if len(g.Rows) > 0 {
				err = errors.Join(err, g.WriteText(os.Stdout))
				fmt.Println()
			}
			if s.json != "" {
				err = errors.Join(err, writeFile(s.json, g.WriteJSON))
			}
			if all = errors.Join(all, err); err != nil {
				return all
			}
		}
	}
	return all
}
