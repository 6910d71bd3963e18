package buildtest

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

const (
	// endOnWord counts in slot 0, or destroys itself in favour of word 0 if there is one.
	endOnWord = `calldatasize @end jumpi 0 sload 1 add dup1 0 sstore 0 mstore 32 0 log0 stop end: 0 calldataload selfdestruct`

	// createEndPay creates the init code from word 1 on with the salt of word 0, has the
	// child destroy itself, pays it 5 wei and logs what is left of it.
	createEndPay = `32 calldatasize sub dup1 32 0 calldatacopy 0 calldataload swap1 0 0 create2
		caller 0 mstore 0 0 32 0 0 dup6 gas call pop
		0 0 0 0 5 dup6 gas call pop
		dup1 extcodesize 0 mstore dup1 balance 32 mstore 64 0 log0 stop`

	// createMaybeEnd creates the init code from word 2 on with the salt of word 0 and, if
	// word 1 is set, has the child destroy itself.
	createMaybeEnd = `64 calldatasize sub dup1 64 0 calldatacopy 0 calldataload swap1 0 0 create2
		32 calldataload iszero @keep jumpi 0 0 32 0 0 dup6 gas call pop
		keep: dup1 extcodesize 0 mstore 32 0 log0 stop`
)

func destructTraps() []Trap {
	return []Trap{
		{"create-and-destroy-in-one-transaction", sinceLondon(), func(w *TrapWorld) {
			f, look := w.Contract(addr("maker", 0), createEndPay), w.Contract(addr("probe", 0), probe)
			w.Fund(f, ether(1))
			code := deployed(destroyOnWord)
			init := Deploy(code)
			child := created(f, common.Hash{}, init)
			for i := range 4 {
				// Its code stays to the transaction's end, money that comes after its end is lost
				// there, and it can be made again.
				w.ok(w.call(f, common.Hash{}, init).gas(400_000)).logs(len(code), 5)
				w.ok(w.call(look, child)).logs(0, 0, 0)
				t := pay(w.Rich(), child, big.NewInt(3))
				if i < 3 {
					t = w.call(f, common.Hash{}, init).gas(400_000)
				}
				w.ok(t)
			}
			w.balance(child, big.NewInt(3))
			w.balance(f, new(big.Int).Sub(ether(1), big.NewInt(5*7)))
			w.codeIs(child, nil)
		}},
		{"ether-after-the-end", sinceLondon(), func(w *TrapWorld) {
			look := w.Contract(addr("probe", 0), probe)
			for i := range 4 {
				c, heir := w.Contract(addr("ender", i), destroyOnWord), w.Fresh()
				w.Fund(c, ether(1))
				w.ok(pay(w.Rich(), c, big.NewInt(7)).gas(60_000))
				w.ok(w.call(c, heir))
				w.ok(pay(w.Rich(), c, big.NewInt(11)).gas(60_000))
				seen := w.ok(w.call(look, c))
				w.balance(heir, new(big.Int).Add(ether(1), big.NewInt(7)))
				w.balance(c, big.NewInt(11)) // nothing that came before survives
				if w.after("Cancun") {
					w.codeIs(c, deployed(destroyOnWord))
				} else {
					seen.logs(types.EmptyCodeHash, 0, 11)
					w.codeIs(c, nil)
				}
			}
		}},
		{"beneficiary-is-itself", sinceLondon(), func(w *TrapWorld) {
			look := w.Contract(addr("probe", 0), probe)
			for i := range 4 {
				c := w.Contract(addr("ender", i), destroyOnWord)
				w.Fund(c, big.NewInt(100))
				w.ok(pay(w.Rich(), c, big.NewInt(7)).gas(60_000))
				w.ok(w.call(c, c))
				seen := w.ok(w.call(look, c))
				w.ok(pay(w.Rich(), c, big.NewInt(2)).gas(60_000))
				if w.after("Cancun") {
					w.balance(c, big.NewInt(109)) // nothing happened
				} else {
					seen.logs(0, 0, 0) // burnt
					w.balance(c, big.NewInt(2))
				}
			}
		}},
		{"destroyed-paid-and-created-again", beforeCancun(), func(w *TrapWorld) {
			f, look := w.Contract(addr("factory", 0), factory2), w.Contract(addr("probe", 0), probe)
			init := Deploy(deployed(endOnWord))
			for i := range 3 {
				salt := slotKey(i)
				c := created(f, salt, init)
				w.ok(w.call(f, salt, init).gas(400_000)).logs(c)
				w.ok(w.call(c)).logs(1)
				w.ok(w.call(c)).logs(2)
				w.ok(w.call(c, w.Fresh()))
				w.ok(pay(w.Rich(), c, big.NewInt(9)))
				w.ok(w.call(look, c)).logs(types.EmptyCodeHash, 0, 9)
				w.ok(w.call(f, salt, init).gas(400_000)).logs(c)
				w.ok(w.call(c)).logs(1) // the slot went with the first
				w.nonceIs(c, 1)
				w.balance(c, big.NewInt(9))
				w.slotIs(c, slotKey(0), 1)
			}
		}},
		{"slots-of-the-parent-state-end-with-their-account", beforeCancun(), func(w *TrapWorld) {
			// The same with slots that are not loaded when the account goes.
			f := w.Contract(addr("factory", 0), factory2)
			init := Deploy(deployed(endOnWord))
			for i := range 3 {
				salt := slotKey(i)
				c := created(f, salt, init)
				w.Contract(c, endOnWord)
				for j := range 20 {
					w.Slot(c, slotKey(j), big.NewInt(int64(40+j)))
				}
				if i > 0 {
					w.ok(w.call(c)).logs(41)
				}
				w.ok(w.call(c, w.Fresh()))
				if i > 1 { // there again, but not with its storage: that is no collision
					w.ok(pay(w.Rich(), c, big.NewInt(9)))
				}
				w.ok(w.call(f, salt, init).gas(400_000)).logs(c)
				w.ok(w.call(c)).logs(1)
				w.ok(w.call(c)).logs(2)
				w.slotIs(c, slotKey(0), 2)
				w.slotIs(c, slotKey(1), 0)
			}
		}},
		{"destroyed-twice", beforeCancun(), func(w *TrapWorld) {
			f := w.Contract(addr("factory", 0), factory2)
			init := Deploy(deployed(endOnWord))
			c := created(f, common.Hash{}, init)
			heir := w.Fresh()
			w.Contract(c, endOnWord)
			w.Slot(c, common.Hash{}, big.NewInt(50))
			for i := range 3 {
				w.ok(w.call(c)).logs([]int{51, 1, 1}[i])
				t := w.call(c, heir)
				t.Value = big.NewInt(int64(10 + i))
				w.ok(t)
				w.ok(w.call(f, common.Hash{}, init).gas(400_000)).logs(c)
			}
			w.ok(w.call(c)).logs(1)
			w.balance(heir, big.NewInt(33))
			w.balance(c, new(big.Int))
		}},
		{"reverted-destroy", sinceLondon(), func(w *TrapWorld) {
			// What was reverted must not be visible, neither to the transaction nor to later ones.
			for i := range 4 {
				c, heir := w.Contract(addr("ender", i), endOnWord), w.Fresh()
				w.Fund(c, big.NewInt(100))
				w.Slot(c, common.Hash{}, big.NewInt(5))
				inner := w.Contract(addr("inner", i), fmt.Sprintf(`%s 0 mstore 0 0 32 0 0 %s gas call pop 0 0 revert`, heir, c))
				outer := w.Contract(addr("outer", i), fmt.Sprintf(`0 0 0 0 0 %s gas call 0 mstore %s balance 32 mstore %s balance 64 mstore
					0 0 0 0 0 %s gas call 96 mstore 128 0 log0 stop`, inner, c, heir, c))
				w.ok(w.call(c)).logs(6)
				w.ok(w.call(outer)).logs(0, 100, 0, 1)
				w.ok(w.call(c)).logs(8)
				w.exists(heir, false)
				w.balance(c, big.NewInt(100))
			}
		}},
		{"reverted-creation-and-destroy", sinceLondon(), func(w *TrapWorld) {
			// EIP-6780: the creation is taken back with the end, and then made for good.
			f, look := w.Contract(addr("maker", 0), createEndPay), w.Contract(addr("probe", 0), probe)
			w.Fund(f, ether(1))
			code := deployed(destroyOnWord)
			init := Deploy(code)
			child := created(f, common.Hash{}, init)
			try := w.Contract(addr("try", 0), fmt.Sprintf(`calldatasize 0 0 calldatacopy 0 0 calldatasize 0 0 %s gas call pop 0 0 revert`, f))
			twice := w.Contract(addr("twice", 0), fmt.Sprintf(`calldatasize 0 0 calldatacopy 0 0 calldatasize 0 0 %s 300000 call 0 mstore
				%s extcodesize 32 mstore 64 0 log0 stop`, try, child))
			for range 3 {
				w.ok(w.call(twice, common.Hash{}, init).gas(500_000)).logs(0, 0)
				w.ok(w.call(look, child)).logs(0, 0, 0)
				w.ok(w.call(f, common.Hash{}, init).gas(400_000)).logs(len(code), 5)
			}
			w.exists(child, false)
			w.nonceIs(f, 4)
		}},
		{"creation-survives-its-reverted-end", sinceLondon(), func(w *TrapWorld) {
			// Made and destroyed in a call that is reverted, and then made for good, all in one
			// transaction.
			f := w.Contract(addr("maker", 0), createMaybeEnd)
			try := w.Contract(addr("try", 0), fmt.Sprintf(`calldatasize 0 0 calldatacopy 0 0 calldatasize 0 0 %s gas call pop 0 0 revert`, f))
			both := w.Contract(addr("both", 0), fmt.Sprintf(`calldatasize 0 0 calldatacopy 0 0 calldatasize 0 0 %s 300000 call pop
				0 32 mstore 0 0 calldatasize 0 0 %s gas call pop stop`, try, f))
			code := deployed(endOnWord)
			init := Deploy(code)
			for i := range 3 {
				child := created(f, slotKey(i), init)
				w.ok(w.call(both, i, 1, init).gas(700_000)).logs(len(code))
				w.ok(w.call(child)).logs(1)
				w.codeIs(child, code)
			}
			w.nonceIs(f, 4)
		}},
		{"visible-within-and-gone-after", sinceLondon(), func(w *TrapWorld) {
			look := w.Contract(addr("probe", 0), probe)
			for i := range 4 {
				c, heir := w.Contract(addr("ender", i), endOnWord), w.Fresh()
				w.Fund(c, big.NewInt(100))
				driver := w.Contract(addr("driver", i), fmt.Sprintf(`%s 0 mstore 0 0 32 0 0 %s gas call pop
					0 0 0 0 0 %s gas call 0 mstore %s extcodesize 32 mstore %s balance 64 mstore 96 0 log0 stop`, heir, c, c, c, c))
				w.ok(w.call(c)).logs(1)
				w.ok(w.call(driver)).logs(1, len(deployed(endOnWord)), 0)
				if w.after("Cancun") {
					w.slotIs(c, slotKey(0), 2)
				} else {
					w.ok(w.call(look, c)).logs(0, 0, 0)
					w.ok(w.call(c))
					w.exists(c, false)
				}
				w.balance(heir, big.NewInt(100))
			}
		}},
	}
}
