// Command replay executes a block again that --miner.parallel-verify has refuted and
// written down, sequentially and in parallel, and says what differs where.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/log"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/conformance"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// command is what -help says besides the flags.
func command() *cli.Command {
	return &cli.Command{
		Name:  "replay",
		About: "Executes blocks again that --miner.parallel-verify has written down, and says what differs where.",
		Args:  "DUMP...",
		More: `
A dump is a file of <datadir>/geth/parallel-verify. It needs no node: what the block read of
the state of its parent is in it. What was recorded comes first: the values in which the
parallel block differed, and those of the parent state which the parallel builder had got
wrong. Then the block is executed sequentially, built from its candidates sequentially, and
built in parallel: once as it comes and then on disturbed schedules, for each number of workers.

The exit code is 1 if a parallel build differs from the sequential one, 2 if a dump cannot be
read or replayed.`,
		Examples: `
  replay /var/lib/geth/geth/parallel-verify/*
        what differed, and whether it does again
  replay -json DUMP | jq '.[].differ'
        in how many builds it does
  replay -workers 2 -rounds 1000 -seed 7 DUMP
        many schedules with two workers`,
	}
}

func main() {
	log.SetDefault(log.NewLogger(log.DiscardHandler()))
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	workers := flags.String("workers", "1,2,4,8", "numbers of `workers`")
	rounds := flags.Int("rounds", 20, "disturbed `schedules` for each number of workers")
	seed := flags.Int64("seed", 1, "`seed` of the first disturbed schedule")
	asJSON := flags.Bool("json", false, "print what came of each dump as JSON")
	err := command().Parse(flags, args, stdout)
	switch {
	case err != nil:
	case *rounds < 0:
		err = fmt.Errorf("-rounds is %d, allowed are 0 and more", *rounds)
	}
	if err != nil {
		return command().Complain(err, stderr)
	}
	opts := conformance.ReplayOptions{Rounds: *rounds, Seed: *seed}
	for _, text := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 256 {
			return command().Complain(fmt.Errorf("-workers is %q, allowed are numbers from 1 to 256 with commas between them", *workers), stderr)
		}
		opts.Workers = append(opts.Workers, n)
	}
	if flags.NArg() == 0 {
		return command().Complain(errors.New("no dump given, allowed are files of <datadir>/geth/parallel-verify (-help tells more)"), stderr)
	}
	code, outcomes := cli.OK, []outcome{}
	for _, path := range flags.Args() {
		var text bytes.Buffer // what -json gives as lines
		out := stdout
		if *asJSON {
			out = &text
		} else {
			fmt.Fprintf(stdout, "%s:\n", path)
		}
		dump, err := miner.ReadDump(path)
		differ := 0
		switch {
		case err != nil:
			err = fmt.Errorf("allowed are files of <datadir>/geth/parallel-verify: %w", err)
		default:
			if differ, err = conformance.Replay(out, dump, opts); err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
		}
		switch {
		case err != nil:
			fmt.Fprintf(stderr, "replay: %v\n", err)
			code = cli.Usage
		case differ > 0:
			code = max(code, cli.Failure)
		}
		o := outcome{File: path, Differ: differ, Report: strings.Split(strings.TrimSpace(text.String()), "\n")}
		if err != nil {
			o.Error = err.Error()
		}
		outcomes = append(outcomes, o)
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(outcomes); err != nil {
			fmt.Fprintf(stderr, "replay: -json: %v\n", err)
			return cli.Failure
		}
	}
	return code
}

// outcome is what came of a dump, as -json has it.
type outcome struct {
	File   string   `json:"file"`
	Differ int      `json:"differ"` // parallel builds that were not the sequential one
	Error  string   `json:"error,omitempty"`
	Report []string `json:"report"` // the lines that are printed without -json
}
