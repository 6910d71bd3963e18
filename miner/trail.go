package miner

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"

	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// trail is how a block was filled, for the dump of a block that turns out to be wrong. It
// belongs to whoever builds the block.
type trail struct {
	state *state.StateDB // the block's
	runs  []trailRun     // of Fill over it, in order
}

// trailRun is one run.
type trailRun struct {
	threads        int
	seed           *int64           // of the disturbed schedule, nil: none
	candidates     []trailCandidate // drawn, in order
	maxDABlockSize *big.Int
	maxSize        uint64
	stats          Stats
	interrupt      int32
	fallback       error
}

// trailCandidate is a transaction that was offered to the block.
type trailCandidate struct {
	tx      *types.Transaction
	daBytes *big.Int // estimated DA size, nil if the pool gave none
}

// trailedDatabase is the database of a state made by PrepareState: the way from the
// finished block, of which nothing else is known than where its state is, back to how it
// was filled.
type trailedDatabase struct {
	*pstate.Tries
	root     common.Hash // of the parent state
	plain    state.Database
	trail    *trail
	course   *course
	assembly *assembly
}

// ListHasher returns what a block on the state is to be assembled with. The patch of
// package consensus/beacon asks for it.
func (t *trailedDatabase) ListHasher() types.ListHasher { return t.assembly }

// untrailed returns the database as it was before PrepareState, and the trail, which is
// nil if there is none.
func untrailed(db state.Database) (state.Database, *trail) {
	if t, ok := db.(*trailedDatabase); ok {
		return t.plain, t.trail
	}
	return db, nil
}

// note adds a finished run.
func (t *trail) note(block *Block, req *Request, r *run, result *Result) {
	if t == nil {
		return
	}
	t.state = block.State
	noted := trailRun{
		threads:        len(r.workers),
		candidates:     r.candidates,
		maxDABlockSize: req.Limits.MaxDABlockSize,
		maxSize:        req.Limits.MaxSize,
		stats:          result.Stats,
		interrupt:      result.Interrupt,
		fallback:       result.Fallback,
	}
	if seeded, ok := req.Chaos.(interface{ Seed() int64 }); ok {
		seed := seeded.Seed()
		noted.seed = &seed
	}
	t.runs = append(t.runs, noted)
}
