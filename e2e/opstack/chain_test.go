package main

import (
	"context"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/sender"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
)

// fakeNode answers as geth does, from a list of blocks.
type fakeNode struct {
	blocks   []header
	receipts map[common.Hash][]receipt
	pool     []common.Hash
}

// newFakeNode returns a node with a genesis.
func newFakeNode() *fakeNode {
	return &fakeNode{
		blocks:   []header{{Hash: common.Hash{0xff}, Txs: []common.Hash{}}},
		receipts: make(map[common.Hash][]receipt),
	}
}

// add appends a block with receipts. Its hash depends on its parent and on a salt.
func (n *fakeNode) add(salt byte, receipts ...receipt) {
	parent := n.blocks[len(n.blocks)-1]
	h := header{
		Number:     parent.Number + 1,
		ParentHash: parent.Hash,
		Hash:       crypto.Keccak256Hash(parent.Hash[:], []byte{salt}),
		Txs:        []common.Hash{},
	}
	for _, r := range receipts {
		h.Txs = append(h.Txs, r.Hash)
	}
	n.blocks = append(n.blocks, h)
	n.receipts[h.Hash] = receipts
}

// GetBlockByNumber implements eth_getBlockByNumber.
func (n *fakeNode) GetBlockByNumber(number string, _ bool) (*header, error) {
	if number == "latest" {
		return &n.blocks[len(n.blocks)-1], nil
	}
	i, err := hexutil.DecodeUint64(number)
	if err != nil || i >= uint64(len(n.blocks)) {
		return nil, err
	}
	return &n.blocks[i], nil
}

// GetBlockReceipts implements eth_getBlockReceipts.
func (n *fakeNode) GetBlockReceipts(hash common.Hash) []receipt {
	if receipts := n.receipts[hash]; receipts != nil {
		return receipts
	}
	return []receipt{}
}

// SendRawTransaction implements eth_sendRawTransaction.
func (n *fakeNode) SendRawTransaction(data hexutil.Bytes) common.Hash {
	n.pool = append(n.pool, crypto.Keccak256Hash(data))
	return n.pool[len(n.pool)-1]
}

func (n *fakeNode) serve(t *testing.T) *rpc.Client {
	t.Helper()
	server := rpc.NewServer()
	if err := server.RegisterName("eth", n); err != nil {
		t.Fatal(err)
	}
	client := rpc.DialInProc(server)
	t.Cleanup(func() {
		client.Close()
		server.Stop()
	})
	return client
}

// world is a chain with both nodes and some transactions that were sent.
type world struct {
	*chain
	sequencer, follower *fakeNode
	mine, theirs        *rpc.Client
}

func newWorld(t *testing.T, kind workload.Kind) *world {
	t.Helper()
	w := &world{sequencer: newFakeNode(), follower: newFakeNode()}
	w.mine, w.theirs = w.sequencer.serve(t), w.follower.serve(t)
	gen, err := workload.New(workload.Options{Seed: 1, ChainID: 1, Mix: workload.Only(kind), FeeCap: big.NewInt(1e12)})
	if err != nil {
		t.Fatal(err)
	}
	s := sender.New(w.mine, gen)
	if err := s.Send(context.Background(), 3); err != nil {
		t.Fatal(err)
	}
	if w.chain, err = startChain(context.Background(), w.mine, w.theirs, s); err != nil {
		t.Fatal(err)
	}
	return w
}

// look lets the chain look at both nodes, and returns what it says of each.
func (w *world) look() (mine, theirs error) {
	mine = w.watchSequencer(context.Background(), w.mine)
	return mine, w.watchFollower(context.Background(), w.theirs)
}

func deposit() receipt { return receipt{Type: depositType, Status: 1} }

func TestEqualBlocksAreCountedAndUnequalOnesAnError(t *testing.T) {
	w := newWorld(t, workload.Transfer)
	for i := byte(1); i <= 4; i++ {
		w.sequencer.add(i, deposit())
		w.follower.add(i, deposit())
	}
	w.sequencer.add(5, deposit())
	if mine, theirs := w.look(); mine != nil || theirs != nil {
		t.Fatalf("sequencer: %v, follower: %v", mine, theirs)
	}
	if head, followed := w.head(); head != 5 || followed != 4 {
		t.Fatalf("the head is %d and the follower at %d, want 5 and 4", head, followed)
	}
	w.follower.add(6, deposit())
	if _, theirs := w.look(); !errors.Is(theirs, errDiffers) {
		t.Errorf("the error is %v, want %v", theirs, errDiffers)
	}
}

func TestABlockThatTheSequencerReplacesIsAnError(t *testing.T) {
	grown := newWorld(t, workload.Transfer)
	grown.sequencer.add(1)
	grown.sequencer.add(2)
	if mine, _ := grown.look(); mine != nil {
		t.Fatal(mine)
	}
	grown.sequencer.blocks = grown.sequencer.blocks[:2]
	if mine, _ := grown.look(); mine != nil {
		t.Fatalf("a lower head, as after a crash, is an error: %v", mine)
	}
	grown.sequencer.add(3)
	if mine, _ := grown.look(); !errors.Is(mine, errChanged) {
		t.Errorf("another block of the same height: the error is %v, want %v", mine, errChanged)
	}
	grown.sequencer.add(4)
	if mine, _ := grown.look(); !errors.Is(mine, errChanged) {
		t.Errorf("another block below the head: the error is %v, want %v", mine, errChanged)
	}
	if _, err := grown.recheck(context.Background(), "sequencer", grown.mine, 2); !errors.Is(err, errChanged) {
		t.Errorf("asking again: the error is %v, want %v", err, errChanged)
	}
}

func TestAFollowerThatGoesBackIsAnError(t *testing.T) {
	w := newWorld(t, workload.Transfer)
	for i := byte(1); i <= 2; i++ {
		w.sequencer.add(i)
		w.follower.add(i)
	}
	if mine, theirs := w.look(); mine != nil || theirs != nil {
		t.Fatalf("sequencer: %v, follower: %v", mine, theirs)
	}
	w.follower.blocks = w.follower.blocks[:2]
	if _, theirs := w.look(); !errors.Is(theirs, errChanged) {
		t.Errorf("the error is %v, want %v", theirs, errChanged)
	}
}

func TestABlockWithAnUnexpectedTransactionIsAnError(t *testing.T) {
	for _, test := range []struct {
		name     string
		kind     workload.Kind
		receipts func(pool []common.Hash) []receipt
		want     error
	}{
		{"as sent", workload.Transfer, func(pool []common.Hash) []receipt {
			return []receipt{deposit(), {Hash: pool[0], Status: 1}}
		}, nil},
		{"failed as meant", workload.Revert, func(pool []common.Hash) []receipt {
			return []receipt{deposit(), {Hash: pool[0], Status: 0}}
		}, nil},
		{"failed", workload.Transfer, func(pool []common.Hash) []receipt {
			return []receipt{deposit(), {Hash: pool[0], Status: 0}}
		}, errOutcome},
		{"succeeded though it should not", workload.Revert, func(pool []common.Hash) []receipt {
			return []receipt{deposit(), {Hash: pool[0], Status: 1}}
		}, errOutcome},
		{"twice", workload.Transfer, func(pool []common.Hash) []receipt {
			return []receipt{deposit(), {Hash: pool[0], Status: 1}, {Hash: pool[0], Status: 1}}
		}, errOutcome},
		{"of others", workload.Transfer, func([]common.Hash) []receipt {
			return []receipt{deposit(), {Hash: common.Hash{1}, Status: 1}}
		}, errOutcome},
		{"failed deposit", workload.Transfer, func([]common.Hash) []receipt {
			return []receipt{{Type: depositType, Status: 0}}
		}, errOutcome},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.kind)
			w.sequencer.add(1, test.receipts(w.sequencer.pool)...)
			if mine, _ := w.look(); !errors.Is(mine, test.want) {
				t.Errorf("the error is %v, want %v", mine, test.want)
			}
		})
	}
}
