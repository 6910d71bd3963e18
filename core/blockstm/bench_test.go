package blockstm

import (
	"context"
	"fmt"
	"testing"
)

// idleProgram has transactions that do nothing.
type idleProgram struct{ txs int }

func (p *idleProgram) Next(tx TxIndex) (TxIndex, bool) { return NoTx, int(tx) < p.txs }
func (p *idleProgram) Execute(int, Version, bool) Execution {
	return Execution{Blocked: NoTx, Readers: NoTx}
}
func (p *idleProgram) Validate(TxIndex) bool        { return true }
func (p *idleProgram) Abort(TxIndex)                {}
func (p *idleProgram) Commit(TxIndex) (bool, error) { return true, nil }
func (p *idleProgram) Cancel()                      {}

// BenchmarkScheduler times what the scheduler itself costs, per transaction.
func BenchmarkScheduler(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			if _, err := NewScheduler(&idleProgram{b.N}, Config{Workers: workers}).Run(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
