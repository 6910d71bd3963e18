// Package cli holds what our commands have in common: how a command line is read and
// complained about, what -help shows and what an exit code means. Its test holds every
// command of cmd to it.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// Exit codes.
const (
	OK          = 0
	Failure     = 1   // what was to be done failed, or has found a fault
	Usage       = 2   // the command line asks for what there is not
	Interrupted = 130 // by a signal, as shells count
)

// Command is what -help says besides the flags.
type Command struct {
	Name     string
	About    string // a sentence, or some
	Args     string // what follows the flags, such as "FILE..."; empty: nothing may
	More     string // what comes after the flags
	Examples string // indented by two spaces
}

// Parse reads a command line. For -help it writes the help to out and returns
// flag.ErrHelp. Any other error names the flag, the value and what is allowed.
func (c *Command) Parse(flags *flag.FlagSet, args []string, out io.Writer) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.help(flags, out)
		return err
	case err != nil:
		return c.explain(flags, err)
	case c.Args == "" && flags.NArg() > 0:
		return fmt.Errorf("argument %q is not a flag, allowed are only flags (-help lists them)", flags.Arg(0))
	}
	return nil
}

func (c *Command) help(flags *flag.FlagSet, out io.Writer) {
	usage := "[flags]"
	if c.Args != "" {
		usage += " " + c.Args
	}
	fmt.Fprintf(out, "%s\n\nUsage: %s %s\n\nFlags:\n", strings.TrimSpace(c.About), c.Name, usage)
	flags.SetOutput(out)
	flags.PrintDefaults()
	if c.More != "" {
		fmt.Fprintf(out, "\n%s\n", strings.Trim(c.More, "\n"))
	}
	fmt.Fprintf(out, "\nExamples:\n%s\n", strings.Trim(c.Examples, "\n"))
}

// explain adds to an error of package flag what would be right.
func (c *Command) explain(flags *flag.FlagSet, err error) error {
	// What package flag says.
	var (
		badValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([^:]*): (.*)$`)
		unknown  = regexp.MustCompile(`^flag provided but not defined: (-.*)$`)
		missing  = regexp.MustCompile(`^flag needs an argument: -(.*)$`)
	)
	text := err.Error()
	if m := badValue.FindStringSubmatch(text); m != nil {
		if kind := allowed(flags.Lookup(m[2])); kind != "" {
			return fmt.Errorf("-%s is %s, allowed is %s", m[2], m[1], kind)
		}
		return fmt.Errorf("-%s is %s: %s", m[2], m[1], m[3])
	}
	if m := unknown.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s is not a flag of %s (-help lists them)", m[1], c.Name)
	}
	if m := missing.FindStringSubmatch(text); m != nil {
		if kind := allowed(flags.Lookup(m[1])); kind != "" {
			return fmt.Errorf("-%s has no value, allowed is %s", m[1], kind)
		}
		return fmt.Errorf("-%s has no value (-help tells what it takes)", m[1])
	}
	return fmt.Errorf("%w (-help tells more)", err)
}

// allowed says what a flag takes, as far as its type tells.
func allowed(f *flag.Flag) string {
	if f == nil {
		return ""
	}
	getter, ok := f.Value.(flag.Getter)
	if !ok {
		return ""
	}
	switch getter.Get().(type) {
	case int, int64:
		return "a whole number"
	case uint, uint64:
		return "a whole number that is not negative"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case time.Duration:
		return "a duration, such as 500ms or 2s"
	default:
		return ""
	}
}

// Complain writes an error as all commands do and returns the exit code of a command line
// that cannot be run. For -help there is nothing to complain about.
func (c *Command) Complain(err error, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return OK
	}
	fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
	return Usage
}

// Terminal reports whether somebody is looking at f, so that lines may be overwritten and
// coloured.
func Terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == ""
}
