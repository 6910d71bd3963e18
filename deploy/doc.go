// Package deploy holds the files that operators start from, and the tests that keep them
// and docs/operations.md in step with the binary and its metrics.
package deploy
