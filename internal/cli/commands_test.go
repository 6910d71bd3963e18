package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// badValues are, for each command, flags with values that it does not take. Every command
// has to be here.
func badValues() map[string][]string {
	return map[string][]string{
		"blockbench":  {"-rounds=none", "-state=lukewarm", "-workers=0", "-features=luck", "-html=no/such/folder/x.html"},
		"conformance": {"-jobs=none", "-jobs=0", "-workers=300", "-tests=no/such/folder"},
		"devnet":      {"-blocks=none", "-blocks=0", "-block-time=1", "-mix=nothing", "-json=no/such/folder/x.json"},
		"explain":     {"-txs=none", "-workers=0", "-workloads=nothing", "-what-if=luck=2", "-rpc=nowhere"},
		"forkdiff":    {"-context=none", "-context=-1", "-tree=no/such/tree"},
		"opstack":     {"-blocks=none", "-kills=-1", "-state=some", "-threads=257", "-json=no/such/folder/x.json"},
		"replay":      {"-rounds=none", "-rounds=-1", "-workers=two"},
		"soak":        {"-duration=none", "-duration=-1s", "-suites=dishes", "-tries=0", "-replay=no/such/file"},
	}
}

// outcome is what a command did.
type outcome struct {
	code           int
	stdout, stderr string
}

func runCommand(t *testing.T, path string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestEveryCommandHasTheSameHabits(t *testing.T) {
	if testing.Short() {
		t.Skip("builds all commands")
	}
	var names, packages []string
	for _, pattern := range []string{"../../cmd/*/main.go", "../../e2e/*/main.go"} {
		mains, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, main := range mains {
			names = append(names, filepath.Base(filepath.Dir(main)))
			packages = append(packages, filepath.Dir(main))
		}
	}
	bin := t.TempDir()
	// Without symbols the linker is quicker.
	build := exec.Command("go", append([]string{"build", "-ldflags=-s -w", "-o", bin + string(filepath.Separator)}, packages...)...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(bin, name)
			bad := badValues()[name]
			if len(bad) == 0 {
				t.Fatalf("badValues has no %s: name flags with values that it does not take", name)
			}
			for _, help := range []string{"--help", "-help", "-h"} {
				r := runCommand(t, path, help)
				if r.code != OK || r.stderr != "" {
					t.Errorf("%s ends with code %d, want %d and nothing on stderr:\n%s", help, r.code, OK, r.stderr)
				}
				for _, want := range []string{"\nUsage: " + name + " [flags]", "\nFlags:\n", "\nExamples:\n  " + name} {
					if !strings.Contains(r.stdout, want) {
						t.Errorf("%s does not show %q:\n%s", help, want, r.stdout)
					}
				}
			}
			r := runCommand(t, path, "--no-such-flag")
			checkComplaint(t, name, "--no-such-flag", r, "no-such-flag", "-help")
			for _, arg := range bad {
				flag, value, _ := strings.Cut(arg, "=")
				checkComplaint(t, name, arg, runCommand(t, path, arg), flag+" ", value, "allowed")
			}
		})
	}
	for name := range badValues() {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Errorf("badValues has %s, which is no command: %v", name, err)
		}
	}
}

// checkComplaint checks what a command says to arguments that it cannot run with: one line,
// with the command's name and these words.
func checkComplaint(t *testing.T, name, arg string, r outcome, words ...string) {
	t.Helper()
	if r.code != Usage {
		t.Errorf("%s ends with code %d, want %d", arg, r.code, Usage)
	}
	if r.stdout != "" {
		t.Errorf("%s prints to stdout, where only results go:\n%s", arg, r.stdout)
	}
	if strings.Contains(r.stderr, "\x1b") {
		t.Errorf("%s: colours where nobody is looking: %q", arg, r.stderr)
	}
	line := strings.TrimSpace(r.stderr)
	if !strings.HasPrefix(line, name+": ") {
		t.Errorf("%s: the error does not start with the command's name:\n%s", arg, line)
	}
	for _, word := range words {
		if !strings.Contains(line, word) {
			t.Errorf("%s: the error does not say %q:\n%s", arg, word, line)
		}
	}
}
