package buildtest

import (
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/holiman/uint256"
)

// Priority is a list ordered as op-geth's is: by effective tip, then by arrival, each
// sender's transactions in the order given. It is written for clarity: a linear search
// among the senders' next transactions.
type Priority struct {
	queues  []senderQueue
	baseFee *uint256.Int
}

type senderQueue struct {
	from common.Address
	txs  []*txpool.LazyTransaction
}

// NewPriority makes a list of the transactions given by sender.
func NewPriority(txs map[common.Address][]*txpool.LazyTransaction, baseFee *big.Int) *Priority {
	p := new(Priority)
	if baseFee != nil {
		p.baseFee = uint256.MustFromBig(baseFee)
	}
	for from, list := range txs {
		p.queues = append(p.queues, senderQueue{from, list})
	}
	p.queues = slices.DeleteFunc(p.queues, func(q senderQueue) bool { return !p.pays(q) })
	// A fixed order of the senders makes runs repeatable even where both tip and time tie.
	slices.SortFunc(p.queues, func(a, b senderQueue) int { return a.from.Cmp(b.from) })
	return p
}

// pays reports whether the sender's next transaction covers the base fee.
func (p *Priority) pays(q senderQueue) bool {
	return len(q.txs) > 0 && (p.baseFee == nil || !q.txs[0].GasFeeCap.Lt(p.baseFee))
}

func (p *Priority) tip(tx *txpool.LazyTransaction) *uint256.Int {
	if p.baseFee == nil {
		return tx.GasTipCap
	}
	room := new(uint256.Int).Sub(tx.GasFeeCap, p.baseFee)
	if room.Gt(tx.GasTipCap) {
		return tx.GasTipCap
	}
	return room
}

func (p *Priority) best() int {
	best := -1
	for i, q := range p.queues {
		if best < 0 {
			best = i
			continue
		}
		head, lead := q.txs[0], p.queues[best].txs[0]
		if c := p.tip(head).Cmp(p.tip(lead)); c > 0 || c == 0 && head.Time.Before(lead.Time) {
			best = i
		}
	}
	return best
}

// Peek implements miner.TxSource.
func (p *Priority) Peek() (*txpool.LazyTransaction, *uint256.Int) {
	i := p.best()
	if i < 0 {
		return nil, nil
	}
	tx := p.queues[i].txs[0]
	return tx, p.tip(tx)
}

// Shift implements miner.TxSource.
func (p *Priority) Shift() {
	i := p.best()
	p.queues[i].txs = p.queues[i].txs[1:]
	if !p.pays(p.queues[i]) {
		p.queues = slices.Delete(p.queues, i, i+1)
	}
}

// Pop implements miner.TxSource.
func (p *Priority) Pop() {
	i := p.best()
	p.queues = slices.Delete(p.queues, i, i+1)
}

// Empty implements miner.TxSource.
func (p *Priority) Empty() bool { return len(p.queues) == 0 }

// Clear implements miner.TxSource.
func (p *Priority) Clear() { p.queues = nil }

// Fixed is a list in a given order, whatever the tips. Dropping a transaction drops the
// later ones of its sender, as everywhere.
type Fixed struct {
	txs   []*txpool.LazyTransaction
	froms []common.Address
}

// NewFixed makes a list of txs, sent by froms, in that order.
func NewFixed(txs []*txpool.LazyTransaction, froms []common.Address) *Fixed {
	return &Fixed{txs: slices.Clone(txs), froms: slices.Clone(froms)}
}

// Peek implements miner.TxSource. The tip is the same for all.
func (f *Fixed) Peek() (*txpool.LazyTransaction, *uint256.Int) {
	if len(f.txs) == 0 {
		return nil, nil
	}
	return f.txs[0], new(uint256.Int)
}

// Shift implements miner.TxSource.
func (f *Fixed) Shift() { f.txs, f.froms = f.txs[1:], f.froms[1:] }

// Pop implements miner.TxSource.
func (f *Fixed) Pop() {
	from := f.froms[0]
	var (
		txs   []*txpool.LazyTransaction
		froms []common.Address
	)
	for i, tx := range f.txs {
		if f.froms[i] != from {
			txs, froms = append(txs, tx), append(froms, f.froms[i])
		}
	}
	f.txs, f.froms = txs, froms
}

// Empty implements miner.TxSource.
func (f *Fixed) Empty() bool { return len(f.txs) == 0 }

// Clear implements miner.TxSource.
func (f *Fixed) Clear() { f.txs, f.froms = nil, nil }
