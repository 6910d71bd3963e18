package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Output checks that a file can be written, so that it does not turn out after an hour's
// work that its results have no place to go to. The flag is as users write it, -json; an
// empty path asks for no file.
func Output(flag, path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		err = errors.New("it is a directory")
	case err == nil && !info.Mode().IsRegular():
		return nil // a pipe or a device: opening it may wait, or be noticed
	default:
		missing := errors.Is(err, fs.ErrNotExist)
		var f *os.File
		if f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644); err == nil {
			err = f.Close()
			if missing {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%s is %q, allowed is a file that can be written: %w", flag, path, cause(err))
	}
	return nil
}

// Input checks that a file, or, where that is allowed, a directory can be read. What says
// what it has to be, as in "a recorded block".
func Input(flag, path, what string, directory bool) error {
	f, err := os.Open(path)
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() && !directory {
			err = errors.New("it is a directory")
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("%s is %q, allowed is %s: %w", flag, path, what, cause(err))
	}
	return nil
}

// cause returns an error of a file without the file's path, which is named already.
func cause(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
