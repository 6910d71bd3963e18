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
}

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
				if f.block {
					r.blockFile(f.name, f.data)
				} else {
					r.stateFile(f.name, f.data)
				}
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
			if t := r.report.Totals(); t.Passed+t.Failed+t.Skipped == 0 {
				return r.report, fmt.Errorf("found no cases in %s", strings.Join(append(opts.Tests, opts.Blocks...), ", "))
			}
			return r.report, nil
		}
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

func (r *Runner) walkRoot(ctx context.Context, root string, blocks bool, out chan<- file) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".tgz") {
			return r.walkArchive(ctx, path, blocks, out)
		}
		if !r.wanted(path, blocks) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return send(ctx, out, file{filepath.ToSlash(path), blocks, data})
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
		return fmt.Errorf("%s: %w", path, err)
	}
	defer zr.Close()
	for tr := tar.NewReader(zr); ; {
		entry, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if entry.Typeflag != tar.TypeReg || !r.wanted(entry.Name, blocks) {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, entry.Name, err)
		}
		if err := send(ctx, out, file{entry.Name, blocks, data}); err != nil {
			return err
		}
	}
}

func (r *Runner) wanted(name string, blocks bool) bool {
	suffix := ".json"
	if blocks {
		suffix = ".json.gz"
	}
	return strings.HasSuffix(name, suffix) && strings.Contains(filepath.ToSlash(name), r.opts.Match)
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
