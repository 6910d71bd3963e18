package bench

import (
	"container/heap"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/holiman/uint256"
)

// priority is a miner.TxSource: best effective tip first, then the earlier arrival.
type priority struct {
	queues  senderHeap
	baseFee *uint256.Int
}

// senderQueue is what one sender still offers, in nonce order, and the tip of the first.
type senderQueue struct {
	txs []*txpool.LazyTransaction
	tip *uint256.Int
}

func newPriority(pending map[common.Address][]*txpool.LazyTransaction, baseFee *big.Int) *priority {
	p := &priority{baseFee: uint256.MustFromBig(baseFee), queues: make(senderHeap, 0, len(pending))}
	for _, txs := range pending {
		if q := (senderQueue{txs: txs}); p.value(&q) {
			p.queues = append(p.queues, q)
		}
	}
	heap.Init(&p.queues)
	return p
}

// value works out the tip of the sender's next transaction and reports whether there is
// one that pays.
func (p *priority) value(q *senderQueue) bool {
	if len(q.txs) == 0 || q.txs[0].GasFeeCap.Lt(p.baseFee) {
		return false
	}
	q.tip = new(uint256.Int).Sub(q.txs[0].GasFeeCap, p.baseFee)
	if q.tip.Gt(q.txs[0].GasTipCap) {
		q.tip = q.txs[0].GasTipCap
	}
	return true
}

// Peek implements miner.TxSource.
func (p *priority) Peek() (*txpool.LazyTransaction, *uint256.Int) {
	if len(p.queues) == 0 {
		return nil, nil
	}
	return p.queues[0].txs[0], p.queues[0].tip
}

// Shift implements miner.TxSource.
func (p *priority) Shift() {
	best := &p.queues[0]
	best.txs = best.txs[1:]
	if !p.value(best) {
		p.Pop()
		return
	}
	heap.Fix(&p.queues, 0)
}

// Pop implements miner.TxSource.
func (p *priority) Pop() { heap.Remove(&p.queues, 0) }

// Empty implements miner.TxSource.
func (p *priority) Empty() bool { return len(p.queues) == 0 }

// Clear implements miner.TxSource.
func (p *priority) Clear() { p.queues = nil }

// senderHeap implements heap.Interface.
type senderHeap []senderQueue

func (h senderHeap) Len() int      { return len(h) }
func (h senderHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h senderHeap) Less(i, j int) bool {
	if c := h[i].tip.Cmp(h[j].tip); c != 0 {
		return c > 0
	}
	return h[i].txs[0].Time.Before(h[j].txs[0].Time)
}

// Push implements heap.Interface.
func (h *senderHeap) Push(x any) {
	if q, ok := x.(senderQueue); ok {
		*h = append(*h, q)
	}
}

// Pop implements heap.Interface.
func (h *senderHeap) Pop() any {
	last := len(*h) - 1
	q := (*h)[last]
	*h = (*h)[:last]
	return q
}
