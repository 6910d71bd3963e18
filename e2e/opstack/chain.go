package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/sender"
)

// What a run can find wrong with the chain.
var (
	// errDiffers is returned (wrapped) where the follower has another block than the
	// sequencer.
	errDiffers = errors.New("the follower's block is not the sequencer's")

	// errChanged is returned (wrapped) where a node has another block than it had before.
	errChanged = errors.New("a block was replaced")

	// errOutcome is returned (wrapped) where a block holds what nobody sent, or a
	// transaction failed that should have succeeded, or the reverse.
	errOutcome = errors.New("unexpected transaction")
)

// header is what is asked of a block.
type header struct {
	Number     hexutil.Uint64 `json:"number"`
	Hash       common.Hash    `json:"hash"`
	ParentHash common.Hash    `json:"parentHash"`
	Time       hexutil.Uint64 `json:"timestamp"`
	GasUsed    hexutil.Uint64 `json:"gasUsed"`
	ExtraData  hexutil.Bytes  `json:"extraData"`
	Txs        []common.Hash  `json:"transactions"`
}

// receipt is what is asked of a transaction.
type receipt struct {
	Hash   common.Hash    `json:"transactionHash"`
	Type   hexutil.Uint64 `json:"type"`
	Status hexutil.Uint64 `json:"status"`
}

// depositType is the type of transactions that op-node puts into a block.
const depositType = 0x7e

// block is what is known of a block of the sequencer.
type block struct {
	Hash     common.Hash
	Txs      int // without deposits
	Failed   int // with status 0, all of them as meant
	Deposits int
	Gas      uint64
	Jovian   bool // by its extra data
}

// chain is what both nodes had so far. A node that changes what it had is an error.
type chain struct {
	sender *sender.Sender

	mu       sync.Mutex
	blocks   []block // the sequencer's by number, with the genesis; guarded by mu
	followed int     // how many of them the follower has, too, with the genesis; guarded by mu
}

// startChain begins with the genesis.
func startChain(ctx context.Context, sequencer, follower *rpc.Client, s *sender.Sender) (*chain, error) {
	c := &chain{sender: s, followed: 1}
	mine, err := blockByNumber(ctx, sequencer, hexutil.EncodeUint64(0))
	if err != nil {
		return nil, err
	}
	theirs, err := blockByNumber(ctx, follower, hexutil.EncodeUint64(0))
	if err != nil {
		return nil, err
	}
	if mine.Hash != theirs.Hash {
		return nil, fmt.Errorf("%w: genesis %s, and %s", errDiffers, theirs.Hash, mine.Hash)
	}
	c.blocks = []block{{Hash: mine.Hash}}
	return c, nil
}

// blockByNumber asks for a block.
func blockByNumber(ctx context.Context, client *rpc.Client, number string) (*header, error) {
	var h *header
	if err := client.CallContext(ctx, &h, "eth_getBlockByNumber", number, false); err != nil {
		return nil, fmt.Errorf("block %s: %w", number, err)
	}
	if h == nil {
		return nil, fmt.Errorf("block %s: %w", number, errNoBlock)
	}
	return h, nil
}

// errNoBlock is returned (wrapped) for a block that a node does not have.
var errNoBlock = errors.New("the node does not have it")

// head is the number of the newest block, and how many blocks the follower has.
func (c *chain) head() (head, followed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.blocks) - 1, c.followed - 1
}

// at returns a block of the sequencer that is known.
func (c *chain) at(number int) block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocks[number]
}

// watchSequencer takes over the sequencer's new blocks. That each follows from the last
// known one shows that none was replaced.
func (c *chain) watchSequencer(ctx context.Context, client *rpc.Client) error {
	latest, err := blockByNumber(ctx, client, "latest")
	if err != nil {
		return err
	}
	known, _ := c.head()
	if int(latest.Number) <= known {
		// It may be lower for a while after a crash; what there is must be what there was.
		if was := c.at(int(latest.Number)); was.Hash != latest.Hash {
			return fmt.Errorf("%w: the sequencer's block %d was %s and is %s", errChanged, latest.Number, was.Hash, latest.Hash)
		}
		return nil
	}
	for number := known + 1; number <= int(latest.Number); number++ {
		h, err := blockByNumber(ctx, client, hexutil.EncodeUint64(uint64(number)))
		if err != nil {
			return err
		}
		if was := c.at(number - 1); h.ParentHash != was.Hash {
			return fmt.Errorf("%w: the sequencer's block %d was %s, but block %d has the parent %s", errChanged, number-1, was.Hash, number, h.ParentHash)
		}
		b, err := c.account(ctx, client, h)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.blocks = append(c.blocks, b)
		c.mu.Unlock()
	}
	return nil
}

// account checks what became of a block's transactions.
func (c *chain) account(ctx context.Context, client *rpc.Client, h *header) (block, error) {
	b := block{Hash: h.Hash, Gas: uint64(h.GasUsed), Jovian: len(h.ExtraData) == jovianExtraData}
	var receipts []receipt
	if err := client.CallContext(ctx, &receipts, "eth_getBlockReceipts", h.Hash); err != nil {
		return b, fmt.Errorf("receipts of block %d: %w", h.Number, err)
	}
	if len(receipts) != len(h.Txs) {
		return b, fmt.Errorf("%w: block %d has %d transactions and %d receipts", errOutcome, h.Number, len(h.Txs), len(receipts))
	}
	for i, r := range receipts {
		if r.Type == depositType {
			b.Deposits++
			if r.Status == 0 {
				return b, fmt.Errorf("%w: deposit %d of block %d, %s, failed", errOutcome, i, h.Number, r.Hash)
			}
			continue
		}
		b.Txs++
		fails, ours := c.sender.Included(r.Hash)
		if !ours {
			return b, fmt.Errorf("%w: transaction %d of block %d, %s, was not sent or is in another block, too", errOutcome, i, h.Number, r.Hash)
		}
		if (r.Status == 0) != fails {
			return b, fmt.Errorf("%w: transaction %d of block %d, %s, has status %d, but it should have the other", errOutcome, i, h.Number, r.Hash, r.Status)
		}
		if fails {
			b.Failed++
		}
	}
	return b, nil
}

// jovianExtraData is the length of a header's extra data since Jovian.
const jovianExtraData = 17

// watchFollower compares the follower's new blocks with the sequencer's.
func (c *chain) watchFollower(ctx context.Context, client *rpc.Client) error {
	latest, err := blockByNumber(ctx, client, "latest")
	if err != nil {
		return err
	}
	known, followed := c.head()
	if int(latest.Number) < followed {
		return fmt.Errorf("%w: the follower went from block %d back to %d", errChanged, followed, latest.Number)
	}
	for number := followed + 1; number <= min(int(latest.Number), known); number++ {
		h, err := blockByNumber(ctx, client, hexutil.EncodeUint64(uint64(number)))
		if err != nil {
			return err
		}
		if mine := c.at(number); h.Hash != mine.Hash {
			return fmt.Errorf("%w: block %d, %s, and %s", errDiffers, number, h.Hash, mine.Hash)
		}
		c.mu.Lock()
		c.followed++
		c.mu.Unlock()
	}
	return nil
}

// recheck asks a node for all blocks again and compares them with what it had. It returns
// how many it compared.
func (c *chain) recheck(ctx context.Context, who string, client *rpc.Client, last int) (int, error) {
	for number := 0; number <= last; number++ {
		h, err := blockByNumber(ctx, client, hexutil.EncodeUint64(uint64(number)))
		if err != nil {
			return number, fmt.Errorf("%s: %w", who, err)
		}
		if was := c.at(number); h.Hash != was.Hash {
			return number, fmt.Errorf("%w: the %s's block %d was %s and is %s", errChanged, who, number, was.Hash, h.Hash)
		}
	}
	return last, nil
}
