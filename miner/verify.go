package miner

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
)

// ErrUnverified is returned (wrapped) for a block that executing it sequentially does not
// confirm: the outcome differs, or there is none.
var ErrUnverified = errors.New("block not confirmed by sequential execution")

// Sealed is a finished block with what building it has shown.
type Sealed struct {
	Block    *types.Block
	Receipts types.Receipts
	Parent   state.Database // where the parent's state is: that of the block's StateDB
}

// Verify executes the block again, sequentially, from a state of the parent that shares
// nothing with the one it was built on, by op-geth's own block processor, and has op-geth's
// validator compare gas, receipts root and state root with the header. An error wraps
// ErrUnverified. The block is then written to the directory, if one is given, for replay;
// the error says where. A context that is done means that the node is stopping, under which
// any failure may be one of the closing database: nothing is written then.
func Verify(ctx context.Context, chain *core.BlockChain, sealed *Sealed, dir string) error {
	again, err := reexecute(ctx, chain, sealed)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", ErrUnverified, err)
	if dir == "" || ctx.Err() != nil {
		return err
	}
	dump := newDump(sealed, again, err)
	if failure := dump.explain(ctx, chain, sealed); failure != nil {
		dump.Incomplete = failure.Error()
	}
	path, failure := dump.write(dir)
	if failure != nil {
		return fmt.Errorf("%w (writing it down failed: %w)", err, failure)
	}
	return fmt.Errorf("%w (written to %s)%s", err, path, dump.headline())
}

// outcomeAgain is what executing a block again has given, as far as it went.
type outcomeAgain struct {
	result *core.ProcessResult // nil: the execution failed
	root   common.Hash         // of the state after it
}

// reexecute executes the block and compares. A panic is an error: whatever it comes from,
// the block is not confirmed.
func reexecute(ctx context.Context, chain *core.BlockChain, sealed *Sealed) (again outcomeAgain, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	block := sealed.Block
	parent := chain.GetHeader(block.ParentHash(), block.NumberU64()-1)
	if parent == nil {
		return again, fmt.Errorf("its parent %v is not known", block.ParentHash())
	}
	switch err := chain.Validator().ValidateBody(block); {
	case errors.Is(err, core.ErrKnownBlock), errors.Is(err, consensus.ErrPrunedAncestor):
		// The body is not what is wrong; a builder may go back to where states are pruned.
	case err != nil:
		return again, fmt.Errorf("body: %w", err)
	}
	where, _ := untrailed(sealed.Parent)
	db, err := state.New(parent.Root, where)
	if err != nil {
		return again, fmt.Errorf("state of its parent: %w", err)
	}
	db.StartPrefetcher("verify", nil)
	defer db.StopPrefetcher()

	result, err := chain.Processor().Process(ctx, block, db, vm.Config{})
	if err != nil {
		return again, errors.Join(fmt.Errorf("execution: %w", err), db.Error())
	}
	again = outcomeAgain{result: result, root: db.IntermediateRoot(chain.Config().IsEIP158(block.Number()))}
	if err := chain.Validator().ValidateState(block, db, result, false); err != nil {
		return again, fmt.Errorf("outcome: %w%s", err, firstDifference(sealed.Receipts, result.Receipts))
	}
	return again, db.Error()
}

// firstDifference says which receipt is the first to differ, or nothing if none does.
func firstDifference(parallel, sequential types.Receipts) string {
	for i := range min(len(parallel), len(sequential)) {
		p, errP := parallel[i].MarshalBinary()
		s, errS := sequential[i].MarshalBinary()
		if errP != nil || errS != nil || string(p) != string(s) {
			return fmt.Sprintf("; the first receipt to differ is %d, of transaction %v", i, sequential[i].TxHash)
		}
	}
	return ""
}
