package buildtest

import (
	"math"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// everything does all that a transaction can leave behind: slots, money paid, a child, a
// log.
const everything = `
	1 1 sstore 2 2 sstore 0 sload 1 add 0 sstore
	0 0 0 0 1 0 calldataload gas call pop
	0 0 1 create pop
	0 0 0 log0 stop`

func senderTraps() []Trap {
	half := big.NewInt(5e17)
	return []Trap{
		{"same-sender-chains", sinceLondon(), func(w *TrapWorld) {
			w.calm = true // one sender's order is known beforehand
			c := w.Contract(addr("tally", 0), tally)
			a, b := w.Rich(), w.Rich()
			for range 12 {
				w.ok(Send{From: a, To: &c})
				w.ok(pay(b, a, ether(1)))
				w.ok(pay(a, b, ether(1)))
			}
			w.nonceIs(a, 24)
			w.nonceIs(b, 12)
			w.slotIs(c, common.BytesToHash(a[:]), 12)
		}},
		{"nonce-gap", sinceLondon(), func(w *TrapWorld) {
			w.calm = true // one sender's order is known beforehand
			for range 4 {
				from := w.Rich()
				w.ok(pay(from, w.Fresh(), ether(1)))
				gap := pay(from, w.Fresh(), ether(1))
				gap.Skip = 2
				w.out(gap)
				w.out(pay(from, w.Fresh(), ether(1)))
				w.nonceIs(from, 1)
				w.bystander()
			}
		}},
		{"nonce-low", sinceLondon(), func(w *TrapWorld) {
			// A low nonce costs only the transaction itself.
			w.calm = true
			for range 4 {
				from := w.Rich()
				w.ok(pay(from, w.Fresh(), ether(1)))
				low := pay(from, w.Fresh(), ether(1))
				low.Skip = -1
				w.out(low)
				w.ok(pay(from, w.Fresh(), ether(1)))
				w.nonceIs(from, 2)
			}
		}},
		{"nonce-high-and-max", sinceLondon(), func(w *TrapWorld) {
			look := w.Contract(addr("probe", 0), probe)
			for _, nonce := range []uint64{math.MaxUint64 - 1, math.MaxUint64} {
				from := w.Rich()
				w.s.Alloc[from] = types.Account{Balance: ether(10), Nonce: nonce}
				w.nonce[from] = nonce
				if nonce == math.MaxUint64 {
					w.out(pay(from, w.Fresh(), ether(1)))
				} else {
					w.ok(pay(from, w.Fresh(), ether(1)))
					last := pay(from, w.Fresh(), ether(1))
					w.out(last)
				}
				w.nonceIs(from, math.MaxUint64)
				w.ok(w.call(look, from))
			}
			far := w.Rich()
			high := pay(far, w.Fresh(), ether(1))
			high.Skip = 1 << 40
			w.out(high)
			w.nonceIs(far, 0)
		}},
		{"funded-by-value", sinceLondon(), func(w *TrapWorld) {
			for range 4 {
				poor := w.Account(new(big.Int))
				w.ok(pay(w.Rich(), poor, ether(1)))
				w.ok(pay(poor, w.Fresh(), half))
				w.out(pay(poor, w.Fresh(), half))
			}
		}},
		{"funded-by-call", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("forward", 0), forward)
			for range 4 {
				poor := w.Account(new(big.Int))
				t := w.call(c, poor)
				t.Value = ether(1)
				w.ok(t).logs(1)
				w.ok(pay(poor, w.Fresh(), half))
				w.out(pay(poor, w.Fresh(), half))
			}
		}},
		{"funded-and-drained-by-delegation", sincePrague(), func(w *TrapWorld) {
			give, all := w.Contract(addr("payout", 0), payOut), w.Contract(addr("sweep", 0), sweep)
			for range 3 {
				poor, rich, purse := w.Account(new(big.Int)), w.Account(ether(2)), w.Account(ether(2))
				w.delegate(purse, give)
				w.ok(w.call(purse, poor, ether(1))).logs(1)
				w.ok(pay(poor, w.Fresh(), half))
				w.delegate(rich, all)
				w.ok(w.call(rich, w.Fresh())).logs(1)
				w.out(pay(rich, w.Fresh(), big.NewInt(1)))
				w.nonceIs(rich, 1)
				w.balance(rich, new(big.Int))
			}
		}},
		{"drained-by-value-and-by-call", sinceLondon(), func(w *TrapWorld) {
			// What would have come is sent elsewhere by an earlier transaction.
			all := w.Contract(addr("purse", 0), sweep)
			for range 3 {
				w.Fund(all, ether(1))
				poor := w.Account(new(big.Int))
				w.ok(w.call(all, w.Fresh())).logs(1)
				w.ok(w.call(all, poor)).logs(1) // nothing is left
				w.out(pay(poor, w.Fresh(), big.NewInt(1)))

				from := w.Account(ether(1))
				w.ok(pay(from, w.Fresh(), big.NewInt(8e17)))
				w.out(pay(from, w.Fresh(), half))
			}
		}},
		{"funder-is-dropped-later", sinceLondon(), func(w *TrapWorld) {
			// A row of transactions each of which is paid for by the one before. The first has its
			// money from a contract, if that was not told otherwise.
			for i := range 3 {
				c, first := w.fund(i)
				w.ok(w.call(c, 0))
				w.ok(w.call(c))
				second, third := w.Account(new(big.Int)), w.Account(new(big.Int))
				w.out(pay(first, second, big.NewInt(8e17)))
				w.out(pay(second, third, half))
				w.out(pay(third, w.Fresh(), big.NewInt(1)))
				w.exists(second, false)
				w.exists(third, false)
			}
		}},
		{"short-after-the-rollup-fees", optimismRules(), func(w *TrapWorld) {
			// Gas and value are covered to the wei, in one by the earlier transaction's doing.
			for i := range 6 {
				t := Send{To: new(common.Address), Gas: params.TxGas, Value: ether(1), Tip: gweis(40 - i)}
				cost := new(big.Int).Mul(gweis(50-i), new(big.Int).SetUint64(params.TxGas))
				t.From = w.Account(cost.Add(cost, ether(1)))
				*t.To = w.Fresh()
				if i%2 == 0 {
					w.ok(pay(w.Rich(), t.From, big.NewInt(1e15)))
					w.ok(t)
				} else {
					w.out(t)
				}
			}
		}},
		{"speculation-fails-and-then-holds", sinceLondon(), func(w *TrapWorld) {
			// On the state before, the contract pays nothing.
			for i := range 4 {
				c, poor := w.fund(i)
				w.Slot(c, slotKey(0), new(big.Int))
				w.ok(w.call(c, ether(1)))
				w.ok(w.call(c)).logs(1)
				w.ok(pay(poor, w.Fresh(), half))
			}
		}},
		{"speculation-holds-and-then-fails", sinceLondon(), func(w *TrapWorld) {
			for i := range 4 {
				c, poor := w.fund(i)
				w.ok(w.call(c, 5))
				w.ok(w.call(c)).logs(1)
				w.out(pay(poor, w.Fresh(), big.NewInt(1)))
				w.balance(poor, big.NewInt(5))
			}
		}},
		{"sender-with-code", sinceLondon(), func(w *TrapWorld) {
			for range 3 {
				from := w.Rich()
				w.Contract(from, accept)
				w.nonce[from] = 1
				w.out(pay(from, w.Fresh(), big.NewInt(1)))
				w.ok(pay(w.Rich(), from, big.NewInt(1)).gas(60_000))
				w.nonceIs(from, 1)
			}
			w.calm = true
		}},
		{"sender-loses-its-code-in-the-block", beforeCancun(), func(w *TrapWorld) {
			// EIP-3607 holds until the code is gone.
			for range 3 {
				from := w.Rich()
				w.Contract(from, destroy)
				w.ok(w.call(from, w.Fresh()))
				w.ok(pay(w.Rich(), from, ether(1)))
				w.ok(pay(from, w.Fresh(), half))
				w.codeIs(from, nil)
				w.nonceIs(from, 1)
			}
		}},
		{"sender-gets-a-delegation-in-the-block", sincePrague(), func(w *TrapWorld) {
			c := w.Contract(addr("tally", 0), tally)
			for range 3 {
				from := w.Rich()
				w.delegate(from, c)
				w.ok(pay(from, w.Fresh(), ether(1)))
				w.delegate(from, common.Address{})
				w.ok(pay(from, w.Fresh(), ether(1)))
				w.nonceIs(from, 4)
				w.codeIs(from, nil)
			}
		}},
		{"dropped-leaves-nothing-behind", sinceLondon(), func(w *TrapWorld) {
			// On an old state the dropped transaction writes, pays, creates and logs.
			c := w.Contract(addr("everything", 0), everything)
			w.Fund(c, ether(1))
			read := w.Contract(addr("read", 0), readOne)
			for i := range 3 {
				f, poor := w.fund(i)
				to := w.Fresh()
				w.ok(w.call(f, 1))
				w.ok(w.call(f))
				w.out(Send{From: poor, To: &c, Data: words(to)})
				w.ok(w.call(read, to)).logs(0)
				w.exists(to, false)
				w.nonceIs(poor, 0)
			}
			for i := range 3 {
				w.slotIs(c, slotKey(i), 0)
			}
			w.nonceIs(c, 1)
			w.balance(c, ether(1))
		}},
		{"dropped-at-admission-leaves-nothing-behind", sinceLondon(), func(w *TrapWorld) {
			// Executed with success, but too big for what is left of the block.
			w.s.GasLimit = 5_000_000
			c := w.Contract(addr("counter", 0), counter)
			for i := range 5 {
				w.ok(w.call(c)).logs(2*i + 1)
				from := w.Rich()
				refused := Send{From: from, To: &c, Gas: 4_990_000}
				if w.Optimism() && i%2 == 0 {
					refused = Send{From: from, To: &c, Conditional: &types.TransactionConditional{BlockNumberMax: new(big.Int)}}
				}
				w.out(refused)
				w.out(Send{From: from, To: &c}) // by its account
				w.out(Send{From: from, Data: Deploy(deployed(counter))})
				w.ok(w.call(c)).logs(2*i + 2)
				w.ok(w.call(crypto.CreateAddress(from, 2))).silent()
			}
			w.slotIs(c, slotKey(0), 10)
		}},
		{"left-over-of-the-first-list-leaves-nothing-behind", optimismRules(), func(w *TrapWorld) {
			// The preferred senders' run ends at the DA limit, with more executed already; the run
			// over all others starts from what is in the block.
			w.s.MaxDABlockSize = big.NewInt(4000)
			c := w.Contract(addr("counter", 0), counter)
			first, huge := w.Rich(), w.Rich()
			data := make([]byte, 5000)
			w.rng.Read(data)
			w.s.Prio = append(w.Accounts(6), first, huge)
			w.ok(Send{From: first, To: &c}).logs(1)
			w.out(Send{From: huge, To: &c, Data: data, Gas: 600_000})
			for _, from := range w.s.Prio[:6] {
				w.out(Send{From: from, To: &c})
			}
			for i := range 6 {
				w.ok(w.call(c)).logs(i + 2)
			}
			w.slotIs(c, slotKey(0), 7)
		}},
		{"dropped-account-stays-dropped", sincePrague(), func(w *TrapWorld) {
			// An authorisation makes its next nonce the right one; but it is off the list.
			c := w.Contract(addr("tally", 0), tally)
			for i := range 3 {
				f, poor := w.fund(i)
				auth := w.Authorize(poor, c, 0)
				w.ok(w.call(f, 1))
				w.ok(w.call(f))
				w.out(pay(poor, w.Fresh(), big.NewInt(1)))
				w.ok(Send{From: w.Rich(), To: &c, Auths: []types.SetCodeAuthorization{auth}})
				w.ok(w.call(f, ether(2)))
				w.ok(w.call(f).gas(300_000)).logs(1)
				w.out(pay(poor, w.Fresh(), big.NewInt(1)))
				w.nonceIs(poor, 1)
				w.balance(poor, new(big.Int).Add(ether(2), common.Big1))
			}
		}},
		{"dropped-authorisations-leave-nothing-behind", sincePrague(), func(w *TrapWorld) {
			c := w.Contract(addr("tally", 0), tally)
			for i := range 3 {
				f, poor := w.fund(i)
				authority := w.Rich()
				auth := w.Authorize(authority, c, 0)
				w.ok(w.call(f, 1))
				w.ok(w.call(f))
				w.out(Send{From: poor, To: &c, Auths: []types.SetCodeAuthorization{auth}})
				w.ok(pay(authority, w.Fresh(), ether(1)))
				w.codeIs(authority, nil)
				w.nonceIs(authority, 1)
			}
		}},
		{"failed-transactions-pay-and-count", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("failing", 0), failing)
			from := w.Account(ether(1))
			for i := range 8 {
				w.fails(Send{From: from, To: &c, Gas: 60_000})
				w.nonceIs(from, 8)
				if i%2 == 0 {
					w.bystander()
				}
			}
			w.slotIs(c, slotKey(0), 0)
			w.check(func(b *Built) error { return atLeast(b, w.s.Coinbase, tips(b, len(b.Receipts))) })
			w.orderly = true
		}},
	}
}

// gas returns the transaction with another gas limit.
func (t Send) gas(limit uint64) Send {
	t.Gas = limit
	return t
}
