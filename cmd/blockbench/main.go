// Command blockbench measures how much sooner blocks are ready when they are built in
// parallel. It builds the same blocks from the same pool on the same parent state through
// op-geth's own miner, sequentially and in parallel in turn, and checks that both are the
// same. It needs the patched op-geth:
//
//	make bench ARGS="-workloads quick -workers 2"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/bench"
	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// settings are what the flags say.
type settings struct {
	bench.Options
	json, csv, html, md string
	profiles            profilePaths
	growth, windows     []int           // not nil: measure growth instead
	features            []bench.Feature // not nil: measure these instead
}

// command is what -help says besides the flags.
func command() *cli.Command {
	return &cli.Command{
		Name:  "blockbench",
		About: "Measures how much sooner blocks are ready when they are built in parallel.",
		Examples: `
  blockbench -workloads quick
        within a minute
  blockbench -accounts 1000000 -json bench.json -html bench.html
        everything, on a million accounts
  blockbench -workloads erc20 -workers 2 -sides parallel -rounds 40 -cpuprofile erc20.prof
        a profile of the parallel side
  blockbench -workloads erc20 -workers 2 -sides parallel -rounds 40 -blockprofile wait.prof -mutexprofile locks.prof
        what workers wait for
  blockbench -growth 1000,5000,20000 -windows 16,64,256 -workloads transfers -workers 2 -senders 500
        how time and memory grow with the block and the window
  blockbench -features all
        what each part gains that chooses for itself, on and off
`}
}

// parse reads the command line. Its errors name the flag, the value and what is allowed.
func parse(args []string, usage io.Writer) (*settings, error) {
	s := &settings{}
	var loads, workers, setting, sides, blocks, growth, windows, features string
	flags := flag.NewFlagSet("blockbench", flag.ContinueOnError)
	flags.StringVar(&loads, "workloads", "all", "`list` of workloads: all, quick, none, names")
	flags.StringVar(&blocks, "blocks", "", "`directory` of blocks of real chains, which adds the workload fixtures: filling only, always in memory")
	flags.StringVar(&workers, "workers", "", "`list` of numbers of workers; 1 is the parallel path with a single worker (default 1,2,4,8; if all that runs is the choice quick: 2)")
	flags.IntVar(&s.Txs, "txs", 5000, "transactions of a block")
	flags.IntVar(&s.Rounds, "rounds", 7, "rounds; a round builds sequentially, then in parallel")
	flags.Uint64Var(&s.Seed, "seed", 1, "seed of the transactions")
	flags.IntVar(&s.Senders, "senders", 0, "sending accounts (0: as many as transactions)")
	flags.IntVar(&s.Pools, "pools", 64, "constant-product pools")
	flags.StringVar(&setting, "state", string(bench.Warm), fmt.Sprintf("where the parent state is: %v", bench.Settings()))
	flags.IntVar(&s.Accounts, "accounts", 100_000, "accounts of the state besides those that take part")
	flags.StringVar(&s.Dir, "dir", filepath.Join("build", "bench"), "`directory` in which states on disk are kept from run to run")
	flags.DurationVar(&s.Latency, "read-latency", 0, "delay added to every read of an account or slot of the parent state")
	flags.DurationVar(&s.Quiet, "quiet", 0, "wait up to this long before each build for other processes to leave the machine alone")
	flags.StringVar(&sides, "sides", string(bench.Both), "what to build: both, sequential, parallel; one side only is for profiles")
	flags.StringVar(&s.json, "json", "", "`file` to write the results to, as JSON")
	flags.StringVar(&s.csv, "csv", "", "`file` to write the rows to, as CSV")
	flags.StringVar(&s.md, "markdown", "", "`file` to write a table for documents to")
	flags.StringVar(&s.html, "html", "", "`file` to write a report with plots to; it also shows what the workers did, on the first workload")
	flags.StringVar(&growth, "growth", "", "`list` of numbers of transactions: measure how filling in parallel grows with them instead of comparing, always in memory")
	flags.StringVar(&windows, "windows", "0", "`list` of windows, most candidates to speculate ahead (0: the builder's default), for -growth")
	flags.StringVar(&features, "features", "", "`list` of parts of the builder, or all: measure each of them on and off instead of comparing")
	flags.StringVar(&s.profiles.cpu, "cpuprofile", "", "`file` for a CPU profile; its label \"threads\" tells the sides apart")
	flags.StringVar(&s.profiles.mem, "memprofile", "", "`file` for a profile of allocations")
	flags.StringVar(&s.profiles.mutex, "mutexprofile", "", "`file` for a profile of how long holders of locks kept others waiting")
	flags.StringVar(&s.profiles.block, "blockprofile", "", "`file` for a profile of waiting, for locks, channels and conditions")
	help := command()
	help.More = workloadList()
	if err := help.Parse(flags, args, usage); err != nil {
		return nil, err
	}
	var err error
	var fixtures bool
	if s.Workloads, fixtures, err = bench.ParseWorkloads(loads); err != nil {
		return nil, err
	}
	if fixtures && blocks == "" {
		return nil, fmt.Errorf("-workloads has %q, for which -blocks must name a directory, such as ../shared/fixtures", bench.FixtureWorkload)
	}
	s.Blocks, s.Schedule = blocks, s.html != ""
	if workers == "" {
		if workers = "1,2,4,8"; loads == "quick" && blocks == "" {
			workers = "2"
		}
	}
	if s.Workers, err = numbers("-workers", workers, 1, params.MaxThreads); err != nil {
		return nil, err
	}
	if s.windows, err = numbers("-windows", windows, 0, maxWindow); err != nil {
		return nil, err
	}
	if growth != "" {
		if s.growth, err = numbers("-growth", growth, 1, maxTxs); err != nil {
			return nil, err
		}
	}
	if s.Senders == 0 && growth == "" {
		s.Senders = min(s.Txs, workload.MaxAccounts)
	}
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"-txs", s.Txs, 1, maxTxs},
		{"-rounds", s.Rounds, 1, 1000},
		{"-senders", s.Senders, 0, workload.MaxAccounts},
		{"-pools", s.Pools, 1, workload.MaxPools},
		{"-accounts", s.Accounts, 0, 100_000_000},
	} {
		if f.value < f.low || f.value > f.high {
			return nil, fmt.Errorf("%s is %d, allowed are %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	if s.Quiet < 0 || s.Quiet > time.Hour {
		return nil, fmt.Errorf("-quiet is %v, allowed are 0 to 1h", s.Quiet)
	}
	if s.Latency < 0 || s.Latency > time.Second {
		return nil, fmt.Errorf("-read-latency is %v, allowed are 0 to 1s", s.Latency)
	}
	switch s.Setting = bench.Setting(setting); s.Setting {
	case bench.Memory, bench.Warm, bench.Cold:
	default:
		return nil, fmt.Errorf("-state is %q, allowed are %v", setting, bench.Settings())
	}
	switch s.Sides = bench.Sides(sides); s.Sides {
	case bench.Both, bench.Sequential, bench.Parallel:
	default:
		return nil, fmt.Errorf("-sides is %q, allowed are both, sequential and parallel", sides)
	}
	for _, out := range []struct{ flag, path string }{
		{"-json", s.json}, {"-csv", s.csv}, {"-html", s.html}, {"-markdown", s.md}, {"-cpuprofile", s.profiles.cpu}, {"-memprofile", s.profiles.mem}, {"-mutexprofile", s.profiles.mutex}, {"-blockprofile", s.profiles.block},
	} {
		if err := cli.Output(out.flag, out.path); err != nil {
			return nil, err
		}
	}
	if err := s.featureSettings(flags, features); err != nil {
		return nil, err
	}
	return s, nil
}

// workloadList is the part of the help that names the workloads.
func workloadList() string {
	var text strings.Builder
	text.WriteString("Workloads:\n")
	for _, w := range bench.Workloads() {
		fmt.Fprintf(&text, "  %-14s %s\n", w.Name, w.About)
	}
	text.WriteString("\nFeatures:\n")
	for _, f := range bench.Features() {
		fmt.Fprintf(&text, "  %-14s %s\n", f.Name, f.About)
	}
	return text.String()
}

// The most that may be asked for.
const (
	maxTxs    = 200_000
	maxWindow = 1 << 20
)

// numbers reads a list of numbers.
func numbers(flag, text string, low, high int) ([]int, error) {
	var out []int
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < low || n > high {
			return nil, fmt.Errorf("%s has %q, allowed are numbers from %d to %d", flag, part, low, high)
		}
		out = append(out, n)
	}
	return out, nil
}

func main() {
	s, err := parse(os.Args[1:], os.Stdout)
	if err != nil {
		os.Exit(command().Complain(err, os.Stderr))
	}
	if !bench.Patched && s.growth == nil {
		fmt.Fprintln(os.Stderr, "blockbench: this build uses op-geth without the parallel builder.\nUse 'make bench ARGS=\"…\"', or, after 'make tree':\n\n\tgo run -modfile=build/patched.mod -tags patched ./cmd/blockbench …")
		os.Exit(cli.Failure)
	}
	switch err := run(s); {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "blockbench: interrupted")
		os.Exit(cli.Interrupted)
	case err != nil:
		fmt.Fprintln(os.Stderr, "blockbench:", err)
		os.Exit(cli.Failure)
	}
}

// run measures, and writes the results where the flags say.
func run(s *settings) error {
	progress := newProgress(os.Stderr)
	s.Progress = progress.show
	profiles, err := newProfiles(s.profiles)
	if err != nil {
		return err
	}
	s.Profile = profiles.measure
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if s.growth != nil {
		return errors.Join(s.measureGrowth(ctx, progress), profiles.close())
	}
	if s.features != nil {
		return errors.Join(s.measureFeatures(ctx, progress), profiles.close())
	}
	report, err := bench.Run(ctx, s.Options)
	progress.end()
	err = errors.Join(err, profiles.close())
	if report == nil {
		return err
	}
	if failed := report.WriteTable(os.Stdout); failed != nil {
		err = errors.Join(err, failed)
	}
	for _, out := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{s.json, report.WriteJSON},
		{s.csv, report.WriteCSV},
		{s.html, report.WriteHTML},
		{s.md, report.WriteMarkdown},
	} {
		if out.path != "" {
			err = errors.Join(err, writeFile(out.path, out.write))
		}
	}
	for _, row := range report.Rows {
		if !row.Equal {
			err = errors.Join(err, fmt.Errorf("%s with %d workers: the blocks differ", row.Workload, row.Workers))
		}
	}
	return err
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
