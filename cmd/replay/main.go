// Command replay executes a block again that --miner.parallel-verify has refuted and
// written down, sequentially and in parallel, and says what differs where.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/log"

	"github.com/op-geth-parallel/op-geth-parallel/internal/conformance"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

const usage = `replay executes blocks again that --miner.parallel-verify has written down.

usage: replay [flags] DUMP...

A dump is a file of <datadir>/geth/parallel-verify. It needs no node: what the block read of
the state of its parent is in it. What was recorded comes first: the values in which the
parallel block differed, and those of the parent state which the parallel builder had got
wrong. Then the block is executed sequentially, built from its candidates sequentially, and
built in parallel: once as it comes and then on disturbed schedules, for each number of workers.

The exit code is 1 if a parallel build differs from the sequential one, 2 if a dump cannot be
read or replayed.

flags:
`

func main() {
	log.SetDefault(log.NewLogger(log.DiscardHandler()))
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	workers := flags.String("workers", "1,2,4,8", "numbers of `workers`")
	rounds := flags.Int("rounds", 20, "disturbed `schedules` for each number of workers")
	seed := flags.Int64("seed", 1, "`seed` of the first disturbed schedule")
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() == 0:
		fmt.Fprintln(stderr, "replay: no dump given (-help tells more)")
		return 2
	case *rounds < 0:
		fmt.Fprintf(stderr, "replay: -rounds is %d, allowed are 0 and more\n", *rounds)
		return 2
	}
	opts := conformance.ReplayOptions{Rounds: *rounds, Seed: *seed}
	for _, text := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 256 {
			fmt.Fprintf(stderr, "replay: -workers is %q, allowed are numbers from 1 to 256 with commas between them\n", *workers)
			return 2
		}
		opts.Workers = append(opts.Workers, n)
	}
	code := 0
	for _, path := range flags.Args() {
		fmt.Fprintf(stdout, "%s:\n", path)
		dump, err := miner.ReadDump(path)
		differ := 0
		if err == nil {
			differ, err = conformance.Replay(stdout, dump, opts)
		}
		switch {
		case err != nil:
			fmt.Fprintf(stderr, "replay: %s: %v\n", path, err)
			code = 2
		case differ > 0:
			code = max(code, 1)
		}
	}
	return code
}
