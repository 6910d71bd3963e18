package miner

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
)

// ErrUnsupported is the fallback reason for blocks that only the sequential path builds.
var ErrUnsupported = errors.New("block not supported by the parallel builder")

// PrepareState returns a state equal to db, which must be the unmodified state of root,
// whose base reads the workers of a later Fill can share.
func PrepareState(root common.Hash, db *state.StateDB) (*state.StateDB, error) { return db, nil }

// Fill extends the block by transactions from the request's lists, in parallel.
func Fill(ctx context.Context, block *Block, req *Request) Result {
	return Result{Fallback: ErrUnsupported}
}
