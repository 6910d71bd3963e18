package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/op-geth-parallel/op-geth-parallel/internal/bench"
)

// featureSettings completes what the flags say of -features.
func (s *settings) featureSettings(flags *flag.FlagSet, text string) error {
	if text == "" {
		return nil
	}
	var err error
	if s.features, err = bench.ParseFeatures(text); err != nil {
		return err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range []string{"growth", "blocks", "csv", "html", "sides", "read-latency", "cpuprofile", "memprofile", "mutexprofile", "blockprofile"} {
		if given[name] {
			return fmt.Errorf("-%s is %q, with -features it is not allowed: leave it out", name, flags.Lookup(name).Value)
		}
	}
	if s.Setting == bench.Cold {
		return fmt.Errorf("-state is %q, allowed with -features are %v and %v", s.Setting, bench.Memory, bench.Warm)
	}
	if !given["workloads"] {
		if s.Workloads, _, err = bench.ParseWorkloads(bench.FeatureWorkloads); err != nil {
			return err
		}
	}
	if !given["workers"] {
		s.Workers = []int{2}
	}
	return nil
}

// measureFeatures measures what parts of the builder gain, at each number of workers.
func (s *settings) measureFeatures(ctx context.Context, progress *progress) error {
	var all error
	for _, workers := range s.Workers {
		report, err := bench.MeasureFeatures(ctx, bench.FeatureOptions{
			World: s.World, Features: s.features, Workloads: s.Workloads, Txs: s.Txs, Workers: workers, Rounds: s.Rounds,
			Setting: s.Setting, Dir: s.Dir, Accounts: s.Accounts, Quiet: s.Quiet, Progress: s.Progress,
		})
		progress.end()
		err = errors.Join(err, report.WriteText(os.Stdout))
		for _, out := range []struct {
			path  string
			write func(io.Writer) error
		}{{s.json, report.WriteJSON}, {s.md, report.WriteMarkdown}} {
			if out.path != "" {
				err = errors.Join(err, writeFile(out.path, out.write))
			}
		}
		for _, row := range report.Rows {
			if !row.Equal {
				err = errors.Join(err, fmt.Errorf("feature %s on %s: the blocks differ", row.Feature, row.Workload))
			}
		}
		if all = errors.Join(all, err); err != nil {
			return all
		}
	}
	return all
}
