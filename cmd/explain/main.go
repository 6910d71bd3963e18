// Command explain says why a block is filled in parallel as fast as it is: which parts of
// the state its transactions meet at, what the longest chain of dependencies is, and what
// speed-up any number of threads could give at best and would give. The latter comes from
// a simulation with the builder's own scheduler; see package internal/simulate.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/bench"
	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/simulate"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// settings are what the command line says.
type settings struct {
	bench.ExplainOptions
	world     bench.World
	workloads []bench.Workload
	files     []string
	rpc       string
	block     string
	txs       int
	json      bool
	html      string
}

// command is what -help says besides the flags.
func command() *cli.Command {
	var loads strings.Builder
	for _, w := range bench.Workloads() {
		fmt.Fprintf(&loads, "  %-14s %s\n", w.Name, w.About)
	}
	return &cli.Command{
		Name: "explain",
		About: `Says what keeps a block from being filled faster in parallel.

A FILE is a recorded block (NUMBER.json.gz) or one that --miner.parallel-verify has written
down (a .json file in <datadir>/geth/parallel-verify). A block of a running node is read
over RPC, and a workload of the benchmark is made here.`,
		Args: "[FILE...]",
		More: "Workloads:\n" + loads.String(),
		Examples: `
  explain -workloads erc20,one-pool
        blocks of the benchmark's workloads
  explain -html block.html ../shared/fixtures/mainnet/14029313.json.gz
        a block of the main network, as a page with a picture of the schedule
  explain -rpc http://127.0.0.1:8545 -block latest -json
        the last block of a node that has its debug RPC enabled
  explain -rpc /data/geth.ipc -block 1234567 -html block.html
        a block of the node on this machine, where nothing has to be enabled
  explain -check 1,2 -rounds 15 -quiet 30s -workloads transfers
        also compare the simulation with real runs
`}
}

// parse reads the command line. Its errors name the flag, the value and what is allowed.
func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{}
	var loads, workers, check, scale string
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.StringVar(&loads, "workloads", "none", "`list` of the benchmark's workloads: all, quick, none, names")
	flags.IntVar(&s.txs, "txs", 2000, "transactions of a workload's block")
	flags.Uint64Var(&s.world.Seed, "workload-seed", 1, "seed of the workloads' transactions")
	flags.StringVar(&s.rpc, "rpc", "", "`URL`, or path of geth.ipc, of a node to read a block from; it needs the eth and debug namespaces")
	flags.StringVar(&s.block, "block", "latest", "which block to read from the node: latest, a number or a `hash`")
	flags.StringVar(&workers, "workers", "1,2,4,8,16,32,64", "`list` of numbers of threads to simulate")
	flags.IntVar(&s.Picture, "picture", 8, "threads in the picture of the schedule, which -html and -json have (0: no picture)")
	flags.IntVar(&s.Top, "top", 10, "keys to show")
	flags.IntVar(&s.Window, "window", 0, "most candidates to speculate ahead (0: the builder's default)")
	flags.Uint64Var(&s.Seed, "seed", 1, "seed of the simulation, for which of two threads goes first when both could")
	flags.StringVar(&check, "check", "", "`list` of numbers of threads, at most the machine's, with which to fill the block in earnest and compare")
	flags.IntVar(&s.Rounds, "rounds", 9, "fillings of a check")
	flags.DurationVar(&s.Quiet, "quiet", 0, "wait up to this long before each filling of a check for other processes to leave the machine alone")
	flags.StringVar(&scale, "what-if", "", "`list` of factors on what takes time, as in commit=0.5,lock=0: draw, execute, validate, commit, lock, register, wake, signal")
	flags.BoolVar(&s.json, "json", false, "write JSON instead of text")
	flags.StringVar(&s.html, "html", "", "`file` to write a page with pictures to")
	if err := command().Parse(flags, args, out); err != nil {
		return nil, err
	}
	s.files = flags.Args()
	var fixtures bool
	var err error
	if s.workloads, fixtures, err = bench.ParseWorkloads(loads); err != nil {
		return nil, err
	}
	if fixtures {
		return nil, fmt.Errorf("-workloads has %q: name the files instead, as in explain ../shared/fixtures/mainnet/*.json.gz", bench.FixtureWorkload)
	}
	if s.Workers, err = numbers("-workers", workers, params.MaxThreads); err != nil {
		return nil, err
	}
	if s.Check, err = numbers("-check", check, params.MaxThreads); err != nil {
		return nil, err
	}
	if s.Scale, err = simulate.ParseScale(scale); err != nil {
		return nil, fmt.Errorf("-what-if is %q: %w", scale, err)
	}
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"-txs", s.txs, 1, 200_000},
		{"-picture", s.Picture, 0, params.MaxThreads},
		{"-top", s.Top, 1, 10_000},
		{"-window", s.Window, 0, 1 << 20},
		{"-rounds", s.Rounds, 1, 1000},
	} {
		if f.value < f.low || f.value > f.high {
			return nil, fmt.Errorf("%s is %d, allowed are %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	if s.Quiet < 0 || s.Quiet > time.Hour {
		return nil, fmt.Errorf("-quiet is %v, allowed are 0 to 1h", s.Quiet)
	}
	if len(s.workloads) == 0 && len(s.files) == 0 && s.rpc == "" {
		return nil, errors.New("there is no block to explain: give a file, -workloads or -rpc (-help tells more)")
	}
	if s.rpc != "" {
		if err := bench.CheckNode(s.rpc, s.block); err != nil {
			return nil, err
		}
	}
	for _, path := range s.files {
		if err := cli.Input("FILE", path, "a recorded block or one that was written down by --miner.parallel-verify", false); err != nil {
			return nil, err
		}
	}
	if err := cli.Output("-html", s.html); err != nil {
		return nil, err
	}
	s.world.Senders, s.world.Pools = min(s.txs, workload.MaxAccounts), 64
	return s, nil
}

// numbers reads a list of numbers from 1 on.
func numbers(name, text string, most int) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var out []int
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%s has %q, allowed are numbers from 1 to %d with commas between them", name, part, most)
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, s, os.Stdout, os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "explain:", err)
	}
	switch {
	case interrupted:
		os.Exit(cli.Interrupted)
	case err != nil:
		os.Exit(cli.Failure)
	}
}

// run explains all blocks and writes what it found. Of several it writes those that it
// could explain.
func run(ctx context.Context, s *settings, out, progress io.Writer) error {
	s.Progress = func(text string) { fmt.Fprintln(progress, text) }
	var all []*bench.Explanation
	err := subjects(ctx, s, func(subject *bench.Subject) error {
		e, err := bench.Explain(ctx, subject, s.ExplainOptions)
		if err != nil {
			return err
		}
		all = append(all, e)
		if s.json {
			return nil
		}
		if len(all) > 1 {
			fmt.Fprintln(out)
		}
		return e.WriteText(out)
	})
	for _, e := range all {
		for _, c := range e.Checks {
			if !c.Within {
				err = errors.Join(err, fmt.Errorf("%s with %d threads: the simulation is off by %+.0f %%, allowed are %.0f (others took %.0f %% of the machine meanwhile)",
					e.Name, c.Workers, 100*c.Error, 100*bench.Tolerance, 100*c.Others))
			}
		}
	}
	machine := bench.ThisMachine()
	if s.json && len(all) > 0 {
		err = errors.Join(err, bench.WriteExplanationsJSON(out, machine, all))
	}
	if s.html != "" && len(all) > 0 {
		f, failure := os.Create(s.html)
		if failure != nil {
			return errors.Join(err, fmt.Errorf("-html: %w", failure))
		}
		err = errors.Join(err, bench.WriteExplanationsHTML(f, machine, all), f.Close())
	}
	return err
}

// subjects calls f for every block that is asked for, one after the other.
func subjects(ctx context.Context, s *settings, f func(*bench.Subject) error) error {
	for _, path := range s.files {
		load := bench.LoadFixture
		if !strings.HasSuffix(path, ".gz") {
			load = bench.LoadDump
		}
		fixture, err := load(path)
		if err != nil {
			return err
		}
		if err := f(fixture.Subject()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if s.rpc != "" {
		s.Progress(fmt.Sprintf("reading block %s from %s", s.block, s.rpc))
		fixture, err := bench.FetchFixture(ctx, s.rpc, s.block)
		if err != nil {
			return err
		}
		if err := f(fixture.Subject()); err != nil {
			return fmt.Errorf("block %s: %w", s.block, err)
		}
	}
	if len(s.workloads) == 0 {
		return nil
	}
	return bench.WorkloadSubjects(s.world, s.workloads, s.txs, s.Progress, f)
}
