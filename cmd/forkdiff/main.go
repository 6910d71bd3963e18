// Command forkdiff shows the whole difference between this project's op-geth and upstream's,
// by intent: a page that anybody can read in a browser, with one section for each patch of
// the series (why it exists, what would make it unnecessary, what it changes), the sum of
// them by file, and the packages of our own that the hooks call.
//
//	make forkdiff
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
)

// settings are what the flags say.
type settings struct {
	tree    string
	base    string
	out     string
	context int
	json    bool
}

// command is what -help says besides the flags.
func command() *cli.Command {
	return &cli.Command{
		Name:  "forkdiff",
		About: "Shows the difference to op-geth by intent, as a page or as data.",
		Examples: `
  forkdiff
        writes build/forkdiff.html
  forkdiff -context 40 -out forkdiff.html
        with more of upstream's code around each change
  forkdiff -json | jq '.patches[] | {subject, added, removed}'
        the same as data
`}
}

// parse reads the command line. Its errors name the flag, the value and what is allowed.
func parse(args []string, usage io.Writer) (*settings, error) {
	var s settings
	flags := flag.NewFlagSet("forkdiff", flag.ContinueOnError)
	flags.StringVar(&s.tree, "tree", filepath.Join("build", "op-geth"), "`directory` of the patched tree, which 'make tree' makes")
	flags.StringVar(&s.base, "base", "upstream", "`revision` of the tree that is op-geth as it is")
	flags.StringVar(&s.out, "out", filepath.Join("build", "forkdiff.html"), "`file` to write the page to")
	flags.IntVar(&s.context, "context", 12, "`lines` of upstream's code shown around a change")
	flags.BoolVar(&s.json, "json", false, "print the difference as JSON instead of writing the page")
	if err := command().Parse(flags, args, usage); err != nil {
		return nil, err
	}
	if s.context < 0 || s.context > 1000 {
		return nil, fmt.Errorf("-context is %d, allowed are 0 to 1000", s.context)
	}
	if _, err := os.Stat(filepath.Join(s.tree, ".git")); err != nil {
		return nil, fmt.Errorf("-tree is %q, allowed is a patched tree ('make tree' makes build/op-geth): %w", s.tree, err)
	}
	if s.json {
		return &s, nil
	}
	return &s, cli.Output("-out", s.out)
}

func main() {
	os.Exit(realMain(os.Args[1:], os.Stdout, os.Stderr))
}

func realMain(args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stdout)
	if err != nil {
		return command().Complain(err, stderr)
	}
	if err := run(s, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "forkdiff:", err)
		return cli.Failure
	}
	return cli.OK
}

func run(s *settings, stdout, stderr io.Writer) error {
	fork, err := readFork(s)
	if err != nil {
		return err
	}
	if s.json {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(fork)
	}
	f, err := os.Create(s.out)
	if err != nil {
		return fmt.Errorf("-out is %q: %w", s.out, err)
	}
	if err := errors.Join(writePage(f, fork), f.Close()); err != nil {
		return fmt.Errorf("-out is %q: %w", s.out, err)
	}
	fmt.Fprintf(stderr, "forkdiff: %d patches, +%d -%d lines; %s\n", len(fork.Patches), fork.Added, fork.Removed, s.out)
	return nil
}
