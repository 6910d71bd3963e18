// Package sender sends a workload's transactions to a node over RPC and keeps account of
// them: what the pool refused, what a block should contain and with which status, and what
// is still open. A node that lost its pool gets what is open again.
package sender

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
)

// batch is how many transactions go out in one request.
const batch = 200

// Status is the answer of txpool_status.
type Status struct {
	Pending hexutil.Uint
	Queued  hexutil.Uint
}

// Sender generates, signs and sends transactions and remembers what should become of
// those that the pool took. Send, Fill, Stream and Resend are called by one goroutine at a
// time, the rest by any.
type Sender struct {
	gen *workload.Generator

	mu       sync.Mutex
	rpc      *rpc.Client                  // guarded by mu
	open     map[common.Hash]*transaction // those not yet in a block; guarded by mu
	sent     int                          // guarded by mu
	refused  int                          // refused by the pool, as foreseen; guarded by mu
	surprise error                        // the first refusal that was not foreseen; guarded by mu
	strange  int                          // how many there were; guarded by mu
}

// transaction is one that is on its way.
type transaction struct {
	workload.Tx
	order int // of generation
}

// New returns a sender of what a generator makes.
func New(client *rpc.Client, gen *workload.Generator) *Sender {
	return &Sender{rpc: client, gen: gen, open: make(map[common.Hash]*transaction)}
}

// Use changes the connection, after a restart of the node.
func (s *Sender) Use(client *rpc.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rpc = client
}

func (s *Sender) client() *rpc.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rpc
}

// Send sends the generator's next n transactions.
func (s *Sender) Send(ctx context.Context, n int) error {
	for n > 0 {
		txs, err := s.gen.Take(min(n, batch))
		if err != nil {
			return err
		}
		if err := s.sendBatch(ctx, txs); err != nil {
			return err
		}
		n -= len(txs)
	}
	return nil
}

func (s *Sender) sendBatch(ctx context.Context, txs []workload.Tx) error {
	// Before they are out: a block may have them before the answer is here.
	s.mu.Lock()
	batch := make([]*transaction, len(txs))
	for i, tx := range txs {
		batch[i] = &transaction{Tx: tx, order: s.sent + i}
		s.open[tx.Hash()] = batch[i]
	}
	s.sent += len(txs)
	s.mu.Unlock()
	answers, err := s.offer(ctx, batch)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, tx := range batch {
		switch {
		case answers[i] == nil:
			continue
		case tx.Want == workload.Refused:
			s.refused++
		default:
			s.strange++
			if s.surprise == nil {
				s.surprise = fmt.Errorf("transaction %s (%s): %w", tx.Hash(), tx.Kind, answers[i])
			}
		}
		delete(s.open, tx.Hash())
	}
	return nil
}

// offer sends transactions in one request and returns the pool's answer to each.
func (s *Sender) offer(ctx context.Context, txs []*transaction) ([]error, error) {
	calls := make([]rpc.BatchElem, len(txs))
	for i, tx := range txs {
		data, err := tx.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("encoding a transaction: %w", err)
		}
		calls[i] = rpc.BatchElem{Method: "eth_sendRawTransaction", Args: []any{hexutil.Bytes(data)}, Result: new(common.Hash)}
	}
	if err := s.client().BatchCallContext(ctx, calls); err != nil {
		return nil, fmt.Errorf("sending transactions: %w", err)
	}
	answers := make([]error, len(txs))
	for i := range calls {
		answers[i] = calls[i].Error
	}
	return answers, nil
}

// Resend offers all that is open again, in the order of generation, and returns how many
// the pool did not have. It fails where the pool refuses one for another reason than
// having it, or its being in the chain, already.
func (s *Sender) Resend(ctx context.Context) (lost int, err error) {
	s.mu.Lock()
	open := make([]*transaction, 0, len(s.open))
	for _, tx := range s.open {
		open = append(open, tx)
	}
	s.mu.Unlock()
	slices.SortFunc(open, func(a, b *transaction) int { return cmp.Compare(a.order, b.order) })
	for part := range slices.Chunk(open, batch) {
		answers, err := s.offer(ctx, part)
		if err != nil {
			return lost, err
		}
		for i, answer := range answers {
			switch {
			case answer == nil:
				lost++
			case strings.Contains(answer.Error(), "already known"), strings.Contains(answer.Error(), "nonce too low"):
			default:
				return lost, fmt.Errorf("transaction %s (%s), sent again: %w", part[i].Hash(), part[i].Kind, answer)
			}
		}
	}
	return lost, nil
}

// Stream sends rate transactions a second until ctx ends. Where geth does not take them
// as fast, it does not catch up by more than a second's worth.
func (s *Sender) Stream(ctx context.Context, rate int) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	last, due := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			due = min(due+now.Sub(last).Seconds()*float64(rate), float64(rate))
			last = now
			n := int(due)
			due -= float64(n)
			if err := s.Send(ctx, n); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
	}
}

// Fill sends as many transactions as the pool lacks to have n that can be executed, and
// waits until the pool has sorted them in.
func (s *Sender) Fill(ctx context.Context, n int) error {
	status, err := s.Settled(ctx)
	if err != nil {
		return err
	}
	if err := s.Send(ctx, max(0, n-int(status.Pending))); err != nil {
		return err
	}
	_, err = s.Settled(ctx)
	return err
}

// Status asks for the state of the pool.
func (s *Sender) Status(ctx context.Context) (Status, error) {
	var status Status
	if err := s.client().CallContext(ctx, &status, "txpool_status"); err != nil {
		return status, fmt.Errorf("txpool_status: %w", err)
	}
	return status, nil
}

// Settled waits until the pool has followed the chain and does not change any more.
func (s *Sender) Settled(ctx context.Context) (Status, error) {
	const calm = 4 // answers alike, 25 ms apart
	last, alike := Status{}, 0
	for {
		status, err := s.Status(ctx)
		if err != nil {
			return status, err
		}
		if status == last {
			alike++
		} else {
			last, alike = status, 1
		}
		if alike == calm {
			return status, nil
		}
		select {
		case <-ctx.Done():
			return status, ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// Included takes a transaction of a block off the list. It reports whether the
// transaction should have failed, and whether it was one of ours.
func (s *Sender) Included(hash common.Hash) (fails, ours bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, ours := s.open[hash]
	delete(s.open, hash)
	return ours && tx.Want == workload.Fails, ours
}

// Open is how many transactions are neither in a block nor refused.
func (s *Sender) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Counts returns what was sent, refused as foreseen and refused otherwise, with the first
// error of the latter.
func (s *Sender) Counts() (sent, refused, strange int, first error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.refused, s.strange, s.surprise
}
