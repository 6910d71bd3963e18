package buildtest

import (
	"bytes"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

const (
	// copyCode logs the hash of the code of word 0, once as EXTCODEHASH has it and once of
	// the bytes, and the size.
	copyCode = `0 calldataload extcodesize dup1 0 0 0 calldataload extcodecopy
		dup1 0 keccak256 1024 mstore 0 calldataload extcodehash 1056 mstore 1088 mstore 96 1024 log0 stop`

	// borrow runs the code of word 0 on its own storage and logs the outcome.
	borrow = `0 0 0 0 0 calldataload gas delegatecall 0 mstore 0 calldataload extcodesize 32 mstore 64 0 log0 stop`

	// parent creates an empty-handed child, or destroys itself if called with a word.
	parent = `calldatasize @end jumpi 0 0 0 create dup1 extcodesize 32 mstore 0 mstore 64 0 log0 stop end: 0 calldataload selfdestruct`
)

func existenceTraps() []Trap {
	empty := types.EmptyCodeHash
	return []Trap{
		{"kinds-of-emptiness", sinceLondon(), func(w *TrapWorld) {
			look, give := w.Contract(addr("probe", 0), probe), w.Contract(addr("forward", 0), forward)
			absent, gone, funded, counted := w.Fresh(), w.lingering(w.Fresh()), w.Fresh(), w.Fresh()
			w.s.Alloc[funded] = types.Account{Balance: big.NewInt(9)}
			w.s.Alloc[counted] = types.Account{Balance: new(big.Int), Nonce: 1}
			kinds := []common.Address{absent, gone, funded, counted}
			hashes := []any{0, 0, empty, empty}
			gives := make([]sent, len(kinds))
			for i, kind := range kinds {
				balance := 0
				if kind == funded {
					balance = 9
				}
				w.ok(w.call(look, kind)).logs(hashes[i], 0, balance)
				t := w.call(give, kind)
				w.ok(t).logs(1) // of no value: it touches
				w.ok(w.call(look, kind)).logs(hashes[i], 0, balance)
				t = w.call(give, kind)
				t.Value = big.NewInt(1)
				gives[i] = w.ok(t).logs(1)
				w.ok(w.call(look, kind)).logs(empty, 0, balance+1)
				t = w.call(give, kind)
				t.Value = big.NewInt(1)
				gives[i].moreGas(w.ok(t), map[bool]int64{true: int64(params.CallNewAccountGas)}[i < 2])
			}
		}},
		{"touched-empty-accounts-go-and-others-stay", sinceLondon(), func(w *TrapWorld) {
			touched, looked, alone := w.lingering(w.Fresh()), w.lingering(w.Fresh()), w.lingering(w.Fresh())
			look, give, no := w.Contract(addr("probe", 0), probe), w.Contract(addr("forward", 0), forward), w.Contract(addr("fail", 0), `0 0 0 0 0 0 calldataload gas call 0 0 revert`)
			w.ok(w.call(look, looked)).logs(0, 0, 0)
			w.fails(w.call(no, looked)) // touched, and taken back
			w.ok(w.call(give, touched)).logs(1)
			w.ok(w.call(look, touched)).logs(0, 0, 0)
			w.ok(w.call(give, touched)).logs(1)
			w.exists(touched, false)
			w.exists(looked, true)
			w.exists(alone, true)
		}},
		{"create2-collides", sinceLondon(), func(w *TrapWorld) {
			f := w.Contract(addr("factory", 0), factory2)
			init := Deploy(deployed(counter))
			for i := range 3 {
				salt := slotKey(i)
				child := created(f, salt, init)
				w.ok(w.call(f, salt, init)).logs(child)
				w.ok(w.call(child)).logs(1)
				w.ok(w.call(f, salt, init).gas(3_000_000)).logs(0) // burns what it passes on
				w.ok(w.call(child)).logs(2)                        // the collision left it alone
				w.nonceIs(child, 1)
			}
			w.nonceIs(f, 7)
		}},
		{"create-collides-with-nonce-code-and-storage", sinceLondon(), func(w *TrapWorld) {
			w.calm = true // one for itself; another trap has them meet
			init := Deploy(deployed(accept))
			for i := range 3 {
				from := w.Rich()
				at := crypto.CreateAddress(from, 0)
				acc := types.Account{Balance: big.NewInt(5)}
				switch i {
				case 0:
					acc.Nonce = 1
				case 1:
					acc.Code = deployed(counter)
				case 2:
					acc.Storage = map[common.Hash]common.Hash{{31: 1}: {31: 1}}
				}
				w.s.Alloc[at] = acc
				w.fails(Send{From: from, Data: init})
				w.ok(pay(w.Rich(), at, big.NewInt(1)).gas(60_000))
				w.balance(at, big.NewInt(6))
				w.nonceIs(from, 1)
				w.nonceIs(at, acc.Nonce)
				w.codeIs(at, acc.Code)
			}
		}},
		{"create-collides-after-the-creator-came-back", beforeCancun(), func(w *TrapWorld) {
			// Its nonce starts again, so that it creates the same child twice.
			f := w.Contract(addr("factory", 0), factory2)
			init := Deploy(deployed(parent))
			again := created(f, common.Hash{}, init)
			child := crypto.CreateAddress(again, 1)
			w.ok(w.call(f, common.Hash{}, init).gas(400_000)).logs(again)
			w.ok(w.call(again)).logs(child, 0)
			w.ok(w.call(again, w.Fresh()))
			w.ok(w.call(f, common.Hash{}, init).gas(400_000)).logs(again)
			w.ok(w.call(again).gas(1_000_000)).logs(0, 0)
			w.ok(w.call(again)).logs(crypto.CreateAddress(again, 2), 0)
			w.nonceIs(again, 3)
			w.nonceIs(child, 1)
		}},
		{"deployed-code-is-there-for-the-next", sinceLondon(), func(w *TrapWorld) {
			copied, lend := w.Contract(addr("copy", 0), copyCode), w.Contract(addr("borrow", 0), borrow)
			code := deployed(counter)
			for range 3 {
				from := w.Rich()
				at := crypto.CreateAddress(from, 0)
				w.ok(w.call(lend, at)).logs(1, 0) // nothing there: it succeeds at nothing
				w.ok(Send{From: from, Data: Deploy(code)})
				w.ok(w.call(at)).logs(1)
				w.ok(w.call(copied, at)).logs(crypto.Keccak256Hash(code), crypto.Keccak256Hash(code), len(code))
				w.ok(w.call(lend, at)).logs(1, len(code))
				w.slotIs(at, slotKey(0), 1)
				w.slotIs(lend, slotKey(0), 3)
			}
		}},
		{"failed-deploys-leave-no-code", sinceLondon(), func(w *TrapWorld) {
			look := w.Contract(addr("probe", 0), probe)
			for _, init := range [][]byte{
				deployed(`1 0 sstore 0 0 revert`),
				deployed(`1 0 sstore again: @again jump`),
				deployed(`0xef 0 mstore8 1 0 return`), // not a code
				deployed(`0x7000 0 return`),           // too long
			} {
				from := w.Rich()
				at := crypto.CreateAddress(from, 0)
				w.fails(Send{From: from, Data: init, Value: big.NewInt(3), Gas: 150_000})
				w.ok(w.call(look, at)).logs(0, 0, 0)
				w.nonceIs(from, 1)
				w.exists(at, false)
				w.ok(w.call(at)) // succeeds at nothing
			}
			w.calm = true
		}},
		{"deploy-fails-on-an-old-state-only", sinceLondon(), func(w *TrapWorld) {
			// The init code asks a contract whether it may.
			gate := w.Contract(addr("gate", 0), `calldatasize @set jumpi 0 sload 0 mstore 32 0 return set: 0 calldataload 0 sstore stop`)
			code := deployed(counter)
			ask := deployed(fmt.Sprintf(`32 0 0 0 0 %s gas call pop 0 mload @go jumpi 0 0 revert go:`, gate))
			init := append(ask, shifted(code, len(ask))...)
			for range 3 {
				from, late := w.Rich(), w.Rich()
				w.ok(w.call(gate, 1))
				w.ok(Send{From: from, Data: init})
				w.ok(w.call(crypto.CreateAddress(from, 0))).logs(1)
				w.ok(w.call(gate, 0))
				w.fails(Send{From: late, Data: init})
				w.codeIs(crypto.CreateAddress(late, 0), nil)
			}
		}},
		{"same-code-at-two-addresses", sinceLondon(), func(w *TrapWorld) {
			code := deployed(`calldatasize @end jumpi 0 sload 1 add dup1 0 sstore 0 mstore 32 0 log0 stop end: 0 calldataload selfdestruct`)
			copied := w.Contract(addr("copy", 0), copyCode)
			a, b := w.Rich(), w.Rich()
			first, second := crypto.CreateAddress(a, 0), crypto.CreateAddress(b, 0)
			w.ok(Send{From: a, Data: Deploy(code)})
			w.ok(Send{From: b, Data: Deploy(code)})
			w.ok(w.call(first)).logs(1)
			w.ok(w.call(first, w.Fresh()))
			w.ok(w.call(second)).logs(1)
			hash := crypto.Keccak256Hash(code)
			w.ok(w.call(copied, second)).logs(hash, hash, len(code))
			w.ok(w.call(second)).logs(2)
			w.codeIs(second, code)
			if !w.after("Cancun") {
				w.codeIs(first, nil)
				w.slotIs(first, slotKey(0), 0)
			}
		}},
		{"code-and-its-hash-are-one", sincePrague(), func(w *TrapWorld) {
			// The code changes with every transaction between those that look at it.
			copied := w.Contract(addr("copy", 0), copyCode)
			wallet := w.Rich()
			for i := range 8 {
				target := addr("target", i)
				w.delegate(wallet, target)
				want := types.AddressToDelegation(target)
				hash := crypto.Keccak256Hash(want)
				w.ok(w.call(copied, wallet)).logs(hash, hash, len(want))
			}
		}},
		{"storage-keys-at-the-edges", sinceLondon(), func(w *TrapWorld) {
			// Keys that a marker or an index could be mistaken for.
			c := w.Contract(addr("setter", 0), setter)
			keys := []common.Hash{{}, {31: 1}, common.BytesToHash(bytes.Repeat([]byte{0xff}, 32)), common.BytesToHash(c[:]), empty, types.EmptyRootHash}
			for i, key := range keys {
				w.Slot(c, key, big.NewInt(1000))
				w.ok(w.call(c, key, i+1))
				w.ok(w.call(c, key, 0))
				w.ok(w.call(c, key, i+2)).logs(0)
				w.slotIs(c, key, i+2)
			}
		}},
	}
}

// setter sets slot word 0 to word 1 and logs what was there.
const setter = `0 calldataload sload 0 mstore 32 calldataload 0 calldataload sstore 32 0 log0 stop`

// shifted is Deploy for init code that follows other code of that length.
func shifted(runtime []byte, by int) []byte {
	init := Deploy(runtime)
	init[5] += byte(by)
	return init
}
