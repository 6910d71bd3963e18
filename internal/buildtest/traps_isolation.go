package buildtest

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

const (
	// transientOnce counts in slot 0 and logs what was in transient slot 0, which it sets.
	transientOnce = `0 tload 0 mstore 0 sload 1 add dup1 0 sstore 0 tstore 32 0 log0 stop`

	// priceOfSlot counts in slot 0 and logs what the first look at slot 7 costs, and at an
	// account, plus a little.
	priceOfSlot = `0 sload 1 add 0 sstore gas 7 sload pop gas swap1 sub 0 mstore gas 0x77 balance pop gas swap1 sub 32 mstore 64 0 log0 stop`

	// refunder clears slot 1 if slot 0 is odd, and counts in slot 0.
	refunder = `0 sload dup1 1 and @clear jumpi 1 add 0 sstore 1 1 sstore stop clear: 0 1 sstore 1 add 0 sstore stop`

	// logger logs as often as slot 0 says, and counts it down.
	logger = `0 sload dup1 @go jumpi stop go: again: dup1 0 mstore 32 0 log0 1 swap1 sub dup1 @again jumpi pop 1 0 sload sub 0 sstore stop`

	// loopUnless never ends unless slots 0 and 1 are equal, and then counts both up.
	loopUnless = `calldatasize @look jumpi 0 sload 1 add dup1 0 sstore 1 sstore stop
		look: 0 sload 0 calldataload eq @fine jumpi again: @again jump fine: 0 sload 0 mstore 32 0 log0 stop`
)

func isolationTraps() []Trap {
	return []Trap{
		{"transient-storage", []string{"Jovian", "Isthmus", "Prague", "Cancun"}, func(w *TrapWorld) {
			c := w.Contract(addr("transient", 0), transientOnce)
			for range 10 {
				w.ok(w.call(c)).logs(0)
			}
			w.slotIs(c, slotKey(0), 10)
			// Reverted within the transaction.
			r := w.Contract(addr("transient", 1), `calldatasize @inner jumpi 5 0 tstore 0 0 32 0 0 address gas call pop 0 tload 0 mstore
				0 sload 1 add 0 sstore 32 0 log0 stop inner: 6 0 tstore 7 1 tstore 0 0 revert`)
			for range 4 {
				w.ok(w.call(r)).logs(5)
			}
		}},
		{"access-list", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("price", 0), priceOfSlot)
			for i := range 8 {
				t := w.call(c)
				if i%2 == 0 {
					w.ok(t).logs(2107, 2607)
				} else {
					t.Access = types.AccessList{{Address: c, StorageKeys: []common.Hash{slotKey(7)}}, {Address: common.Address{19: 0x77}}}
					w.ok(t).logs(107, 107)
				}
			}
		}},
		{"refunds", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("refunder", 0), refunder)
			var all []sent
			for range 8 {
				all = append(all, w.ok(w.call(c)))
			}
			for i := 2; i+2 < len(all); i++ {
				all[i].moreGas(all[i+2], 0)
			}
			w.check(func(b *Built) error {
				set, err := all[2].receipt(b)
				if err != nil {
					return err
				}
				cleared, err := all[3].receipt(b)
				if err == nil && set.GasUsed <= cleared.GasUsed {
					err = fmt.Errorf("setting a slot costs %d gas, clearing it %d", set.GasUsed, cleared.GasUsed)
				}
				return err
			})
		}},
		{"logs", sinceLondon(), func(w *TrapWorld) {
			// Their number changes with the transactions before, and with it the indexes of all
			// that follow.
			c := w.Contract(addr("logger", 0), logger)
			no := w.Contract(addr("no", 0), fmt.Sprintf(`7 0 mstore 32 0 log0 0 0 0 0 0 %s gas call pop 0 0 revert`, c))
			w.Slot(c, common.Hash{}, big.NewInt(6))
			total := 0
			for i := range 8 {
				s := w.ok(w.call(c))
				want := max(6-i, 0)
				w.check(func(b *Built) error {
					r, err := s.receipt(b)
					if err != nil || len(r.Logs) != want {
						return fmt.Errorf("%s has other than %d logs: %v", s.what, want, err)
					}
					return nil
				})
				w.fails(w.call(no))
				total += want
			}
			w.check(func(b *Built) error {
				next := uint(0)
				for i, r := range b.Receipts {
					for _, l := range r.Logs {
						if l.Index != next || l.TxIndex != uint(i) || l.TxHash != r.TxHash {
							return fmt.Errorf("log %d of transaction %d says it is %d of %d, of %s", next, i, l.Index, l.TxIndex, l.TxHash)
						}
						next++
					}
				}
				if next != uint(total) {
					return fmt.Errorf("%d logs, want %d", next, total)
				}
				return nil
			})
		}},
		{"endless-loop-on-an-old-state", sinceLondon(), func(w *TrapWorld) {
			// Only the state that the transaction before leaves ends the loop.
			c := w.Contract(addr("loop", 0), loopUnless)
			for i := range 6 {
				w.ok(w.call(c))
				w.ok(w.call(c, i+1).gas(2_000_000)).logs(i + 1)
			}
		}},
		{"out-of-gas-on-an-old-state", sinceLondon(), func(w *TrapWorld) {
			// The loop is long at first, and short when its turn comes, and the reverse.
			c := w.Contract(addr("spin", 1), `calldatasize @set jumpi 0 sload again: dup1 iszero @done jumpi 1 swap1 sub @again jump done: stop set: 0 calldataload 0 sstore stop`)
			w.Slot(c, common.Hash{}, big.NewInt(1_000_000))
			for range 4 {
				w.ok(w.call(c, 3))
				w.ok(w.call(c).gas(60_000))
				w.ok(w.call(c, 1_000_000))
				w.fails(w.call(c).gas(60_000))
			}
		}},
		{"precompiles-and-their-balances", sinceLondon(), func(w *TrapWorld) {
			// They have no state of their own, but accounts like any other.
			give, look := w.Contract(addr("forward", 0), forward), w.Contract(addr("probe", 0), probe)
			hash := w.Contract(addr("sha", 0), `0 sload 1 add dup1 0 sstore 0 mstore 32 32 32 0 2 gas staticcall pop 64 0 log0 stop`)
			identity := common.Address{19: 4}
			ripemd := common.Address{19: 3}
			no := w.Contract(addr("no", 0), `0 0 0 0 0 3 gas call pop 0 0 revert`)
			w.lingering(common.Address{19: 5})
			for i := range 4 {
				w.ok(w.call(hash))
				w.ok(w.call(give, identity)).logs(1)
				w.ok(w.call(give, ripemd)).logs(1)
				w.fails(w.call(no))
				if i == 0 {
					w.ok(w.call(look, identity)).logs(0, 0, 0)
				}
				t := w.call(give, identity)
				t.Value = big.NewInt(2)
				w.ok(t).logs(1)
				w.ok(w.call(look, identity)).logs(types.EmptyCodeHash, 0, 2*(i+1))
			}
			w.ok(w.call(give, common.Address{19: 5})) // an empty one that is there: touched
			w.exists(common.Address{19: 5}, false)
			w.exists(ripemd, false)
			w.balance(identity, big.NewInt(8))
			w.slotIs(hash, slotKey(0), 4)
		}},
		{"touch-of-ripemd-outlives-its-revert", sinceLondon(), func(w *TrapWorld) {
			// The exception to the rule of EIP-161, made in block 2,675,119 of the main network.
			// Of all empty accounts it is the only one that a reverted touch removes.
			w.calm = true
			ripemd, other := w.lingering(common.Address{19: 3}), w.lingering(common.Address{19: 5})
			no := w.Contract(addr("no", 0), `0 0 0 0 0 0 calldataload gas call pop 0 0 revert`)
			for range 2 {
				w.fails(w.call(no, ripemd))
				w.fails(w.call(no, other))
			}
			w.exists(ripemd, false)
			w.exists(other, true)
		}},
		{"zero-value-calls-and-reverts", sinceLondon(), func(w *TrapWorld) {
			give := w.Contract(addr("forward", 0), forward)
			no := w.Contract(addr("no", 0), `0 0 0 0 0 0 calldataload gas call pop 0 0 0 0 callvalue 0 calldataload gas call pop 0 0 revert`)
			outer := w.Contract(addr("outer", 0), fmt.Sprintf(`0 calldataload 0 mstore 0 0 32 0 callvalue %s gas call 0 mstore
				0 calldataload balance 32 mstore 0 calldataload extcodehash 64 mstore 96 0 log0 stop`, no))
			for range 3 {
				to := w.Fresh()
				w.ok(w.call(give, to)).logs(1)
				t := w.call(outer, to)
				t.Value = big.NewInt(4)
				w.ok(t).logs(0, 0, 0)
				w.exists(to, false)
				there := w.Fresh()
				w.ok(pay(w.Rich(), there, big.NewInt(1)))
				t = w.call(outer, there)
				t.Value = big.NewInt(4)
				w.ok(t).logs(0, 1, types.EmptyCodeHash)
				w.balance(there, big.NewInt(1))
			}
		}},
	}
}

const (
	// growing writes slots 10, 11, ... up to as many as slot 0 says; a word sets slot 0.
	growing = `calldatasize @set jumpi 0 sload again: dup1 iszero @done jumpi dup1 dup1 10 add sstore 1 swap1 sub @again jump
		done: stop set: 0 calldataload 0 sstore stop`

	// gather adds slots 10 to 14 up in slot 0 and logs the sum.
	gather = `10 sload 11 sload add 12 sload add 13 sload add 14 sload add dup1 0 sstore 0 mstore 32 0 log0 stop`

	// sameAgain sets slot 1 to 5 whatever slot 0 is, and counts in slot 0.
	sameAgain = `0 sload pop 5 1 sstore 0 sload 1 add 0 sstore stop`
)

// growAndGather is both on one contract's storage: gather when called with two words.
func growAndGather() string {
	return `calldatasize 64 eq @sum jumpi ` + growing + ` sum: ` + gather
}

func engineTraps() []Trap {
	sum := func(n int) int { return n * (n + 1) / 2 }
	return []Trap{
		{"write-set-shrinks", sinceLondon(), func(w *TrapWorld) {
			// On the old state it writes to slots that, in the end, it leaves alone.
			for i := range 3 {
				c := w.Contract(addr("grow", i), growAndGather())
				w.Slot(c, common.Hash{}, big.NewInt(4))
				w.ok(w.call(c, 1))
				w.ok(w.call(c))
				w.ok(w.call(c, 0, 0)).logs(sum(1))
				for j := 2; j <= 4; j++ {
					w.slotIs(c, slotKey(10+j), 0)
				}
			}
		}},
		{"write-set-grows", sinceLondon(), func(w *TrapWorld) {
			for i := range 3 {
				c := w.Contract(addr("grow", i), growAndGather())
				w.ok(w.call(c, 4))
				w.ok(w.call(c))
				w.ok(w.call(c, 0, 0)).logs(sum(4))
				for j := 1; j <= 4; j++ {
					w.slotIs(c, slotKey(10+j), j)
				}
			}
		}},
		{"write-set-is-rewritten-equal", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("same", 0), sameAgain)
			getter := fmt.Sprintf(`calldatasize @get jumpi %s get: 0 calldataload sload 0 mstore 32 0 log0 stop`, sameAgain)
			w.Contract(c, getter)
			for range 6 {
				w.ok(w.call(c))
				w.ok(w.call(c, 1)).logs(5)
			}
			w.slotIs(c, slotKey(0), 6)
		}},
		{"no-transaction", sinceLondon(), func(w *TrapWorld) {
			w.orderly = true
			w.check(func(b *Built) error {
				if n := len(b.Block.Transactions()); n != b.Forced {
					return fmt.Errorf("%d transactions of an empty pool", n-b.Forced)
				}
				return nil
			})
		}},
		{"one-transaction", sinceLondon(), func(w *TrapWorld) {
			w.orderly = true
			w.bystander()
		}},
		{"more-workers-than-transactions", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("counter", 0), counter)
			w.ok(w.call(c)).logs(1)
			w.ok(w.call(c)).logs(2)
			w.ok(w.call(c)).logs(3)
		}},
		{"all-conflict", sinceLondon(), func(w *TrapWorld) {
			c := w.Contract(addr("counter", 0), counter)
			for i := range 40 {
				w.ok(w.call(c)).logs(i + 1)
			}
		}},
		{"lost-in-a-row", sinceLondon(), func(w *TrapWorld) {
			// Each transaction hangs on the one before in another way: slot, balance, code, nonce.
			c, read := w.Contract(addr("counter", 0), counter), w.Contract(addr("read", 0), readOne)
			give := w.Contract(addr("forward", 0), forward)
			to := w.Fresh()
			for i := range 6 {
				w.ok(w.call(c)).logs(i + 1)
				t := w.call(give, to)
				t.Value = big.NewInt(1)
				w.ok(t)
				w.ok(w.call(read, to)).logs(i + 1) // the sum, not the last change
			}
		}},
		{"admission-by-the-limit-accounting-by-use", sinceLondon(), func(w *TrapWorld) {
			// Far more is asked for than is used: with sums of limits nothing would fit.
			forced := uint64(0)
			if w.Optimism() {
				forced = 200_000
			}
			w.s.GasLimit = forced + 1_000_000
			c := w.Contract(addr("counter", 0), counter)
			for i := range 8 {
				w.ok(w.call(c).gas(500_000)).logs(i + 1)
			}
			w.out(w.call(c).gas(params.TxGas + 2_000_000)) // never fits
			w.ok(w.call(c).gas(200_000)).logs(9)
		}},
	}
}
