package blockstm

import (
	"context"
	"math/rand/v2"
	"testing"
)

// decodeToys reads transactions from bytes: two make an operation, and an operation with
// the top bit set ends a transaction.
func decodeToys(data []byte) (txs []toyTx, registers int) {
	if len(data) == 0 {
		return nil, 1
	}
	registers = 1 + int(data[0]%16)
	tx := toyTx{after: NoTx}
	for i := 1; i+1 < len(data); i += 2 {
		a, b := data[i], data[i+1]
		tx.ops = append(tx.ops, toyOp{kind: int(a % 6), index: int(b) % registers, bend: a&0x40 != 0})
		if a&0x80 != 0 {
			tx.drop = b&0x80 != 0
			if b&0x40 != 0 && len(txs) > 0 {
				tx.after = TxIndex(int(b&0x3f) % len(txs))
			}
			txs = append(txs, tx)
			tx = toyTx{after: NoTx}
		}
	}
	return append(txs, tx), registers
}

func FuzzSchedulesEndInTheSequentialState(f *testing.F) {
	f.Add([]byte("\x03\x00\x01\x81\x02\x00\x02\x81\x01"), uint64(1), uint8(2))
	f.Add([]byte("\x01\x80\x00\x81\x00\x83\x00\x85\x00\x84\x00"), uint64(2), uint8(4))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, workers uint8) {
		if len(data) > 2000 {
			t.Skip("too long to be interesting")
		}
		txs, n := decodeToys(data)
		want, wantLog := runSequential(txs, n)
		p := newToyProgram(t, txs, n)
		config := Config{Workers: 1 + int(workers%8), MaxWindow: 1 + int(seed%40)}
		if seed%2 == 0 {
			config.Chaos = &seededChaos{r: rand.New(rand.NewPCG(seed, 9)), rate: 1 + int(seed%7)}
		}
		if _, err := NewScheduler(p, config).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(p.log) != len(wantLog) {
			t.Fatalf("%d committed, want %d", len(p.log), len(wantLog))
		}
		for i := range wantLog {
			if p.log[i] != wantLog[i] {
				t.Fatalf("commit %d is %+v, want %+v", i, p.log[i], wantLog[i])
			}
		}
		for i := range n {
			if got, sum := p.cells[i].Committed(), p.sums[i].Committed(); got != want.cells[i] || sum != want.sums[i] {
				t.Fatalf("register %d is %d and %v, want %d and %v", i, got, &sum, want.cells[i], &want.sums[i])
			}
			if p.cells[i].Pending()+p.sums[i].Pending() != 0 {
				t.Fatalf("register %d keeps entries after the last commit", i)
			}
		}
	})
}

// FuzzSum compares a Sum with a plain list of changes: writes, rewrites, withdrawals,
// wipes and commits in any order that the scheduler may produce.
func FuzzSum(f *testing.F) {
	f.Add([]byte{0x10, 0x21, 0x05, 0x42, 0x33, 0x91})
	f.Fuzz(func(t *testing.T, data []byte) {
		var (
			sum     Sum
			changes = map[TxIndex]Delta{}
			stale   = map[TxIndex]bool{}
			final   = uint64(0)
			head    TxIndex
		)
		for i, b := range data {
			tx := head + TxIndex(b&7)
			switch b >> 3 & 7 {
			case 0, 1, 2:
				d := Delta{Wipe: b&0x40 != 0}
				d.Add.SetUint64(uint64(i))
				sum.Write(Version{tx, Incarnation(i)}, d)
				changes[tx], stale[tx] = d, false
			case 3:
				sum.Withdraw(tx)
				delete(changes, tx)
			case 4:
				sum.MarkEstimate(tx)
				stale[tx] = true
			case 5:
				if d, ok := changes[head]; ok {
					sum.Commit(head, d)
					if d.Wipe {
						final = 0
					}
					final += d.Add.Uint64()
					delete(changes, head)
				}
				head++
			default:
				c := CapturedSum{Sum: &sum}
				blocker, ok := sum.Read(tx, &c.Low, b&0x40 != 0)
				want, wantOK := final, true
				for below := head; below < tx && wantOK; below++ {
					if d, has := changes[below]; has {
						if wantOK = !stale[below]; !wantOK && blocker != below {
							t.Fatalf("step %d: blocked by %d, want %d", i, blocker, below)
						}
						if d.Wipe {
							want = 0
						}
						want += d.Add.Uint64()
					}
				}
				if ok != wantOK || ok && c.Low.Uint64() != want {
					t.Fatalf("step %d: %d reads %v %v, want %d %v", i, tx, &c.Low, ok, want, wantOK)
				}
				c.High = c.Low
				if ok && !c.Valid(tx) {
					t.Fatalf("step %d: what was just read is not valid", i)
				}
			}
		}
	})
}
