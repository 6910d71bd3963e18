// Package engineapi drives a geth process the way a consensus client does: it starts and
// stops the process, reads its log, and speaks the authenticated Engine API to it, in the
// versions that an OP Stack chain of Jovian uses.
package engineapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/rpc"
)

// ErrNotValid is returned (wrapped) for a payload or a head that the node does not
// accept: its status is not VALID.
var ErrNotValid = errors.New("the node does not call it VALID")

// Client speaks the Engine API.
type Client struct {
	rpc *rpc.Client
}

// Dial connects to an authenticated endpoint.
func Dial(ctx context.Context, url string, secret [32]byte) (*Client, error) {
	client, err := rpc.DialOptions(ctx, url, rpc.WithHTTPAuth(node.NewJWTAuth(secret)))
	if err != nil {
		return nil, fmt.Errorf("engine API at %s: %w", url, err)
	}
	return &Client{rpc: client}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.rpc.Close() }

// RPC returns the authenticated connection, for other namespaces.
func (c *Client) RPC() *rpc.Client { return c.rpc }

// SetHead makes a block the head. It fails with ErrNotValid where the node does not
// accept it.
func (c *Client) SetHead(ctx context.Context, head common.Hash) error {
	return c.SetForkchoice(ctx, engine.ForkchoiceStateV1{HeadBlockHash: head})
}

// SetForkchoice makes blocks the head, the safe and the finalized one. It fails with
// ErrNotValid where the node does not accept the head.
func (c *Client) SetForkchoice(ctx context.Context, state engine.ForkchoiceStateV1) error {
	_, err := c.forkchoiceUpdated(ctx, state, nil)
	return err
}

// StartPayload makes a block the head and starts building on it. It fails with
// ErrNotValid where the node does not accept the head.
func (c *Client) StartPayload(ctx context.Context, head common.Hash, attrs *engine.PayloadAttributes) (engine.PayloadID, error) {
	// Safe and finalized blocks lag behind on a real chain; none yet is what op-node
	// tells before the first batch is on L1.
	id, err := c.forkchoiceUpdated(ctx, engine.ForkchoiceStateV1{HeadBlockHash: head}, attrs)
	if err != nil {
		return engine.PayloadID{}, err
	}
	if id == nil {
		return engine.PayloadID{}, fmt.Errorf("engine_forkchoiceUpdatedV3 on %s with attributes gave no payload id", head)
	}
	return *id, nil
}

func (c *Client) forkchoiceUpdated(ctx context.Context, state engine.ForkchoiceStateV1, attrs *engine.PayloadAttributes) (*engine.PayloadID, error) {
	var response engine.ForkChoiceResponse
	if err := c.rpc.CallContext(ctx, &response, "engine_forkchoiceUpdatedV3", state, attrs); err != nil {
		return nil, fmt.Errorf("engine_forkchoiceUpdatedV3 to %s: %w", state.HeadBlockHash, err)
	}
	if err := checkStatus(response.PayloadStatus); err != nil {
		return nil, fmt.Errorf("engine_forkchoiceUpdatedV3 to %s: %w", state.HeadBlockHash, err)
	}
	return response.PayloadID, nil
}

// GetPayload ends the building of a payload and returns it.
func (c *Client) GetPayload(ctx context.Context, id engine.PayloadID) (*engine.ExecutionPayloadEnvelope, error) {
	var envelope *engine.ExecutionPayloadEnvelope
	if err := c.rpc.CallContext(ctx, &envelope, "engine_getPayloadV4", id); err != nil {
		return nil, fmt.Errorf("engine_getPayloadV4 of %s: %w", id, err)
	}
	if envelope == nil || envelope.ExecutionPayload == nil {
		return nil, fmt.Errorf("engine_getPayloadV4 of %s gave no payload", id)
	}
	return envelope, nil
}

// NewPayload has the node execute a payload and add it to its chain. It fails with
// ErrNotValid where the node does not accept it.
func (c *Client) NewPayload(ctx context.Context, payload *engine.ExecutableData, beaconRoot common.Hash) error {
	var status engine.PayloadStatusV1
	// No blobs and, on the OP Stack, no requests.
	if err := c.rpc.CallContext(ctx, &status, "engine_newPayloadV4", payload, []common.Hash{}, beaconRoot, []string{}); err != nil {
		return fmt.Errorf("engine_newPayloadV4 of block %d: %w", payload.Number, err)
	}
	if err := checkStatus(status); err != nil {
		return fmt.Errorf("engine_newPayloadV4 of block %d, %s: %w", payload.Number, payload.BlockHash, err)
	}
	return nil
}

func checkStatus(status engine.PayloadStatusV1) error {
	if status.Status == engine.VALID {
		return nil
	}
	if status.ValidationError != nil {
		return fmt.Errorf("%w: %s: %s", ErrNotValid, status.Status, *status.ValidationError)
	}
	return fmt.Errorf("%w: %s", ErrNotValid, status.Status)
}
