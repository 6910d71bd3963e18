// Command soak tries the parallel block builder on random input for as long as it is told
// to: random blocks, built in parallel on disturbed schedules and compared with the
// sequential block; the scheduler and the state view, each against its model; the hashing of
// tries against op-geth's; and the fuzz targets of the engine and the builder. What fails is shrunk, written down and can be
// replayed.
//
// The blocks are tried in this process. The models and the fuzz targets are those of the
// packages' tests, and run as their test binaries, which 'make soak' builds.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/log"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
)

// command is what -help says besides the flags.
func command() *cli.Command {
	return &cli.Command{
		Name:  "soak",
		About: "Tries the parallel block builder on random input and compares it with the sequential one.",
		More: `
Ctrl-C ends it with the summary of what it has done. The exit code is 1 if something failed, 2 if it could not run, 130 after
Ctrl-C if nothing failed. What failed is written to the folder of -out, with the command that replays it.`,
		Examples: `
  soak -duration 1h                          after 'make soak' has built what it needs
  soak -duration 10m -suites blocks -seed 42
  soak -duration 10m -json > soak.json
  soak -replay build/soak/block-42-small.json`,
	}
}

// settings are what the flags say.
type settings struct {
	duration time.Duration
	seed     int64
	out      string
	tests    string
	root     string
	suites   []string
	json     bool
	trial    func(seed int64) buildtest.Trial // how the block of a seed is tried
}

func suiteNames() []string { return []string{"blocks", "schedules", "views", "roots", "fuzz"} }

func main() {
	log.SetDefault(log.NewLogger(log.DiscardHandler()))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], blockTrial, os.Stdout, os.Stderr))
}

// run is main; trial says how blocks are tried.
func run(ctx context.Context, args []string, trial func(seed int64) buildtest.Trial, stdout, stderr io.Writer) int {
	var (
		s      = settings{trial: trial}
		suites string
		replay string
		tries  int
		flags  = flag.NewFlagSet("soak", flag.ContinueOnError)
	)
	flags.DurationVar(&s.duration, "duration", time.Minute, "how long to go on")
	flags.Int64Var(&s.seed, "seed", 0, "first `seed` (0: one of the clock's)")
	flags.StringVar(&suites, "suites", strings.Join(suiteNames(), ","), "what to run")
	flags.StringVar(&s.out, "out", "build/soak", "`folder` for what failed")
	flags.StringVar(&s.tests, "tests", "build/soak/bin", "`folder` with the test binaries that 'make soak' builds")
	flags.StringVar(&s.root, "root", ".", "`folder` of the repository, where fuzz targets leave inputs that fail")
	flags.BoolVar(&s.json, "json", false, "print the summary as JSON")
	flags.StringVar(&replay, "replay", "", "try the block that this `file` describes, and nothing else")
	flags.IntVar(&tries, "tries", 50, "with -replay: how often, each time on other schedules")
	err := command().Parse(flags, args, stdout)
	if err == nil && tries < 1 {
		err = fmt.Errorf("-tries is %d, allowed are 1 and more", tries)
	}
	if err != nil {
		return command().Complain(err, stderr)
	}
	if replay != "" {
		if err := cli.Input("-replay", replay, "a file that soak has written for a block that failed", false); err != nil {
			return command().Complain(err, stderr)
		}
		return replayBlock(ctx, trial, replay, tries, stdout, stderr)
	}
	s.suites = strings.Split(suites, ",")
	if err := s.check(); err != nil {
		return command().Complain(err, stderr)
	}
	if s.seed == 0 {
		s.seed = time.Now().UnixMilli()
	}
	report, err := soak(ctx, &s, stderr)
	if err == nil {
		write := report.WriteText
		if s.json {
			write = report.WriteJSON
		}
		err = write(stdout)
	}
	switch {
	case err != nil:
		return command().Complain(err, stderr)
	case len(report.Failures) > 0:
		return cli.Failure
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "soak: interrupted")
		return cli.Interrupted
	default:
		return cli.OK
	}
}

func (s *settings) check() error {
	if s.duration <= 0 {
		return fmt.Errorf("-duration is %v, allowed is more than 0", s.duration)
	}
	for _, name := range s.suites {
		if !slices.Contains(suiteNames(), name) {
			return fmt.Errorf("-suites has %q, allowed are %s with commas between them", name, strings.Join(suiteNames(), ", "))
		}
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return fmt.Errorf("-out is %q, allowed is a folder that can be made: %w", s.out, err)
	}
	return nil
}

// soak runs the suites in turn until the time is over or ctx is done. The blocks get more
// of the time than the others.
func soak(ctx context.Context, s *settings, progress io.Writer) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, s.duration)
	defer cancel()
	suites, err := s.open()
	if err != nil {
		return nil, err
	}
	report := &Report{Seed: s.seed, Patched: buildtest.Patched, start: time.Now()}
	for _, suite := range suites {
		report.Suites = append(report.Suites, suite.row())
	}
	fmt.Fprintf(progress, "soak: %v from seed %d, failures go to %s\n", s.duration, s.seed, s.out)
	stop := report.follow(progress)
	defer stop()

	slice := min(max(s.duration/40, time.Second), 20*time.Second)
	for ctx.Err() == nil {
		alive := false
		for _, suite := range suites {
			ctx, cancel := context.WithTimeout(ctx, time.Duration(suite.share())*slice)
			more, err := suite.run(ctx, report)
			cancel()
			if err != nil {
				return nil, err
			}
			alive = alive || more
		}
		if !alive {
			break // all have failed for good
		}
	}
	report.end()
	return report, nil
}

// suite is a kind of random input.
type suite interface {
	// row returns the suite's line in the report. The suite keeps it up to date, under the
	// report's lock.
	row() *Row
	// share says how much of the time it gets.
	share() int
	// run goes on until ctx is done. It returns false if it is of no use to call it again.
	// What fails goes to the report; an error is that the suite could not run.
	run(ctx context.Context, report *Report) (more bool, err error)
}

// open returns the suites that were asked for.
func (s *settings) open() ([]suite, error) {
	var list []suite
	for _, name := range s.suites {
		switch name {
		case "blocks":
			list = append(list, newBlocks(s))
		case "schedules":
			list = append(list, newModel(s, "scheduler against its model", "core/blockstm",
				"TestAnyScheduleEndsInTheSequentialState", "TestADisturbedScheduleEndsInTheSequentialState", "TestCancellationAtAnyMomentLeavesACommittedPrefixAndNoGoroutine"))
		case "views":
			list = append(list, newModel(s, "state view against StateDB", "core/state",
				"TestTransactionsOnViewsSeeAndDoWhatTheyWouldAloneOnAStateDB", "TestTheSameHoldsWhereContractsOfEarlierBlocksCanBeDestroyed"))
		case "roots":
			list = append(list,
				newModel(s, "roots against op-geth's trie", "core/trie", "TestRootsAreThoseOfUpstreamsTrieWhateverChanges"),
				newModel(s, "states against op-geth's", "core/state", "TestPreparedStatesHaveTheRootsOfOthersHoweverOftenTheyAreAsked"))
		case "fuzz":
			for _, dir := range []string{"core/blockstm", "core/state", "core/trie", "miner"} {
				targets, err := fuzzTargets(s, dir)
				if err != nil {
					return nil, err
				}
				for _, target := range targets {
					list = append(list, newFuzz(s, dir, target))
				}
			}
		}
	}
	return list, nil
}

// replayBlock tries one block.
func replayBlock(ctx context.Context, trialOf func(seed int64) buildtest.Trial, file string, tries int, stdout, stderr io.Writer) int {
	p, err := buildtest.ReadPlan(file)
	if err != nil {
		return command().Complain(err, stderr)
	}
	fmt.Fprint(stdout, p)
	for i := range tries {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "soak: interrupted")
			return cli.Interrupted
		}
		trial := trialOf(p.Seed)
		trial.Shift, trial.Disturbed = int64(i), 3
		if _, err := trial.Try(p); err != nil {
			fmt.Fprintf(stdout, "fails at try %d: %v\n", i+1, err)
			return cli.Failure
		}
	}
	fmt.Fprintf(stdout, "did not fail in %d tries\n", tries)
	return cli.OK
}

// binary returns the path of a package's test binary.
func (s *settings) binary(dir string) (string, error) {
	return filepath.Abs(filepath.Join(s.tests, filepath.Base(dir)+".test"))
}
