package params

import (
	"fmt"
	"strconv"
)

// DefaultThreads returns a fresh pointer to the default setting, for configurations
// in which an absent value means "as upstream".
func DefaultThreads() *int {
	n := unsetThreads
	return &n
}

// ParseThreads reads a thread count from text, as a command line or an environment
// variable holds it. The error names where the text came from, the text and what is
// allowed.
func ParseThreads(source, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is %q, allowed are %s", ErrInvalidThreads, source, text, allowedThreads())
	}
	return n, ValidateThreads(source, n)
}
