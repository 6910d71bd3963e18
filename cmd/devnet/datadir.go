package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// marker is the file by which a directory is known to be ours to empty.
const marker = "devnet-data"

// prepareDatadir empties the directory of the run, or makes it. It refuses to empty one
// that devnet did not make.
func prepareDatadir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("-datadir is %q: %w", dir, err)
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
			return fmt.Errorf("-datadir is %q, which has files of others, allowed is a new or empty directory or one of an earlier run", dir)
		}
	}
	for _, entry := range entries {
		// The marker goes last, so that an interrupted removal can be taken up again.
		if entry.Name() != marker {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("emptying -datadir: %w", err)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("-datadir is %q: %w", dir, err)
	}
	if err := os.WriteFile(filepath.Join(dir, marker), []byte("made by cmd/devnet, which empties this directory at the start of a run\n"), 0o644); err != nil {
		return fmt.Errorf("-datadir is %q: %w", dir, err)
	}
	return nil
}
