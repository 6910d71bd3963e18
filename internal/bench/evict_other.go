//go:build !linux

package bench

import "errors"

// evictFile has the system give up its cached pages of a file.
func evictFile(string) error {
	return errors.New("a cold page cache can only be had on Linux: choose another state setting")
}
