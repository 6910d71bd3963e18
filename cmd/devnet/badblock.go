package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
)

// badBlock is a block that newPayload refused, with what it was built from.
type badBlock struct {
	Datadir    string // of geth, with the chain up to the parent
	Threads    int
	Parent     common.Hash
	Attributes *engine.PayloadAttributes
	Payload    *engine.ExecutableData
}

// keepBadBlock writes a block out for replay. The error that it returns tells where, or
// why it could not.
func (r *run) keepBadBlock(parent common.Hash, attrs *engine.PayloadAttributes, payload *engine.ExecutableData) error {
	text, err := json.MarshalIndent(badBlock{r.dir, r.threads, parent, attrs, payload}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the block out: %w", err)
	}
	file := filepath.Join(r.dir, fmt.Sprintf("bad-block-%d.json", payload.Number))
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the block out: %w", err)
	}
	return fmt.Errorf("the block is in %s; to offer it again: devnet -geth %s -replay %s", file, r.settings.geth, file)
}

// replay offers a block that was not valid to geth again, on the chain that it was built
// on, which must still be there.
func replay(ctx context.Context, s *settings, out io.Writer) (err error) {
	text, err := os.ReadFile(s.replay)
	if err != nil {
		return fmt.Errorf("-replay: %w", err)
	}
	var bad badBlock
	if err := json.Unmarshal(text, &bad); err != nil {
		return fmt.Errorf("-replay is %q, allowed is a file that devnet wrote for a block that was not valid: %w", s.replay, err)
	}
	if bad.Payload == nil || bad.Attributes == nil || bad.Attributes.BeaconRoot == nil {
		return fmt.Errorf("-replay is %q, which lacks the payload or its attributes", s.replay)
	}
	node, err := engineapi.Start(context.WithoutCancel(ctx), engineapi.Config{Binary: s.geth, Datadir: bad.Datadir, Args: gethArgs(1)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Stop()) }()
	fmt.Fprintf(out, "block %d, %s, %d transactions, on %s\n", bad.Payload.Number, bad.Payload.BlockHash, len(bad.Payload.Transactions), bad.Parent)
	if err := node.Engine().NewPayload(ctx, bad.Payload, *bad.Attributes.BeaconRoot); err != nil {
		return err
	}
	fmt.Fprintln(out, "it is VALID")
	return nil
}
