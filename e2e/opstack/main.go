// Command opstack is the end-to-end test with the real OP Stack. It runs op-node as a
// sequencer on the geth of this project, building in parallel, op-batcher, L1, and a second
// op-node with op-geth as it is, which derives the chain from what is on L1. It sends
// transactions all the while, crosses the fork from Isthmus to Jovian, then kills and
// restarts the sequencing geth in the middle of building, and compares every block of the
// follower with the sequencer's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// What -state allows: how the sequencing geth keeps its state.
const (
	statePath    = "path"    // as op-geth does by default; after a crash the state is that of some time before
	stateArchive = "archive" // that of every block, on disk as soon as the block is
	stateBoth    = "both"    // a run of each
)

// crashBlocks is how many blocks the follower must have before the first kill of a run
// that is about them.
const crashBlocks = 40

// defaultMix is a bit of everything that a pool takes and a block includes.
const defaultMix = "transfer=35,erc20=25,swap=20,swap-hot=10,mint=3,revert=5,outofgas=2"

// settings are what the flags say.
type settings struct {
	geth, upstream    string
	opNode, opBatcher string
	threads           int
	state             string
	blocks            int
	forkAt            int
	kills, restarts   int
	blockTime         time.Duration
	rate              int
	mix               workload.Mix
	accounts          int
	seed              uint64
	gasLimit          uint64
	dir               string
	json              string
}

const examples = `
  opstack
        300 blocks, crossing the fork, and 5 restarts; then a new chain, the fork and 20 kills: 15 minutes
  opstack -blocks 20 -fork-at 10 -kills 2 -restarts 1
        the same, short: 3 minutes
  opstack -geth build/upstream/geth -threads 1
        the same with op-geth as it is, to compare with
  opstack -state path -blocks 20 -fork-at 10 -kills 1 -restarts 0
        what a crash does to an op-geth that does not keep every block's state: see docs/try-opstack.md
`

// command is what -help says besides the flags.
func command() *cli.Command {
	return &cli.Command{
		Name:     "opstack",
		About:    "Runs the real OP Stack on a built geth, restarts and kills it, and compares it with a follower that derives from L1.",
		Examples: examples,
	}
}

// parse reads the command line. Its errors name the flag, the value and what is allowed.
func parse(args []string, help io.Writer) (*settings, error) {
	var s settings
	var mix string
	flags := flag.NewFlagSet("opstack", flag.ContinueOnError)
	flags.StringVar(&s.geth, "geth", "build/bin/geth", "geth `binary` that sequences")
	flags.StringVar(&s.upstream, "upstream", "build/upstream/geth", "geth `binary` of the follower, and of L1")
	flags.StringVar(&s.opNode, "op-node", "build/opstack/op-node", "op-node `binary`")
	flags.StringVar(&s.opBatcher, "op-batcher", "build/opstack/op-batcher", "op-batcher `binary`")
	flags.IntVar(&s.threads, "threads", 2, "workers that build blocks: 0 all usable CPUs, 1 sequential")
	flags.StringVar(&s.state, "state", stateBoth, "what the sequencing geth keeps: path (op-geth's default), archive\n(--gcmode archive --state.scheme hash), or both: path with -blocks and\n-restarts, then archive with -kills")
	flags.IntVar(&s.blocks, "blocks", 300, "blocks with transactions that the follower must have before geth first goes down")
	flags.IntVar(&s.forkAt, "fork-at", 60, "first block of Jovian")
	flags.IntVar(&s.kills, "kills", 20, "how often to kill -9 the sequencing geth")
	flags.IntVar(&s.restarts, "restarts", 5, "how often to stop and start it in good order")
	flags.DurationVar(&s.blockTime, "block-time", time.Second, "time between blocks of L2, in whole seconds")
	flags.IntVar(&s.rate, "rate", 200, "transactions sent a second")
	flags.StringVar(&mix, "mix", defaultMix, fmt.Sprintf("transactions: base, or kinds with weights\nkinds: %v", workload.Kinds()))
	flags.IntVar(&s.accounts, "accounts", 1000, "sending accounts")
	flags.Uint64Var(&s.seed, "seed", 1, "seed of the transactions")
	flags.Uint64Var(&s.gasLimit, "gas-limit", 2*opchain.DefaultGasLimit, "gas limit of a block")
	flags.StringVar(&s.dir, "dir", "", "new or empty `directory` for data and logs (a new one below the system's for temporary files)")
	flags.StringVar(&s.json, "json", "", "`file` to write the results to, as JSON")
	if err := command().Parse(flags, args, help); err != nil {
		return nil, err
	}
	if err := params.ValidateThreads("-threads", s.threads); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"-blocks", s.blocks, 1, 1_000_000},
		{"-fork-at", s.forkAt, 2, 1_000_000},
		{"-kills", s.kills, 0, 10_000},
		{"-restarts", s.restarts, 0, 10_000},
		{"-rate", s.rate, 1, 100_000},
		{"-accounts", s.accounts, 1, workload.MaxAccounts},
	} {
		if f.value < f.low || f.value > f.high {
			return nil, fmt.Errorf("%s is %d, allowed are %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	if s.forkAt >= s.blocks {
		return nil, fmt.Errorf("-fork-at is %d, allowed are 2 to less than -blocks, %d", s.forkAt, s.blocks)
	}
	if !slices.Contains([]string{statePath, stateArchive, stateBoth}, s.state) {
		return nil, fmt.Errorf("-state is %q, allowed are %s, %s and %s", s.state, statePath, stateArchive, stateBoth)
	}
	if s.blockTime < time.Second || s.blockTime > 10*time.Second || s.blockTime%time.Second != 0 {
		return nil, fmt.Errorf("-block-time is %v, allowed are 1s to 10s, in whole seconds", s.blockTime)
	}
	if s.gasLimit < 5_000_000 || s.gasLimit > 1_000_000_000 {
		return nil, fmt.Errorf("-gas-limit is %d, allowed are 5000000 to 1000000000", s.gasLimit)
	}
	if err := cli.Output("-json", s.json); err != nil {
		return nil, err
	}
	var err error
	if s.mix, err = workload.ParseMix(mix); err != nil {
		return nil, fmt.Errorf("-mix is %q: %w", mix, err)
	}
	for _, f := range []struct{ name, value string }{
		{"-geth", s.geth}, {"-upstream", s.upstream}, {"-op-node", s.opNode}, {"-op-batcher", s.opBatcher},
	} {
		if info, err := os.Stat(f.value); err != nil || info.IsDir() {
			return nil, fmt.Errorf("%s is %q, allowed is the path of a built program (make e2e-opnode builds them all)", f.name, f.value)
		}
	}
	return &s, nil
}

// prepareDir makes the directory of the run.
func (s *settings) prepareDir() error {
	var err error
	if s.dir == "" {
		s.dir, err = os.MkdirTemp("", "opstack-")
	} else if err = os.MkdirAll(s.dir, 0o755); err == nil {
		var entries []os.DirEntry
		if entries, err = os.ReadDir(s.dir); err == nil && len(entries) > 0 {
			err = errors.New("it is not empty")
		}
	}
	if err != nil {
		return fmt.Errorf("-dir is %q, allowed is a new or empty directory: %w", s.dir, err)
	}
	s.dir, err = filepath.Abs(s.dir)
	return err
}

func main() {
	os.Exit(realMain(os.Args[1:], os.Stdout, os.Stderr))
}

func realMain(args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stdout)
	if err != nil {
		return command().Complain(err, stderr)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := s.prepareDir(); err != nil {
		return command().Complain(err, stderr)
	}
	var reports []*report
	for _, leg := range s.legs() {
		var report *report
		report, err = execute(ctx, leg, stdout)
		report.print(stdout)
		reports = append(reports, report)
		if err != nil {
			break
		}
	}
	fmt.Fprintf(stdout, "\nlogs in %s\n", s.dir)
	if s.json != "" {
		err = errors.Join(err, writeReports(s.json, reports))
	}
	switch {
	case err == nil:
		return cli.OK
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "opstack: interrupted")
		return cli.Interrupted
	default:
		fmt.Fprintln(stderr, "opstack:", err)
		return cli.Failure
	}
}

// legs are the runs to make. No crash of a geth that keeps what is written only is survived
// by op-node, whoever built that geth; see docs/try-opstack.md.
func (s *settings) legs() []*settings {
	if s.state != stateBoth {
		return []*settings{s}
	}
	path, archive := *s, *s
	path.state, path.dir, path.kills = statePath, filepath.Join(s.dir, statePath), 0
	archive.state, archive.dir, archive.restarts = stateArchive, filepath.Join(s.dir, stateArchive), 0
	archive.blocks = min(s.blocks, crashBlocks)
	archive.forkAt = min(s.forkAt, archive.blocks/2)
	if s.kills == 0 {
		return []*settings{&path}
	}
	return []*settings{&path, &archive}
}

// writeReports writes the results. Durations are in nanoseconds.
func writeReports(file string, reports []*report) error {
	text, err := json.MarshalIndent(reports, "", "  ")
	if err != nil {
		return fmt.Errorf("-json: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("-json is %q: %w", file, err)
	}
	return nil
}
