// Command devnet runs a local OP Stack chain on a built geth and watches it build blocks.
//
// It makes a data directory from a real OP Stack genesis, starts geth, and drives it as a
// consensus client does: forkchoiceUpdated with the L1-attributes deposit, getPayload at
// the end of the block time, newPayload, forkchoiceUpdated. Meanwhile it sends signed
// transactions over RPC. newPayload executes each block again, sequentially: a block that
// was built wrongly ends the run.
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
	"syscall"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// settings are what the flags say.
type settings struct {
	geth      string
	threads   int
	blocks    int
	blockTime time.Duration
	rate      int // transactions a second; 0: backlog is used
	backlog   int // transactions waiting when a build starts; 0: rate is used
	mix       workload.Mix
	seed      uint64
	accounts  int
	pools     int
	gasLimit  uint64
	datadir   string
	keep      bool
	compare   bool
	stack     bool
	l1        string
	opNode    string
	opBatcher string
	json      string
	replay    string

	wrap func(consensus) consensus // tests put themselves between devnet and geth; nil: nobody
}

// command is what -help says besides the flags.
func command() *cli.Command {
	return &cli.Command{
		Name:  "devnet",
		About: "Runs a local OP Stack chain on a built geth, drives it as a consensus client does, and checks every block it builds.",
		Examples: `
  devnet -geth build/bin/geth
        30 blocks, all usable CPUs, 600 transactions of many kinds a second
  devnet -geth build/bin/geth -threads 2 -blocks 10 -backlog 5000 -mix erc20 -gas-limit 400000000
        blocks of 5,000 token transfers each
  devnet -geth build/bin/geth -threads 2 -blocks 10 -backlog 3000 -gas-limit 200000000 -compare
        the same transactions sequentially and in parallel, side by side
  devnet -geth build/bin/geth -stack -keep
        op-node as the sequencer, with L1 and op-batcher, until Ctrl-C
  devnet -geth path/to/op-geth -threads 1
        any op-geth: without parallel building the flag for it is not passed
`}
}

// parse reads the command line. Its errors name the flag, the value and what is allowed.
func parse(args []string, usage io.Writer) (*settings, error) {
	var s settings
	var mix string
	flags := flag.NewFlagSet("devnet", flag.ContinueOnError)
	flags.StringVar(&s.geth, "geth", "build/bin/geth", "geth `binary` to run")
	flags.IntVar(&s.threads, "threads", params.AutoThreads, "workers that build blocks: 0 all usable CPUs, 1 sequential")
	flags.IntVar(&s.blocks, "blocks", 30, "blocks to build")
	flags.DurationVar(&s.blockTime, "block-time", 2*time.Second, "time between the start of a build and getPayload")
	flags.IntVar(&s.rate, "rate", 0, "transactions sent a second, all the while (600 unless -backlog is given)")
	flags.IntVar(&s.backlog, "backlog", 0, "instead of -rate: transactions waiting in the pool at the start of each build, none sent during it")
	flags.StringVar(&mix, "mix", "devnet", fmt.Sprintf("transactions: devnet, base, or kinds with weights such as transfer=3,swap=1\nkinds: %v", workload.Kinds()))
	flags.Uint64Var(&s.seed, "seed", 1, "seed of the transactions")
	flags.IntVar(&s.accounts, "accounts", 2000, "sending accounts")
	flags.IntVar(&s.pools, "pools", 16, "constant-product pools")
	flags.Uint64Var(&s.gasLimit, "gas-limit", 2*opchain.DefaultGasLimit, "gas limit of a block; Jovian's DA footprint also takes 40,000 or more of it a transaction")
	flags.StringVar(&s.datadir, "datadir", filepath.Join("build", "devnet"), "`directory` of the run, emptied at its start")
	flags.BoolVar(&s.keep, "keep", false, "after -blocks, go on until Ctrl-C")
	flags.BoolVar(&s.compare, "compare", false, "run sequentially, then with -threads, and show both")
	flags.BoolVar(&s.stack, "stack", false, "run the real OP Stack (L1, op-node, op-batcher) instead of driving geth from here; make devnet STACK=opnode builds it")
	flags.StringVar(&s.l1, "l1", "build/upstream/geth", "with -stack: geth `binary` for L1")
	flags.StringVar(&s.opNode, "op-node", "build/opstack/op-node", "with -stack: op-node `binary`")
	flags.StringVar(&s.opBatcher, "op-batcher", "build/opstack/op-batcher", "with -stack: op-batcher `binary`")
	flags.StringVar(&s.json, "json", "", "`file` to write the results to, as JSON")
	flags.StringVar(&s.replay, "replay", "", "instead of a run: offer the block in `file`, written when a block was not valid, to geth again")
	if err := command().Parse(flags, args, usage); err != nil {
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
		{"-rate", s.rate, 0, 100_000},
		{"-backlog", s.backlog, 0, 200_000},
		{"-accounts", s.accounts, 1, workload.MaxAccounts},
		{"-pools", s.pools, 1, workload.MaxPools},
	} {
		if f.value < f.low || f.value > f.high {
			return nil, fmt.Errorf("%s is %d, allowed are %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	if s.blockTime < 100*time.Millisecond || s.blockTime > time.Minute {
		return nil, fmt.Errorf("-block-time is %v, allowed are 100ms to 1m", s.blockTime)
	}
	if s.gasLimit < 5_000_000 || s.gasLimit > 10_000_000_000 {
		return nil, fmt.Errorf("-gas-limit is %d, allowed are 5000000 to 10000000000", s.gasLimit)
	}
	if s.rate > 0 && s.backlog > 0 {
		return nil, fmt.Errorf("-rate is %d and -backlog is %d, allowed is one of them", s.rate, s.backlog)
	}
	if s.rate == 0 && s.backlog == 0 {
		s.rate = 600
	}
	if s.compare && s.keep {
		return nil, errors.New("-keep is set with -compare, allowed is one of them")
	}
	if s.compare && s.threads == params.SequentialThreads {
		return nil, errors.New("-threads is 1 with -compare, allowed are 0 and 2 or more")
	}
	if err := s.checkStack(); err != nil {
		return nil, err
	}
	if err := cli.Output("-json", s.json); err != nil {
		return nil, err
	}
	if s.replay != "" {
		if err := cli.Input("-replay", s.replay, "a file bad-block-N.json that devnet has written", false); err != nil {
			return nil, err
		}
	}
	var err error
	if s.mix, err = workload.ParseMix(mix); err != nil {
		return nil, fmt.Errorf("-mix is %q: %w", mix, err)
	}
	if info, err := os.Stat(s.geth); err != nil {
		return nil, fmt.Errorf("-geth is %q, allowed is the path of a built geth (make geth builds build/bin/geth): %w", s.geth, err)
	} else if info.IsDir() {
		return nil, fmt.Errorf("-geth is %q, a directory, allowed is the path of a built geth", s.geth)
	}
	return &s, nil
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

	switch {
	case s.replay != "":
		err = replay(ctx, s, stdout)
	case s.stack:
		err = stacked(ctx, s, stdout)
	case s.compare:
		err = compare(ctx, s, stdout)
	default:
		err = single(ctx, s, stdout)
	}
	switch {
	case err == nil:
		return cli.OK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "devnet: interrupted")
		return cli.Interrupted
	default:
		fmt.Fprintln(stderr, "devnet:", err)
		return cli.Failure
	}
}
