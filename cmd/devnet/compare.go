package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// compare runs the same transactions sequentially and in parallel.
func compare(ctx context.Context, s *settings, out io.Writer) error {
	if err := prepareDatadir(s.datadir); err != nil {
		return err
	}
	genesisTime := uint64(time.Now().Unix())
	var reports []*report
	for _, threads := range []int{params.SequentialThreads, s.threads} {
		report, err := execute(ctx, s, threads, genesisTime, out)
		if err != nil {
			if report != nil && len(report.Blocks) > 0 {
				report.print(out)
			}
			return err
		}
		reports = append(reports, report)
		fmt.Fprintln(out)
	}
	printComparison(out, s, reports[0], reports[1])
	if err := writeJSON(s.json, reports...); err != nil {
		return err
	}
	return differing(s, reports[0], reports[1])
}

// printComparison prints two summaries side by side.
func printComparison(out io.Writer, s *settings, seq, par *report) {
	left := make(map[string]string)
	for _, row := range seq.rows() {
		left[row.name] = row.value
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range par.rows() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", row.name, left[row.name], row.value)
	}
	a, b := seq.totals(), par.totals()
	if a.Build > 0 && b.Build > 0 && a.Gas > 0 {
		fmt.Fprintf(table, "build speed, parallel to sequential\t\t%.2f×\n", mgas(b.Gas, b.Build)/mgas(a.Gas, a.Build))
	}
	if s.backlog > 0 {
		fmt.Fprintf(table, "blocks with the same hash\t\t%d of %d\n", equalBlocks(seq, par), len(par.Blocks))
	}
	table.Flush()
}

// equalBlocks is how many blocks are the same in both runs, from the first on.
func equalBlocks(a, b *report) int {
	n := 0
	for n < len(a.Blocks) && n < len(b.Blocks) && a.Blocks[n].Hash == b.Blocks[n].Hash {
		n++
	}
	return n
}

// errDiffering is returned (wrapped) when both ways of building gave different blocks.
var errDiffering = errors.New("sequential and parallel building gave different blocks")

// differing fails if a block differs though both builders had the same transactions and
// time for all of them. With -rate it depends on chance what a build sees, and a build
// that getPayload interrupts may end anywhere.
func differing(s *settings, seq, par *report) error {
	n := equalBlocks(seq, par)
	if s.backlog == 0 || n == len(par.Blocks) {
		return nil
	}
	a, b := &seq.Blocks[n], &par.Blocks[n]
	if a.Build > s.blockTime || b.Build > s.blockTime || a.Pending != b.Pending {
		return nil
	}
	return fmt.Errorf("%w: block %d is %s with %d transactions sequentially and %s with %d in parallel, -seed %d", errDiffering, a.Number, a.Hash, a.Txs, b.Hash, b.Txs, s.seed)
}
