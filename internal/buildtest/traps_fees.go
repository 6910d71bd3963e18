package buildtest

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

const (
	ownBalance = `selfbalance 0 mstore 32 0 log0 stop`

	// payFixed sends what slot 0 says to the address in slot 1, or sets slot 0 to word 0.
	payFixed = `calldatasize @set jumpi 0 0 0 0 0 sload 1 sload gas call 0 mstore 32 0 log0 stop set: 0 calldataload 0 sstore stop`

	// priceOfCoinbase logs what it costs to look at the coinbase, plus 6.
	priceOfCoinbase = `gas coinbase balance pop gas swap1 sub 0 mstore 32 0 log0 stop`

	// spin burns gas as often as slot 0 says, and sets it to word 0.
	spin = `0 sload again: dup1 iszero @done jumpi 1 swap1 sub @again jump done: 0 calldataload 0 sstore stop`

	// destroyOnWord takes money, or destroys itself in favour of word 0 if there is one.
	destroyOnWord = `calldatasize @end jumpi stop end: 0 calldataload selfdestruct`
)

func feeTraps() []Trap {
	return []Trap{
		{"coinbase-is-sender", sinceLondon(), func(w *TrapWorld) {
			w.s.Coinbase = w.Account(new(big.Int))
			for range 4 {
				w.bystander()
			}
			value := big.NewInt(2e16)
			spent := w.ok(pay(w.s.Coinbase, w.Fresh(), value)) // of what it has just earned
			w.out(pay(w.s.Coinbase, w.Fresh(), value))
			w.bystander()
			if w.Optimism() {
				return
			}
			w.check(func(b *Built) error {
				r, err := spent.receipt(b)
				if err != nil {
					return err
				}
				tx := b.Block.Transactions()[r.TransactionIndex]
				price := new(big.Int).Add(b.Block.BaseFee(), tx.EffectiveGasTipValue(b.Block.BaseFee()))
				want := tips(b, len(b.Receipts))
				want.Sub(want, value).Sub(want, price.Mul(price, new(big.Int).SetUint64(r.GasUsed)))
				if got := b.State.GetBalance(w.s.Coinbase).ToBig(); got.Cmp(want) != 0 {
					return fmt.Errorf("the coinbase ends with %v, want %v", got, want)
				}
				return nil
			})
		}},
		{"fee-recipient-is-receiver", sinceLondon(), func(w *TrapWorld) {
			read := w.Contract(addr("read", 0), readOne)
			for _, to := range w.recipients() {
				a := w.ok(w.call(read, to))
				w.ok(pay(w.Rich(), to, ether(1)))
				b := w.ok(w.call(read, to))
				w.rising(a, b)
			}
			w.check(func(b *Built) error { return atLeast(b, w.s.Coinbase, ether(1)) })
		}},
		{"fee-recipient-is-callee", sinceLondon(), func(w *TrapWorld) {
			for _, to := range w.recipients() {
				w.Contract(to, ownBalance)
			}
			for _, to := range w.recipients() {
				var seen []sent
				for range 4 {
					seen = append(seen, w.ok(Send{From: w.Rich(), To: &to, Value: big.NewInt(5)}))
				}
				w.rising(seen...)
			}
		}},
		{"fee-recipient-is-delegated", sincePrague(), func(w *TrapWorld) {
			own := w.Contract(addr("own", 0), ownBalance)
			w.s.Coinbase = w.Account(ether(1))
			for _, to := range w.recipients()[1:] {
				w.delegated(to, own)
			}
			w.delegate(w.s.Coinbase, own) // in the block
			for _, to := range w.recipients() {
				w.rising(w.ok(w.call(to)), w.ok(w.call(to)), w.ok(w.call(to)))
			}
			w.ok(pay(w.s.Coinbase, w.Fresh(), big.NewInt(1)))
			w.delegate(w.s.Coinbase, common.Address{})
			w.ok(w.call(w.s.Coinbase))
			w.codeIs(w.s.Coinbase, nil)
		}},
		{"vault-is-sender", optimismRules(), func(w *TrapWorld) {
			// Of a deposit, and of money that its code moves.
			heir := w.Fresh()
			for _, vault := range feeVaults() {
				w.Contract(vault, payOut)
				w.Fund(vault, ether(1))
				w.Deposit(types.DepositTx{From: vault, To: &heir, Mint: ether(2), Value: ether(1), Gas: 100_000})
			}
			for _, vault := range feeVaults() {
				w.bystander()
				w.ok(w.call(vault, heir, ether(2))).logs(1)
				w.ok(w.call(vault, heir, ether(2))).logs(0) // no longer covered
			}
			w.balance(heir, ether(9))
		}},
		{"coinbase-equals-vault", optimismRules(), func(w *TrapWorld) {
			w.s.Coinbase = params.OptimismBaseFeeRecipient
			read := w.Contract(addr("read", 0), readOne)
			var seen []sent
			for range 5 {
				w.bystander()
				seen = append(seen, w.ok(w.call(read, w.s.Coinbase)))
			}
			w.rising(seen...)
			w.check(func(b *Built) error { // both fees, and nothing twice
				want := new(big.Int).Mul(b.Block.BaseFee(), new(big.Int).SetUint64(b.Block.GasUsed()-b.Receipts[0].GasUsed))
				want.Add(want, tips(b, len(b.Receipts)))
				if got := b.State.GetBalance(w.s.Coinbase).ToBig(); got.Cmp(want) != 0 {
					return fmt.Errorf("coinbase and vault in one ends with %v, want %v", got, want)
				}
				return nil
			})
		}},
		{"fee-recipient-is-looked-at", sinceLondon(), func(w *TrapWorld) {
			w.s.Coinbase = w.Fresh()
			look := w.Contract(addr("probe", 0), probe)
			for _, to := range w.recipients() {
				if to != w.s.Coinbase {
					w.Contract(to, ownBalance)
				}
			}
			w.ok(w.call(look, w.s.Coinbase)).logs(0, 0, 0) // its own fee comes after
			for range 3 {
				w.bystander()
				s := w.ok(w.call(look, w.s.Coinbase))
				w.check(func(b *Built) error {
					r, err := s.receipt(b)
					if err != nil {
						return err
					}
					want := words(types.EmptyCodeHash, 0, tips(b, int(r.TransactionIndex)))
					if got, err := s.logged(b); err != nil || string(got) != string(want) {
						return fmt.Errorf("%s sees %x of the coinbase, want %x: %v", s.what, got, want, err)
					}
					return nil
				})
			}
			for _, vault := range w.recipients()[1:] {
				w.rising(w.ok(w.call(vault)), w.ok(w.call(vault)), w.ok(w.call(vault)))
			}
		}},
		{"vault-withdraws-between-payers", sinceLondon(), func(w *TrapWorld) {
			heir := w.Fresh()
			all := w.recipients()
			for _, to := range all {
				w.Contract(to, sweep)
			}
			for _, to := range all {
				w.bystander()
				w.ok(w.call(to, heir)).logs(1)
				w.bystander()
				w.ok(w.call(to, heir)).logs(1)
			}
			w.check(func(b *Built) error { // nothing is lost on the way
				want, got := tips(b, len(b.Receipts)), b.State.GetBalance(heir).ToBig()
				for _, to := range all {
					got.Add(got, b.State.GetBalance(to).ToBig())
				}
				if c := got.Cmp(want); w.Optimism() && c <= 0 || !w.Optimism() && c != 0 {
					return fmt.Errorf("recipients and heir hold %v, the tips are %v", got, want)
				}
				return nil
			})
		}},
		{"selfdestruct-to-fee-recipient", sinceLondon(), func(w *TrapWorld) {
			read := w.Contract(addr("read", 0), readOne)
			for i, to := range w.recipients() {
				c := w.Contract(addr("destroy", i), destroy)
				w.Fund(c, ether(3))
				a := w.ok(w.call(read, to))
				w.ok(w.call(c, to))
				w.balance(c, new(big.Int))
				b := w.ok(w.call(read, to))
				w.rising(a, b)
				w.check(func(b *Built) error { return atLeast(b, to, ether(3)) })
			}
		}},
		{"selfdestruct-of-fee-recipient", sinceLondon(), func(w *TrapWorld) {
			w.s.Coinbase = w.Contract(addr("coinbase", 0), destroyOnWord)
			w.Fund(w.s.Coinbase, ether(5))
			heir, look := w.Fresh(), w.Contract(addr("probe", 0), probe)
			w.bystander()
			end := w.ok(w.call(w.s.Coinbase, heir))
			first := w.ok(w.call(look, w.s.Coinbase))
			w.bystander()
			second := w.ok(w.call(look, w.s.Coinbase))
			w.check(func(b *Built) error { // it holds only what came after its end
				if w.after("Cancun") {
					return nil
				}
				r, err := end.receipt(b)
				if err != nil {
					return err
				}
				want := new(big.Int).Sub(tips(b, len(b.Receipts)), tips(b, int(r.TransactionIndex)+1))
				if got := b.State.GetBalance(w.s.Coinbase).ToBig(); got.Cmp(want) != 0 {
					return fmt.Errorf("the destroyed coinbase ends with %v, want %v", got, want)
				}
				return nil
			})
			if !w.after("Cancun") {
				first.logs(0, 0, 0) // gone, and the fee of its end with it
				w.codeIs(w.s.Coinbase, nil)
				second.logsNot(0, 0, 0)
			}
			w.check(func(b *Built) error { return atLeast(b, heir, ether(5)) })
		}},
		{"writes-cancel-the-fee", sinceShanghai(), writesCancelTheFee},
		{"zero-tip-to-an-absent-coinbase", sinceLondon(), func(w *TrapWorld) {
			w.calm = true // nothing comes of any of it
			w.s.Coinbase = w.Fresh()
			look := w.Contract(addr("probe", 0), probe)
			for range 5 {
				t := w.call(look, w.s.Coinbase)
				t.Tip = new(big.Int)
				w.ok(t).logs(0, 0, 0)
			}
			w.exists(w.s.Coinbase, false)
		}},
		{"zero-tip-to-an-empty-coinbase", sinceLondon(), func(w *TrapWorld) {
			w.s.Coinbase = w.lingering(w.Fresh())
			other := w.lingering(w.Fresh())
			look := w.Contract(addr("probe", 0), probe)
			for range 5 {
				t := w.call(look, w.s.Coinbase)
				t.Tip = new(big.Int)
				w.ok(t).logs(0, 0, 0)
			}
			w.exists(w.s.Coinbase, false) // touched
			w.exists(other, true)         // not touched
		}},
		{"zero-rollup-fees-to-absent-and-empty-vaults", optimismRules(), func(w *TrapWorld) {
			w.free()
			w.lingering(params.OptimismOperatorFeeRecipient)
			look := w.Contract(addr("probe", 0), probe)
			for range 3 {
				w.ok(w.call(look, params.OptimismL1FeeRecipient)).logs(0, 0, 0)
				w.ok(w.call(look, params.OptimismOperatorFeeRecipient)).logs(0, 0, 0)
			}
			w.exists(params.OptimismL1FeeRecipient, false)
			w.exists(params.OptimismOperatorFeeRecipient, false)
			w.exists(params.OptimismBaseFeeRecipient, true)
		}},
		{"first-fee-creates-the-recipient", sinceLondon(), func(w *TrapWorld) {
			if !w.Optimism() {
				w.s.Coinbase = w.Fresh()
			}
			give := w.Contract(addr("forward", 0), forward)
			a, b := w.call(give, w.s.Coinbase), w.call(give, w.s.Coinbase)
			a.Value, b.Value = big.NewInt(1), big.NewInt(1)
			first, second := w.ok(a), w.ok(b)
			first.moreGas(second, int64(params.CallNewAccountGas))
			for _, to := range w.recipients() {
				w.exists(to, true)
			}
		}},
		{"reader-of-fees-while-a-payer-changes", sinceLondon(), func(w *TrapWorld) {
			// What the payer burns hangs on the transaction before it, and another payer, whom an
			// old state makes rich, cannot pay at all.
			read, burn := w.Contract(addr("read", 0), readOne), w.Contract(addr("spin", 0), spin)
			w.Slot(burn, common.Hash{}, big.NewInt(7))
			var seen []sent
			for i := range 5 {
				fund, poor := w.fund(i)
				w.ok(w.call(burn, 500-100*i))
				payer := w.ok(w.call(burn, 3))
				w.ok(w.call(fund, 0))
				w.ok(w.call(fund)).logs(1)
				w.out(pay(poor, w.Fresh(), big.NewInt(1)))
				seen = append(seen, w.ok(w.call(read, w.s.Coinbase)))
				s := seen[i]
				w.check(func(b *Built) error {
					r, err := s.receipt(b)
					if err != nil {
						return err
					}
					if got, err := s.word(b, 0); err != nil || got.Cmp(tips(b, int(r.TransactionIndex))) != 0 {
						return fmt.Errorf("%s sees %v of fees, want %v: %v", s.what, got, tips(b, int(r.TransactionIndex)), err)
					}
					if p, err := payer.receipt(b); err != nil || p.GasUsed < 20_000+uint64(500-100*i)*30 {
						return fmt.Errorf("%s does not burn what the one before told it to: %v", payer.what, err)
					}
					return nil
				})
			}
		}},
		{"warm-coinbase", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("price", 0), priceOfCoinbase)
			want := 106
			if !w.after("Shanghai") {
				want = 2606
			}
			for range 6 {
				w.ok(w.call(c)).logs(want)
			}
		}},
		{"plain-payers-do-not-meet-in-the-fees", sinceLondon(), func(w *TrapWorld) {
			w.orderly = true
			for range 30 {
				w.bystander()
			}
		}},
	}
}

// writesCancelTheFee has each transaction make the coinbase pay out exactly what it earns
// by that transaction.
func writesCancelTheFee(w *TrapWorld) {
	const count = 7
	make := func(w *TrapWorld, amount *big.Int) []sent {
		heir := w.Account(ether(1))
		w.s.Coinbase = w.Contract(addr("coinbase", 0), payFixed)
		w.Fund(w.s.Coinbase, ether(50))
		w.Slot(w.s.Coinbase, slotKey(0), amount)
		w.Slot(w.s.Coinbase, slotKey(1), new(big.Int).SetBytes(heir[:]))
		look := w.Contract(addr("read", 0), readOne)
		var all []sent
		for range count {
			t := w.call(w.s.Coinbase)
			t.Tip = gweis(50)
			all = append(all, w.ok(t).logs(1))
			p := w.call(look, w.s.Coinbase)
			p.Tip = gweis(50)
			all = append(all, w.ok(p))
		}
		return all
	}
	trial := newTrapWorld(w.s.Name+"/trial", w.rules, w.s.Seed)
	first := make(trial, ether(1))[0]
	gas, err := gasUsed(trial, first)
	w.fail(err)
	fee := new(big.Int).Mul(gweis(50), new(big.Int).SetUint64(gas))
	all := make(w, fee)
	w.check(func(b *Built) error {
		want := ether(50)
		for _, s := range all { // what readers pay stays
			r, err := s.receipt(b)
			if err != nil {
				return err
			}
			tx := b.Block.Transactions()[r.TransactionIndex]
			if tx.To() != nil && *tx.To() != w.s.Coinbase {
				if got, err := s.word(b, 0); err != nil || got.Cmp(want) != 0 {
					return fmt.Errorf("%s sees %v, want %v: %v", s.what, got, want, err)
				}
				want.Add(want, new(big.Int).Mul(gweis(50), new(big.Int).SetUint64(r.GasUsed)))
			} else if r.GasUsed != gas {
				return fmt.Errorf("%s uses %d gas, in the trial it was %d", s.what, r.GasUsed, gas)
			}
		}
		return nil
	})
}

// fund returns an account that has nothing and a contract that pays it an ether, until it
// is told to pay something else.
func (w *TrapWorld) fund(i int) (contract, poor common.Address) {
	poor = w.Account(new(big.Int))
	contract = w.Contract(addr("fund", i), payFixed)
	w.Fund(contract, ether(10))
	w.Slot(contract, slotKey(0), ether(1))
	w.Slot(contract, slotKey(1), new(big.Int).SetBytes(poor[:]))
	return contract, poor
}

// gasUsed builds the world's block sequentially and returns the gas of one transaction.
func gasUsed(w *TrapWorld, of sent) (uint64, error) {
	s, err := w.Scenario(0, 0)
	if err != nil {
		return 0, err
	}
	n, err := NewNode(s, "")
	if err != nil {
		return 0, err
	}
	b, err := n.fill(attempt{workers: Sequential})
	if err == nil {
		err = n.Close()
	}
	if err != nil {
		return 0, err
	}
	r, err := of.receipt(b)
	if err != nil {
		return 0, err
	}
	return r.GasUsed, nil
}

func atLeast(b *Built, addr common.Address, want *big.Int) error {
	if got := b.State.GetBalance(addr).ToBig(); got.Cmp(want) < 0 {
		return fmt.Errorf("balance of %s is %v, want at least %v", addr, got, want)
	}
	return nil
}
