package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// execute runs a test binary in its package's folder. It is stopped when ctx is cancelled,
// but not at ctx's deadline: killed, it could not tell what is wrong with it.
func (s *settings) execute(ctx context.Context, dir string, args ...string) ([]byte, error) {
	binary, err := s.binary(dir)
	if err != nil {
		return nil, err
	}
	over := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
	defer cancel()
	defer context.AfterFunc(over, func() {
		if interrupted(over) {
			cancel()
		}
	})()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = filepath.Join(s.root, dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.Bytes(), err
}

// interrupted reports whether ctx ended before its time, by Ctrl-C.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// runnable returns an error if a test binary is not there.
func (s *settings) runnable(dir string) error {
	binary, err := s.binary(dir)
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		return fmt.Errorf("test binary of %s: %w ('make soak' builds it; -tests says where it is)", dir, err)
	}
	return nil
}

// model runs seeded tests of a package over ranges of seeds.
type model struct {
	settings *settings
	dir      string
	tests    []string
	next     int64
	batch    int64 // seeds at a time, as many as take some seconds
	line     Row
}

func newModel(s *settings, name, dir string, tests ...string) *model {
	return &model{settings: s, dir: dir, tests: tests, next: s.seed, batch: 20, line: Row{Suite: name, Unit: "seeds"}}
}

func (m *model) row() *Row  { return &m.line }
func (m *model) share() int { return 2 }

func (m *model) run(ctx context.Context, report *Report) (bool, error) {
	if err := m.settings.runnable(m.dir); err != nil {
		return false, err
	}
	for ctx.Err() == nil {
		begin := time.Now()
		out, err := m.settings.execute(ctx, m.dir, "-test.v", "-test.timeout=5m", "-test.run=^("+strings.Join(m.tests, "|")+")$",
			fmt.Sprintf("-seed=%d", m.next), fmt.Sprintf("-seeds=%d", m.batch))
		if err != nil && interrupted(ctx) {
			return true, nil
		}
		if passed := bytes.Count(out, []byte("--- PASS: ")); err == nil && passed != len(m.tests) {
			return false, fmt.Errorf("%s: %d of the tests %s ran", m.dir, passed, strings.Join(m.tests, ", "))
		}
		took := time.Since(begin)
		report.update(func() {
			m.line.Runs += int(m.batch) * len(m.tests)
			m.line.LastSeed = m.next + m.batch - 1
		})
		if err != nil {
			m.fail(report, out, err)
		}
		m.next += m.batch
		if deadline, ok := ctx.Deadline(); ok { // the next fills what is left, but no more than some seconds
			left := min(time.Until(deadline), 5*time.Second)
			m.batch = min(max(int64(float64(m.batch)*left.Seconds()/max(took.Seconds(), 0.01)), 5), 5000)
		}
	}
	return true, nil
}

func (m *model) fail(report *Report, out []byte, err error) {
	file := filepath.Join(m.settings.out, fmt.Sprintf("%s-%d.txt", filepath.Base(m.dir), m.next))
	replay := fmt.Sprintf("go test ./%s -run '^(%s)$' -seed=%d -seeds=%d", m.dir, strings.Join(m.tests, "|"), m.next, m.batch)
	if line := regexp.MustCompile(`replay: (go test .*)`).FindSubmatch(out); line != nil {
		replay = string(line[1])
	}
	text := fmt.Sprintf("%v\n%s\nreplay: %s\n", err, out, replay)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		text += fmt.Sprintf("it could not be written down: %v\n", err)
	}
	report.fail(&m.line, Failure{Suite: m.line.Suite, Seed: m.next, File: file, Replay: replay, Text: text})
}

// fuzzTargets returns the fuzz targets of a package.
func fuzzTargets(s *settings, dir string) ([]string, error) {
	if err := s.runnable(dir); err != nil {
		return nil, err
	}
	out, err := s.execute(context.Background(), dir, "-test.list=^Fuzz")
	if err != nil {
		return nil, fmt.Errorf("fuzz targets of %s: %w: %s", dir, err, out)
	}
	return strings.Fields(string(out)), nil
}

// fuzz runs one fuzz target, which finds its own seeds.
type fuzz struct {
	settings *settings
	dir      string
	target   string
	batch    int // inputs at a time, as many as take some seconds
	broken   bool
	line     Row
}

func newFuzz(s *settings, dir, target string) *fuzz {
	return &fuzz{settings: s, dir: dir, target: target, batch: 200, line: Row{Suite: target, Unit: "inputs"}}
}

func (f *fuzz) row() *Row  { return &f.line }
func (f *fuzz) share() int { return 1 }

func (f *fuzz) run(ctx context.Context, report *Report) (bool, error) {
	cache, err := filepath.Abs(filepath.Join(f.settings.out, "fuzz"))
	if err != nil {
		return false, err
	}
	for ctx.Err() == nil && !f.broken {
		begin := time.Now()
		out, err := f.settings.execute(ctx, f.dir, "-test.run=^$", "-test.fuzz=^"+f.target+"$", fmt.Sprintf("-test.fuzztime=%dx", f.batch),
			"-test.fuzzcachedir="+cache, "-test.parallel=2", "-test.fuzzminimizetime=20s")
		if err != nil && interrupted(ctx) {
			return true, nil
		}
		took := time.Since(begin)
		report.update(func() { f.line.Runs += f.batch })
		if err != nil {
			f.broken = true // the input would fail first of all, again and again
			f.fail(report, out, err)
		}
		if deadline, ok := ctx.Deadline(); ok {
			left := min(time.Until(deadline), 10*time.Second)
			f.batch = max(int(float64(f.batch)*left.Seconds()/max(took.Seconds(), 0.01)), 200)
		}
	}
	return !f.broken, nil
}

func (f *fuzz) fail(report *Report, out []byte, err error) {
	file := filepath.Join(f.settings.out, f.target+".txt")
	replay := fmt.Sprintf("go test ./%s -run '^%s$'", f.dir, f.target)
	if line := regexp.MustCompile(`go test -run=(\S+)`).FindSubmatch(out); line != nil {
		replay = fmt.Sprintf("go test ./%s -run '^%s$'", f.dir, line[1])
	}
	text := fmt.Sprintf("%v\n%s\nreplay: %s\n", err, out, replay)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		text += fmt.Sprintf("it could not be written down: %v\n", err)
	}
	report.fail(&f.line, Failure{Suite: f.target, File: file, Replay: replay, Text: text})
}
