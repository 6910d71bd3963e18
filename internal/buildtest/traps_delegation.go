package buildtest

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

func delegationTraps() []Trap {
	return []Trap{
		{"delegate-redelegate-and-clear", sincePrague(), func(w *TrapWorld) {
			// Storage belongs to the account, not to the code it borrows.
			count, other := w.Contract(addr("counter", 0), counter), w.Contract(addr("other", 0), `0 sload 100 add dup1 0 sstore 0 mstore 32 0 log0 stop`)
			for range 3 {
				wallet := w.Rich()
				w.delegate(wallet, count)
				w.ok(w.call(wallet)).logs(1)
				w.delegate(wallet, other)
				w.ok(w.call(wallet)).logs(101)
				w.delegate(wallet, common.Address{})
				w.ok(w.call(wallet))
				w.delegate(wallet, count)
				w.ok(w.call(wallet)).logs(102)
				w.nonceIs(wallet, 4)
				w.codeIs(wallet, types.AddressToDelegation(count))
				w.slotIs(wallet, slotKey(0), 102)
			}
		}},
		{"two-transactions-share-an-authority", sincePrague(), func(w *TrapWorld) {
			// Their authorisations take effect in order; one that comes twice, once.
			a, b := w.Contract(addr("target", 1), counter), w.Contract(addr("target", 2), tally)
			nowhere := w.Fresh()
			for i := range 4 {
				wallet := w.Rich()
				both := w.auths(wallet, a, b)
				first := Send{From: w.Rich(), To: &nowhere, Auths: both[:1]}
				second := Send{From: w.Rich(), To: &nowhere, Auths: both[1:]}
				if i%2 == 0 {
					w.ok(first)
					w.ok(second)
					w.ok(Send{From: w.Rich(), To: &nowhere, Auths: both[:1]}) // stale by now
					w.codeIs(wallet, types.AddressToDelegation(b))
					w.nonceIs(wallet, 2)
				} else {
					w.ok(second) // too early: of no effect
					w.ok(first)
					w.codeIs(wallet, types.AddressToDelegation(a))
					w.nonceIs(wallet, 1)
				}
			}
		}},
		{"two-authorisations-in-one-transaction", sincePrague(), func(w *TrapWorld) {
			a, b := w.Contract(addr("target", 1), counter), w.Contract(addr("target", 2), tally)
			for range 3 {
				wallet, other := w.Rich(), w.Rich()
				nowhere := w.Fresh()
				w.ok(Send{From: w.Rich(), To: &nowhere, Auths: append(w.auths(wallet, a, b, a), w.auths(other, b)...)}.gas(400_000))
				w.ok(w.call(wallet)).logs(1)
				w.delegate(wallet, b)
				w.ok(pay(wallet, w.Fresh(), ether(1)))
				w.nonceIs(wallet, 5)
				w.nonceIs(other, 1)
				w.codeIs(wallet, types.AddressToDelegation(b))
			}
		}},
		{"authority-is-the-sender", sincePrague(), func(w *TrapWorld) {
			count := w.Contract(addr("counter", 0), counter)
			for range 4 {
				self := w.Rich()
				auth := w.Authorize(self, count, 1)
				w.ok(Send{From: self, To: &self, Auths: []types.SetCodeAuthorization{auth}}).logs(1)
				low := pay(self, w.Fresh(), ether(1)) // its nonce went to the authorisation
				w.out(low)
				w.ok(w.call(self)).logs(2)
				w.ok(pay(self, w.Fresh(), ether(1)))
				w.nonceIs(self, 3)
			}
		}},
		{"authority-is-a-later-sender", sincePrague(), func(w *TrapWorld) {
			count := w.Contract(addr("counter", 0), counter)
			nowhere := w.Fresh()
			for range 4 {
				later := w.Rich()
				auth := w.Authorize(later, count, 0)
				w.ok(Send{From: w.Rich(), To: &nowhere, Auths: []types.SetCodeAuthorization{auth}})
				w.out(pay(later, w.Fresh(), ether(1))) // nonce 0 is used up
				w.ok(pay(later, w.Fresh(), ether(1)))
				w.nonceIs(later, 2)

				spent := w.Rich() // the other way round: the authorisation is late
				auth = w.Authorize(spent, count, 0)
				w.ok(pay(spent, w.Fresh(), ether(1)))
				w.ok(Send{From: w.Rich(), To: &nowhere, Auths: []types.SetCodeAuthorization{auth}})
				w.nonceIs(spent, 1)
				w.codeIs(spent, nil)
			}
		}},
		{"invalid-authorisations", sincePrague(), func(w *TrapWorld) {
			count, nowhere := w.Contract(addr("counter", 0), counter), w.Fresh()
			chain := w.s.Config.ChainID
			for range 3 {
				wallet, contract := w.Rich(), w.Rich()
				w.Contract(contract, accept)
				forged := w.authorize(wallet, count, 0, chain)
				forged.R.AddUint64(&forged.R, 1)
				odd := w.authorize(wallet, count, 0, chain)
				odd.V = 9
				bad := []types.SetCodeAuthorization{
					w.authorize(wallet, count, 1, chain),
					w.authorize(wallet, count, ^uint64(0), chain),
					w.authorize(wallet, count, 0, new(big.Int).Add(chain, common.Big1)),
					w.authorize(contract, count, 1, chain),
					forged, odd,
				}
				for i := range bad {
					w.ok(Send{From: w.Rich(), To: &nowhere, Auths: bad[i : i+1]})
				}
				w.ok(w.call(wallet)).silent()
				w.ok(Send{From: w.Rich(), To: &nowhere, Auths: append(bad, w.authorize(wallet, count, 0, common.Big0))}.gas(400_000)) // for any chain
				w.ok(w.call(wallet)).logs(1)
				w.nonceIs(wallet, 1)
				w.codeIs(contract, deployed(accept))
			}
		}},
		{"existing-authority-refund", sincePrague(), func(w *TrapWorld) {
			nowhere, count := w.Fresh(), w.Contract(addr("counter", 0), counter)
			give := w.Contract(addr("forward", 0), forward)
			for range 3 {
				absent, funded := w.Account(new(big.Int)), w.Account(new(big.Int))
				t := w.call(give, funded) // only now does it exist
				t.Value = big.NewInt(1)
				w.ok(t)
				first := w.ok(Send{From: w.Rich(), To: &nowhere, Auths: w.auths(absent, count)})
				second := w.ok(Send{From: w.Rich(), To: &nowhere, Auths: w.auths(funded, count)})
				third := w.ok(Send{From: w.Rich(), To: &nowhere, Auths: w.auths(absent, count)}) // exists by the first
				refund := int64(params.CallNewAccountGas - params.TxAuthTupleGas)
				w.check(func(b *Built) error { // the refund is capped at a fifth of the gas
					a, err := first.receipt(b)
					if err != nil {
						return err
					}
					if capped := int64(a.GasUsed / 5); capped < refund {
						refund = capped
					}
					return nil
				})
				w.check(func(b *Built) error {
					a, err := first.receipt(b)
					if err != nil {
						return err
					}
					for _, s := range []sent{second, third} {
						r, err := s.receipt(b)
						if err != nil || int64(a.GasUsed)-int64(r.GasUsed) != refund {
							return fmt.Errorf("%s uses %d gas, want %d less than %d: %v", s.what, r.GasUsed, refund, a.GasUsed, err)
						}
					}
					return nil
				})
			}
		}},
		{"delegated-account-creates", sincePrague(), func(w *TrapWorld) {
			// Each creation uses up a nonce of the account that its own transactions also use.
			make := w.Contract(addr("parent", 0), parent)
			for range 4 {
				wallet := w.Rich()
				w.delegate(wallet, make)
				w.ok(w.call(wallet)).logs(crypto.CreateAddress(wallet, 1), 0)
				w.ok(w.call(wallet)).logs(crypto.CreateAddress(wallet, 2), 0)
				w.nonce[wallet] = 2
				w.out(pay(wallet, w.Fresh(), ether(1))) // low by the second creation
				w.ok(pay(wallet, w.Fresh(), ether(1)))
				w.ok(w.call(wallet)).logs(crypto.CreateAddress(wallet, 4), 0)
				w.nonceIs(wallet, 5)
			}
		}},
		{"delegation-to-what-is-deployed-in-the-block", sincePrague(), func(w *TrapWorld) {
			for range 4 {
				from, wallet := w.Rich(), w.Rich()
				target := crypto.CreateAddress(from, 0)
				w.delegate(wallet, target)
				w.ok(w.call(wallet)) // no code yet: nothing happens
				w.ok(Send{From: from, Data: Deploy(deployed(counter))})
				w.ok(w.call(wallet)).logs(1)
				w.slotIs(wallet, slotKey(0), 1)
				w.slotIs(target, slotKey(0), 0)
			}
		}},
		{"chained-delegation-and-precompiles", sincePrague(), func(w *TrapWorld) {
			count := w.Contract(addr("counter", 0), counter)
			call := w.Contract(addr("caller", 0), `32 0 0 0 0 0 calldataload gas call 0 mstore 32 0 log0 stop`)
			for range 3 {
				a, b, c := w.Rich(), w.Rich(), w.Rich()
				w.delegate(a, count)
				w.delegate(b, a) // not followed: what a holds is no code
				w.fails(w.call(b))
				w.delegate(c, common.Address{19: 4})
				w.ok(w.call(call, c)).logs(1) // empty code, not the precompile
				w.delegate(a, b)              // a ring
				w.fails(w.call(a))
				w.delegate(a, a)
				w.fails(w.call(a))
				w.slotIs(b, slotKey(0), 0)
			}
		}},
		{"delegation-to-what-is-destroyed-and-created-again", sincePrague(), func(w *TrapWorld) {
			f := w.Contract(addr("maker", 0), createEndPay)
			w.Fund(f, ether(1))
			init := Deploy(deployed(destroyOnWord))
			child := created(f, common.Hash{}, init)
			for range 3 {
				wallet := w.Account(ether(2))
				heir := w.Fresh()
				w.delegate(wallet, child)
				w.ok(w.call(f, common.Hash{}, init).gas(400_000)) // made and gone
				w.ok(w.call(wallet, heir))
				w.exists(heir, false)
			}
			plain := w.Contract(addr("factory", 0), factory2)
			kept := created(plain, common.Hash{}, init)
			wallet, heir := w.Account(ether(2)), w.Fresh()
			w.delegate(wallet, kept)
			w.ok(w.call(plain, common.Hash{}, init).gas(400_000)).logs(kept)
			w.ok(w.call(wallet, heir)) // EIP-6780: pays out, and the account stays
			w.balance(heir, ether(2))
			w.balance(wallet, new(big.Int))
			w.nonceIs(wallet, 1)
		}},
	}
}
