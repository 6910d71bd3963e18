package buildtest

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

// limitCases run into the block's limits, with transactions dropped in the middle and
// smaller ones that fit after them.
func limitCases() []Case {
	return []Case{
		{"gas-limit-with-drops-in-the-middle", everyRules(), func(w *World) (int, int) {
			w.s.GasLimit = 5_000_000
			c := w.Contract(addr("endless", 0), endless)
			for i, from := range w.Accounts(80) {
				to := w.Fresh()
				if i%4 == 0 { // uses all it asks for
					w.Send(Send{From: from, To: &c, Gas: 400_000})
				} else { // asks for far more than it uses
					w.Send(Send{From: from, To: &to, Gas: params.TxGas + uint64(i)*10_000})
				}
				w.Send(Send{From: from, To: &to, Gas: params.TxGas})
			}
			return 20, 40
		}},
		{"gas-limit-to-the-last-transfer", optimismRules(), func(w *World) (int, int) {
			w.s.GasLimit = 50*params.TxGas + 1_000_000
			for _, from := range w.Accounts(120) {
				to := w.Fresh()
				w.Send(Send{From: from, To: &to, Gas: params.TxGas})
			}
			return 30, 10
		}},
		{"da-block-size", optimismRules(), func(w *World) (int, int) {
			w.s.MaxDABlockSize = big.NewInt(12_000)
			return withRandomData(w, 60, 400), 10
		}},
		{"da-transaction-size", optimismRules(), func(w *World) (int, int) {
			w.s.MaxDATxSize = big.NewInt(600)
			return withRandomData(w, 60, 1200), 5
		}},
		{"da-footprint-with-drops-in-the-middle", []string{"Jovian"}, func(w *World) (int, int) {
			w.SetDAFootprintScalar(1500)
			w.s.GasLimit = 20_000_000
			return withRandomData(w, 80, 900), 10
		}},
		{"da-footprint-to-the-last-byte", []string{"Jovian"}, func(w *World) (int, int) {
			w.SetDAFootprintScalar(2000)
			w.s.GasLimit = 10_000_000
			for _, from := range w.Accounts(80) {
				to := w.Fresh()
				w.Send(Send{From: from, To: &to, Gas: params.TxGas})
			}
			return 40, 20
		}},
		{"priority-accounts", optimismRules(), func(w *World) (int, int) {
			w.s.GasLimit = 4_000_000
			w.s.MaxDABlockSize = big.NewInt(10_000)
			c := w.Contract(addr("counter", 0), counter)
			for i, from := range w.Accounts(60) {
				if i%5 == 0 {
					w.s.Prio = append(w.s.Prio, from)
				}
				w.Send(Send{From: from, To: &c, Gas: 80_000})
				w.Send(Send{From: from, To: &c, Gas: 80_000, Skip: i % 2})
			}
			return 30, 20
		}},
		{"blobs", []string{"Cancun", "Prague"}, func(w *World) (int, int) {
			c := w.Contract(addr("counter", 0), counter)
			for i, from := range w.Accounts(40) {
				if i%3 == 0 {
					w.Send(Send{From: from, To: &c, Blobs: 1 + i%4, Gas: 100_000})
					w.Send(Send{From: from, To: &c, Blobs: 1, Gas: 100_000})
				} else {
					w.Send(Send{From: from, To: &c, Gas: 100_000})
				}
			}
			return 28, 10
		}},
		{"blobs-that-fail", []string{"Cancun", "Prague"}, func(w *World) (int, int) {
			c := w.Contract(addr("failing", 0), failing)
			for i, from := range w.Accounts(20) {
				w.Send(Send{From: from, To: &c, Blobs: 1, Gas: 100_000, Skip: i % 2})
				to := w.Fresh()
				w.Send(Send{From: w.Rich(), To: &to, Gas: params.TxGas})
			}
			return 23, 10
		}},
		{"block-size", []string{"Isthmus", "Shanghai"}, func(w *World) (int, int) {
			// Incompressible calldata up to the size that ends the block.
			w.s.GasLimit = 500_000_000
			for i, from := range w.Accounts(80) {
				data := make([]byte, 120_000-i*100)
				w.rng.Read(data)
				to := w.Fresh()
				w.Send(Send{From: from, To: &to, Data: data, Gas: 6_000_000})
			}
			return 40, 5
		}},
	}
}

// withRandomData sends n transactions of which every second carries up to size bytes that
// don't compress, one account's after another's.
func withRandomData(w *World, n, size int) int {
	for i, from := range w.Accounts(n) {
		to := w.Fresh()
		data := make([]byte, (i%2)*(1+w.rng.Intn(size)))
		w.rng.Read(data)
		w.Send(Send{From: from, To: &to, Data: data})
		w.Send(Send{From: from, To: &to, Gas: params.TxGas})
	}
	return 10
}

// stateCases touch the accounts and the parts of accounts that are hard to keep apart.
func stateCases() []Case {
	return []Case{
		{"fee-recipients-are-read", everyRules(), func(w *World) (int, int) {
			read, look := w.Contract(addr("read", 0), readOne), w.Contract(addr("probe", 0), probeFor(w))
			targets := append([]common.Address{w.s.Coinbase}, feeVaults()...)
			for i, from := range w.Accounts(80) {
				to := w.Fresh()
				switch i % 4 {
				case 0:
					w.Send(Send{From: from, To: &read, Data: words(targets[i/4%len(targets)])})
				case 1:
					w.Send(Send{From: from, To: &look, Data: words(targets[i/4%len(targets)])})
				default:
					w.Send(Send{From: from, To: &to, Gas: params.TxGas})
				}
			}
			return 80, 0
		}},
		{"coinbase-sends-and-receives", everyRules(), func(w *World) (int, int) {
			w.s.Coinbase = w.Account(ether(1))
			c := w.Contract(addr("forward", 0), forward)
			for i, from := range w.Accounts(40) {
				switch i % 4 {
				case 0:
					w.Send(Send{From: w.s.Coinbase, To: &from, Value: big.NewInt(1e15), Gas: params.TxGas})
				case 1:
					w.Send(Send{From: from, To: &w.s.Coinbase, Value: ether(1), Gas: params.TxGas})
				case 2:
					w.Send(Send{From: from, To: &c, Value: ether(1), Data: words(w.s.Coinbase)})
				case 3:
					w.Send(Send{From: from, To: &c, Gas: 100_000, Data: words(w.s.Coinbase)})
				}
			}
			return 35, 0
		}},
		{"coinbase-pays-with-what-it-just-earned", []string{"Jovian", "Prague", "Byzantium"}, func(w *World) (int, int) {
			w.s.Coinbase = w.Account(new(big.Int))
			to := w.Fresh()
			for i, from := range w.Accounts(30) {
				w.Send(Send{From: from, To: &to, Gas: params.TxGas, Tip: gweis(100 - i)})
			}
			w.Send(Send{From: w.s.Coinbase, To: &to, Value: big.NewInt(1e12), Gas: params.TxGas, Tip: gweis(80)})
			w.Send(Send{From: w.s.Coinbase, To: &to, Value: big.NewInt(1e14), Gas: params.TxGas, Tip: gweis(75)})
			return 31, 0
		}},
		{"vault-is-emptied-between-payers", optimismRules(), func(w *World) (int, int) {
			for _, vault := range append(feeVaults(), w.s.Coinbase) {
				w.Contract(vault, sweep)
			}
			for i, from := range w.Accounts(60) {
				vault, to := append(feeVaults(), w.s.Coinbase)[i/3%4], w.Fresh()
				if i%3 == 0 {
					w.Send(Send{From: from, To: &vault, Data: words(to)})
				} else {
					w.Send(Send{From: from, To: &to, Gas: params.TxGas})
				}
			}
			return 60, 0
		}},
		{"coinbase-is-a-vault", optimismRules(), func(w *World) (int, int) {
			w.s.Coinbase = params.OptimismL1FeeRecipient
			read := w.Contract(addr("read", 0), readOne)
			for i, from := range w.Accounts(40) {
				if i%4 == 0 {
					w.Send(Send{From: from, To: &read, Data: words(w.s.Coinbase)})
				} else {
					to := w.Fresh()
					w.Send(Send{From: from, To: &to, Gas: params.TxGas})
				}
			}
			return 40, 0
		}},
		{"coinbase-is-destroyed", []string{"Jovian", "Shanghai", "Byzantium"}, func(w *World) (int, int) {
			w.s.Coinbase = w.Contract(addr("destroy", 0), destroy)
			for i, from := range w.Accounts(40) {
				to := w.Fresh()
				if i%5 == 0 {
					w.Send(Send{From: from, To: &w.s.Coinbase, Data: words(to)})
				} else {
					w.Send(Send{From: from, To: &to, Gas: params.TxGas})
				}
			}
			return 40, 0
		}},
		{"zero-tips-to-an-absent-coinbase", everyRules(), func(w *World) (int, int) {
			w.s.Coinbase = w.Fresh()
			look := w.Contract(addr("probe", 0), probeFor(w))
			for i, from := range w.Accounts(30) {
				tip := big.NewInt(1)
				if i == 20 {
					tip = gweis(0)
				}
				w.Send(Send{From: from, To: &look, Data: words(w.s.Coinbase), Tip: tip, FeeCap: gweis(2)})
			}
			return 20, 0
		}},
		{"selfdestructs", everyRules(), selfdestructs},
		{"create-and-destroy-in-one-transaction", []string{"Jovian", "Prague", "Shanghai", "London"}, func(w *World) (int, int) {
			f, look := w.Contract(addr("factory", 0), factory2), w.Contract(addr("probe", 0), probe)
			init := deployed(`caller selfdestruct`)
			for i := range 20 {
				salt := common.BigToHash(big.NewInt(int64(i % 5)))
				child := created(f, salt, init)
				w.Send(Send{From: w.Rich(), To: &f, Data: words(salt, init), Value: big.NewInt(int64(i)), Gas: 300_000})
				w.Send(Send{From: w.Rich(), To: &child, Value: big.NewInt(3)})
				w.Send(Send{From: w.Rich(), To: &look, Data: words(child)})
			}
			return 60, 0
		}},
		{"delegations", []string{"Jovian", "Isthmus", "Prague"}, delegations},
		{"transient-storage", []string{"Jovian", "Cancun"}, func(w *World) (int, int) {
			c := w.Contract(addr("transient", 0), transient)
			for _, from := range w.Accounts(40) {
				w.Send(Send{From: from, To: &c})
			}
			return 40, 0
		}},
		{"probes-of-accounts-that-come-and-go", everyRules(), func(w *World) (int, int) {
			look, pay := w.Contract(addr("probe", 0), probeFor(w)), w.Contract(addr("payout", 0), payOut)
			w.Fund(pay, ether(100))
			for i := range 30 {
				target := w.Fresh()
				w.Send(Send{From: w.Rich(), To: &look, Data: words(target), Tip: gweis(90)})
				w.Send(Send{From: w.Rich(), To: &pay, Data: words(target, i%2), Tip: gweis(50)})
				w.Send(Send{From: w.Rich(), To: &look, Data: words(target), Tip: gweis(20)})
			}
			return 90, 0
		}},
		{"l1-attributes-are-read", optimismRules(), func(w *World) (int, int) {
			mint := w.Fresh()
			w.Deposit(types.DepositTx{From: mint, To: &mint, Mint: ether(3), Value: ether(1), Gas: 100_000})
			bad := w.Contract(addr("failing", 0), failing)
			w.Deposit(types.DepositTx{From: mint, To: &bad, Mint: ether(1), Value: ether(2), Gas: 100_000})
			c := w.Contract(addr("l1reader", 0), fmt.Sprintf(
				`32 0 0 0 %s gas staticcall caller sstore 0 mload 0 mstore %s balance 32 mstore 64 0 log0 stop`, types.L1BlockAddr, mint))
			for i, from := range w.Accounts(30) {
				if i%5 == 0 {
					w.Send(Send{From: from, To: &types.L1BlockAddr, Data: nil})
				} else {
					w.Send(Send{From: from, To: &c})
				}
			}
			return 30, 0
		}},
		{"l1-attributes-are-overwritten-mid-block", optimismRules(), func(w *World) (int, int) {
			// The stand-in has no access control: transactions change what later fees are made of.
			// The fee functions took their figures when the first transaction paid.
			for i, from := range w.Accounts(30) {
				to := w.Fresh()
				if i%5 == 0 {
					w.Send(Send{From: from, To: &types.L1BlockAddr, Data: make([]byte, 178)})
				} else {
					w.Send(Send{From: from, To: &to, Gas: params.TxGas})
				}
			}
			return 30, 0
		}},
		{"message-passer-storage", optimismRules(), func(w *World) (int, int) {
			w.Contract(messagePasser, `0 calldataload caller sstore 0 sload 1 add 0 sstore stop`)
			for i, from := range w.Accounts(40) {
				w.Send(Send{From: from, To: &messagePasser, Data: words(i + 1)})
			}
			return 40, 0
		}},
	}
}

// probeFor returns the contract that looks at an account in all ways that the rules have.
func probeFor(w *World) string {
	if w.after("Constantinople") {
		return probe
	}
	return probeOld
}

func selfdestructs(w *World) (int, int) {
	look := w.Contract(addr("probe", 0), probeFor(w))
	for i := range 12 {
		c := w.Contract(addr("destroy", i), destroy)
		w.Fund(c, big.NewInt(1000))
		w.Slot(c, common.Hash{31: 1}, big.NewInt(77))
		heir := w.Fresh()
		if i%3 == 0 {
			heir = c // beneficiary of its own end
		}
		// Destroyed, paid, looked at and destroyed again.
		w.Send(Send{From: w.Rich(), To: &c, Data: words(heir), Tip: gweis(80)})
		w.Send(Send{From: w.Rich(), To: &c, Data: words(heir), Value: big.NewInt(50), Tip: gweis(60)})
		w.Send(Send{From: w.Rich(), To: &look, Data: words(c), Tip: gweis(50)})
		w.Send(Send{From: w.Rich(), To: &look, Data: words(heir), Tip: gweis(50)})
		w.Send(Send{From: w.Rich(), To: &c, Value: big.NewInt(9), Gas: 60_000, Tip: gweis(40)})
	}
	return 60, 0
}

func delegations(w *World) (int, int) {
	var (
		look  = w.Contract(addr("probe", 0), probe)
		count = w.Contract(addr("counter", 0), counter)
		each  = w.Contract(addr("tally", 0), tally)
		send  = w.Contract(addr("sweep", 0), sweep)
		dest  = w.Fresh()
		in    int
	)
	for i := range 12 {
		// Delegated, used, delegated elsewhere, used, cleared, used; a stale authorisation in between.
		wallet := w.Account(ether(2))
		for j, target := range []common.Address{count, each, {}} {
			auths := []types.SetCodeAuthorization{w.Authorize(wallet, target, 0), w.Authorize(wallet, send, 7)}
			w.Used(wallet)
			w.Send(Send{From: w.Rich(), To: &wallet, Auths: auths, Tip: gweis(90 - 20*j)})
			w.Send(Send{From: w.Rich(), To: &wallet, Tip: gweis(85 - 20*j)})
			w.Send(Send{From: w.Rich(), To: &look, Data: words(wallet), Tip: gweis(84 - 20*j)})
			in += 3
		}
		// Its own authority: the nonce moves by two in one transaction.
		self := w.Rich()
		w.Send(Send{From: self, To: &self, Auths: []types.SetCodeAuthorization{w.Authorize(self, count, 1)}, Tip: gweis(70)})
		w.Used(self)
		w.Send(Send{From: self, To: &dest, Tip: gweis(30)})
		in += 2
		// Emptied through a delegation before its own transaction can pay.
		poor := w.Account(ether(1))
		w.Send(Send{From: w.Rich(), To: &poor, Data: words(dest), Auths: []types.SetCodeAuthorization{w.Authorize(poor, send, 0)}, Tip: gweis(60 + i)})
		w.Used(poor)
		w.Send(Send{From: poor, To: &dest, Tip: gweis(20)})
		in++
	}
	return in, 12
}
