package conformance

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"
)

// Options say what to run.
type Options struct {
	Tests      []string // folders or files with state tests
	Blocks     []string // folders or files with block fixtures
	Workers    []int    // numbers of workers, at least 1 each
	Sequential bool     // the reference alone, to check the data and this package
	Single     bool     // leave out blocks that several state tests share
	Slow       bool     // also state tests that op-geth's runner leaves out for the time they take
	Jobs       int      // files at a time, at least 1
	Match      string   // only files whose name holds this

	Progress func(Totals) // called now and then; may be nil
}

// Runner runs conformance data.
type Runner struct {
	opts   Options
	report *Report
}

// file is one piece of data, in a folder or an archive.
type file struct {
	name  string
	block bool
	data  []byte
	err   error // it cannot be read
}

// errOther is returned for a file that can be read and holds something else.
var errOther = errors.New("neither state tests nor a block")

// Run runs everything that the options name. The error is about data that cannot be read
// or found; cases that fail are in the report.
func Run(ctx context.Context, opts Options) (*Report, error) {
	if opts.Sequential {
		opts.Workers = []int{Sequential}
	}
	for _, n := range opts.Workers {
		if n < 1 && !opts.Sequential {
			return nil, fmt.Errorf("workers: %d is too few, at least 1 is allowed", n)
		}
	}
	if len(opts.Workers) == 0 {
		return nil, errors.New("workers: none given")
	}
	r := &Runner{opts: opts, report: newReport(opts.Workers)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		files   = make(chan file)
		wg      sync.WaitGroup
		walkErr error
	)
	jobs := max(opts.Jobs, 1)
	wg.Add(1 + jobs)
	go func() {
		defer wg.Done()
		defer close(files)
		walkErr = r.walk(ctx, files)
	}()
	for range jobs {
		go func() {
			defer wg.Done()
			for f := range files {
				r.run(f)
			}
		}()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if opts.Progress != nil {
				opts.Progress(r.report.Totals())
			}
		case <-done:
			if walkErr != nil {
				return r.report, walkErr
			}
			if t := r.report.Totals(); t.Passed+t.Failed+t.Skipped == 0 && ctx.Err() == nil {
				return r.report, fmt.Errorf("-tests and -blocks are %s, allowed are folders and files with state tests or blocks: there are none", strings.Join(append(opts.Tests, opts.Blocks...), ", "))
			}
			return r.report, nil
		}
	}
}

// run runs what is in a file. One that cannot be read, or that this package stumbles over,
// is a case that fails: the others still run.
func (r *Runner) run(f file) {
	what := r.stateFile
	if f.block {
		what = r.blockFile
	}
	_, err := contain(func() (*outcome, error) {
		if f.err != nil {
			return nil, f.err
		}
		return nil, what(f.name, f.data)
	})
	switch {
	case errors.Is(err, errOther):
		r.report.ignore()
	case err != nil:
		suite := suiteState
		if f.block {
			suite = suiteBlocks
		}
		r.report.add(result{suite: suite, fork: "?", name: f.name, err: err})
	}
}

// each runs a case at every number of workers.
func (r *Runner) each(suite, fork, name string, run func(workers int) (*outcome, error)) {
	res := result{suite: suite, fork: fork, name: name}
	for _, workers := range r.opts.Workers {
		out, err := contain(func() (*outcome, error) { return run(workers) })
		if out != nil {
			res.byDesign = res.byDesign || out.fallback != nil
			res.work.add(out)
		}
		res.runs = append(res.runs, err)
		if err != nil && res.err == nil {
			res.err = fmt.Errorf("%d workers: %w", workers, err)
			if workers == Sequential {
				res.err = fmt.Errorf("sequentially: %w", err)
			}
		}
	}
	r.report.add(res)
}

// contain turns a panic of a case into its failure, so that the others still run.
func contain(f func() (*outcome, error)) (out *outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

func (r *Runner) walk(ctx context.Context, out chan<- file) error {
	for _, root := range r.opts.Tests {
		if err := r.walkRoot(ctx, root, false, out); err != nil {
			return err
		}
	}
	for _, root := range r.opts.Blocks {
		if err := r.walkRoot(ctx, root, true, out); err != nil {
			return err
		}
	}
	return nil
}

// walkRoot goes through a folder, or a link to one, or to one file. It is an error only if
// there is no such thing.
func (r *Runner) walkRoot(ctx context.Context, root string, blocks bool, out chan<- file) error {
	target, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	return filepath.WalkDir(target, func(path string, entry fs.DirEntry, err error) error {
		name := filepath.ToSlash(path)
		if err != nil {
			return send(ctx, out, file{name: name, block: blocks, err: err})
		}
		if info, statErr := os.Stat(path); entry.IsDir() || statErr == nil && info.IsDir() {
			return nil
		}
		if strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".tgz") {
			err := r.walkArchive(ctx, path, blocks, out)
			if err != nil && ctx.Err() == nil {
				return send(ctx, out, file{name: name, block: blocks, err: err})
			}
			return err
		}
		if !r.wanted(path, blocks) {
			return nil
		}
		data, err := os.ReadFile(path)
		return send(ctx, out, file{name, blocks, data, err})
	})
}

// walkArchive goes through a .tar.gz file without unpacking it to disk.
func (r *Runner) walkArchive(ctx context.Context, path string, blocks bool, out chan<- file) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	defer zr.Close()
	for tr := tar.NewReader(zr); ; {
		entry, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.Typeflag != tar.TypeReg || !r.wanted(entry.Name, blocks) {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return fmt.Errorf("%s: %w", entry.Name, err)
		}
		if err := send(ctx, out, file{name: entry.Name, block: blocks, data: data}); err != nil {
			return err
		}
	}
}

func (r *Runner) wanted(name string, blocks bool) bool {
	kind := strings.HasSuffix(name, ".json") || blocks && strings.HasSuffix(name, ".json.gz")
	return kind && strings.Contains(filepath.ToSlash(name), r.opts.Match)
}

func send(ctx context.Context, out chan<- file, f file) error {
	select {
	case out <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newListHasher returns what a receipts' root is computed with.
func newListHasher() types.ListHasher { return trie.NewStackTrie(nil) }
