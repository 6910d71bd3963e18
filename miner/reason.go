package miner

import (
	"errors"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Reason is why a block, or the rest of it, was filled sequentially though parallel
// building is on.
type Reason string

const (
	// ReasonSmall: the pool offered too few transactions for it to pay. No fallback.
	ReasonSmall Reason = "small"

	// ReasonState: the parent's state could not be prepared for reading in parallel.
	ReasonState Reason = "state"
	// ReasonUnsupported: only the sequential path builds such blocks.
	ReasonUnsupported Reason = "unsupported"
	// ReasonPanic: something panicked that must not.
	ReasonPanic Reason = "panic"
	// ReasonAssumption: the engine found a promise of its own broken.
	ReasonAssumption Reason = "assumption"
	// ReasonRead: the state could not be read, or a commit failed.
	ReasonRead Reason = "read"
	// ReasonTries: the state could not be hashed; the block is built again.
	ReasonTries Reason = "tries"
	// ReasonTorn: it failed in the middle of a commit; the block is built again.
	ReasonTorn Reason = "torn"
	// ReasonRefuted: verification refuted the block; it is built again.
	ReasonRefuted Reason = "refuted"
)

// fallbackReasons returns the reasons that are failures of the parallel path.
func fallbackReasons() []Reason {
	return []Reason{ReasonState, ReasonUnsupported, ReasonPanic, ReasonAssumption, ReasonRead, ReasonTries, ReasonTorn, ReasonRefuted}
}

// reasonOf returns why a run fell back.
func reasonOf(result *Result) Reason {
	switch err := result.Fallback; {
	case err == nil:
		return ""
	case result.Torn:
		return ReasonTorn
	case errors.Is(err, ErrUnsupported):
		return ReasonUnsupported
	case errors.Is(err, blockstm.ErrPanic):
		return ReasonPanic
	case errors.Is(err, blockstm.ErrBlockedHead), errors.Is(err, errSkippedFits):
		return ReasonAssumption
	default:
		return ReasonRead
	}
}
