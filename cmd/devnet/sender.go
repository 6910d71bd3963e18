package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
)

// batch is how many transactions go out in one request.
const batch = 200

// poolStatus is the answer of txpool_status.
type poolStatus struct {
	Pending hexutil.Uint
	Queued  hexutil.Uint
}

// sender generates, signs and sends transactions and remembers what should become of
// those that the pool took.
type sender struct {
	rpc *rpc.Client
	gen *workload.Generator // used by one goroutine at a time: fill's or stream's

	mu       sync.Mutex
	wants    map[common.Hash]workload.Outcome // of those not yet in a block; guarded by mu
	sent     int                              // guarded by mu
	refused  int                              // refused by the pool, as foreseen; guarded by mu
	surprise error                            // the first refusal that was not foreseen; guarded by mu
	strange  int                              // how many there were; guarded by mu
}

func newSender(client *rpc.Client, gen *workload.Generator) *sender {
	return &sender{rpc: client, gen: gen, wants: make(map[common.Hash]workload.Outcome)}
}

// send sends the generator's next n transactions.
func (s *sender) send(ctx context.Context, n int) error {
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

func (s *sender) sendBatch(ctx context.Context, txs []workload.Tx) error {
	calls := make([]rpc.BatchElem, len(txs))
	for i, tx := range txs {
		data, err := tx.MarshalBinary()
		if err != nil {
			return fmt.Errorf("encoding a transaction: %w", err)
		}
		calls[i] = rpc.BatchElem{Method: "eth_sendRawTransaction", Args: []any{hexutil.Bytes(data)}, Result: new(common.Hash)}
	}
	// Before they are out: a block may have them before the answer is here.
	s.mu.Lock()
	for _, tx := range txs {
		s.wants[tx.Hash()] = tx.Want
	}
	s.mu.Unlock()
	if err := s.rpc.BatchCallContext(ctx, calls); err != nil {
		return fmt.Errorf("sending transactions: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += len(txs)
	for i, tx := range txs {
		switch err := calls[i].Error; {
		case err == nil:
			continue
		case tx.Want == workload.Refused:
			s.refused++
		default:
			s.strange++
			if s.surprise == nil {
				s.surprise = fmt.Errorf("transaction %s (%s): %w", tx.Hash(), tx.Kind, err)
			}
		}
		delete(s.wants, tx.Hash())
	}
	return nil
}

// stream sends rate transactions a second until ctx ends. Where geth does not take them
// as fast, it does not catch up by more than a second's worth.
func (s *sender) stream(ctx context.Context, rate int) error {
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
			if err := s.send(ctx, n); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
	}
}

// fill sends as many transactions as the pool lacks to have n that can be executed, and
// waits until the pool has sorted them in.
func (s *sender) fill(ctx context.Context, n int) error {
	status, err := s.settled(ctx)
	if err != nil {
		return err
	}
	if err := s.send(ctx, max(0, n-int(status.Pending))); err != nil {
		return err
	}
	_, err = s.settled(ctx)
	return err
}

// status asks for the state of the pool.
func (s *sender) status(ctx context.Context) (poolStatus, error) {
	var status poolStatus
	if err := s.rpc.CallContext(ctx, &status, "txpool_status"); err != nil {
		return status, fmt.Errorf("txpool_status: %w", err)
	}
	return status, nil
}

// settled waits until the pool has followed the chain and does not change any more.
func (s *sender) settled(ctx context.Context) (poolStatus, error) {
	const calm = 4 // answers alike, 25 ms apart
	last, alike := poolStatus{}, 0
	for {
		status, err := s.status(ctx)
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

// included takes a transaction of a block off the list. It reports whether the
// transaction should have failed, and whether it was one of ours.
func (s *sender) included(hash common.Hash) (fails, ours bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want, ours := s.wants[hash]
	delete(s.wants, hash)
	return want == workload.Fails, ours
}

// counts returns what was sent, refused as foreseen and refused otherwise, with the first
// error of the latter.
func (s *sender) counts() (sent, refused, strange int, first error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.refused, s.strange, s.surprise
}
