// Command conformance runs Ethereum state tests and real blocks through the parallel block
// builder, at several numbers of workers, and compares with what the data expects.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/log"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
	"github.com/op-geth-parallel/op-geth-parallel/internal/conformance"
)

// command is what -help says besides the flags.
func command() *cli.Command {
	return &cli.Command{
		Name:  "conformance",
		About: "Runs test data of others through the parallel block builder and compares with what the data expects.",
		More: `
-tests and -blocks may be given several times. State tests are *.json (GeneralStateTests, or the state_tests of
execution-spec-tests), blocks are *.json.gz or *.json (header, transactions, state before), both also inside *.tar.gz. Files that
hold something else are ignored and counted; one that cannot be read fails. Forks that op-geth does not know are skipped, and so
are blocks of chains whose rules nobody knows. The last line is "N passed, N failed, N skipped", counting cases; a case passes if it does at
every number of workers. The exit code is 1 if a case failed, 2 if there was nothing to run or it could not be read.`,
		Examples: `
  conformance -tests ~/ethereum/tests/GeneralStateTests
  conformance -tests statetests.tar.gz -blocks mainnet -blocks opstack -workers 2,8
  conformance -tests statetests.tar.gz -match stSelfBalance -single
  conformance -tests statetests.tar.gz -sequential     only the sequential reference, no parallel building`,
	}
}

// list is a flag that can be given several times.
type list []string

// String implements flag.Value.
func (l *list) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value.
func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

func main() {
	log.SetDefault(log.NewLogger(log.DiscardHandler()))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var (
		tests, blocks list
		flags         = flag.NewFlagSet("conformance", flag.ContinueOnError)
		workers       = flags.String("workers", "1,2,4,8", "numbers of `workers`, 1 is the parallel path with one")
		sequential    = flags.Bool("sequential", false, "run the sequential reference only, to tell faults of the data from those of the builder")
		single        = flags.Bool("single", false, "leave out blocks that the cases of a state test share")
		slow          = flags.Bool("slow", false, "also the state tests that op-geth's own runner leaves out for their time or memory")
		jobs          = flags.Int("jobs", runtime.GOMAXPROCS(0), "`files` at a time")
		match         = flags.String("match", "", "only files whose name holds this `text`")
		asJSON        = flags.Bool("json", false, "print the report as JSON")
		failures      = flags.Int("failures", 50, "print at most this `many` failures")
		quiet         = flags.Bool("quiet", false, "print no progress")
	)
	flags.Var(&tests, "tests", "`folder` or file with state tests")
	flags.Var(&blocks, "blocks", "`folder` or file with block fixtures")
	err := command().Parse(flags, args, stdout)
	switch {
	case err != nil:
	case *jobs < 1 || *jobs > 1024:
		err = fmt.Errorf("-jobs is %d, allowed are 1 to 1024", *jobs)
	case *failures < 0:
		err = fmt.Errorf("-failures is %d, allowed are 0 and more", *failures)
	}
	for flag, paths := range map[string]list{"-tests": tests, "-blocks": blocks} {
		for _, path := range paths {
			if err == nil {
				err = cli.Input(flag, path, "a folder or file that can be read", true)
			}
		}
	}
	if err != nil {
		return command().Complain(err, stderr)
	}
	opts := conformance.Options{Tests: tests, Blocks: blocks, Sequential: *sequential, Single: *single, Slow: *slow, Jobs: *jobs, Match: *match}
	for _, text := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 256 {
			return command().Complain(fmt.Errorf("-workers is %q, allowed are numbers from 1 to 256 with commas between them", *workers), stderr)
		}
		opts.Workers = append(opts.Workers, n)
	}
	if len(tests)+len(blocks) == 0 {
		return command().Complain(errors.New("nothing to run, give -tests, -blocks or both (-help tells more)"), stderr)
	}
	if !*quiet {
		opts.Progress = func(t conformance.Totals) {
			fmt.Fprintf(stderr, "%d passed, %d failed, %d skipped so far\n", t.Passed, t.Failed, t.Skipped)
		}
	}
	report, err := conformance.Run(ctx, opts)
	if report != nil {
		write := func() error { return report.WriteText(stdout, *failures) }
		if *asJSON {
			write = func() error { return report.WriteJSON(stdout) }
		}
		if err == nil {
			err = write()
		}
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "conformance: interrupted")
		return cli.Interrupted
	case err != nil:
		return command().Complain(err, stderr)
	case report.Totals().Failed > 0:
		return cli.Failure
	default:
		return cli.OK
	}
}
