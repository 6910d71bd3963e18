package simulate

import (
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Kind is how a register behaves.
type Kind uint8

const (
	// Value is a cell of which what is written follows from all values that were read.
	Value Kind = iota
	// Counter is a cell of which what is written follows from its own content only.
	Counter
	// Total is a sum: writers add to it.
	Total
)

// Tx is what a transaction does, and how long that takes.
type Tx struct {
	After  blockstm.TxIndex // the one known to come before; blockstm.NoTx: none
	Reads  []int            // registers, in the order of their first reads
	Writes []int            // registers

	Draw     time.Duration // taking it from the stream
	Execute  time.Duration // until its writes are published
	Validate time.Duration
	Commit   time.Duration
}

// Block is a list of transactions, and the registers that they use.
type Block struct {
	Txs       []Tx
	Registers []Kind
	Hints     func() Hints // what a run learns while it goes on; nil: nothing
}

// Hints tell what a transaction is best executed after, besides what Tx.After says. Each
// method is called by one goroutine at a time, in the order of the transactions.
type Hints interface {
	Drawn(tx blockstm.TxIndex) blockstm.TxIndex
	Committed(tx blockstm.TxIndex)
}

// noHints is what is learnt where nothing is.
type noHints struct{}

func (noHints) Drawn(blockstm.TxIndex) blockstm.TxIndex { return blockstm.NoTx }
func (noHints) Committed(blockstm.TxIndex)              {}

// Work is how long executing every transaction once takes.
func (b *Block) Work() time.Duration {
	var sum time.Duration
	for i := range b.Txs {
		sum += b.Txs[i].Execute
	}
	return sum
}

// Chain returns the longest chain of transactions each of which reads what the one before
// it wrote, in ascending order, and how long executing it takes. No number of workers
// executes the block in less.
func (b *Block) Chain() ([]int, time.Duration) {
	var (
		ready  = make([]time.Duration, len(b.Registers)) // when a reader can begin
		writer = make([]int, len(b.Registers))           // who made that so, plus one
		before = make([]int, len(b.Txs))                 // the link below, plus one
		last   int
		length time.Duration
	)
	for i := range b.Txs {
		tx := &b.Txs[i]
		var begin time.Duration
		for _, r := range tx.Reads {
			if ready[r] > begin {
				begin, before[i] = ready[r], writer[r]
			}
		}
		end := begin + tx.Execute
		for _, r := range tx.Writes {
			if b.Registers[r] != Total || end > ready[r] {
				ready[r], writer[r] = max(ready[r], end), i+1
			}
		}
		if end > length {
			last, length = i+1, end
		}
	}
	var chain []int
	for ; last > 0; last = before[last-1] {
		chain = append(chain, last-1)
	}
	for i, j := 0, len(chain)-1; i < j; i, j = i+1, j-1 {
		chain[i], chain[j] = chain[j], chain[i]
	}
	return chain, length
}
