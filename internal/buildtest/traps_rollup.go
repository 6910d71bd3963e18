package buildtest

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

// gasPriceOracle is where the predeploy is.
var gasPriceOracle = common.HexToAddress("0x420000000000000000000000000000000000000F")

func rollupTraps() []Trap {
	return []Trap{
		{"l1block-is-read-after-the-attributes", optimismRules(), func(w *TrapWorld) {
			// The deposit at the head of the block has changed it: 9 gwei, once 1.
			w.orderly = true
			w.Slot(types.L1BlockAddr, slotKey(1), gwei)
			c := w.Contract(addr("l1reader", 0), fmt.Sprintf(`32 0 0 0 %s gas staticcall pop 32 0 log0 stop`, types.L1BlockAddr))
			for range 6 {
				w.ok(w.call(c)).logs(big.NewInt(9e9))
				w.ok(w.call(types.L1BlockAddr))
			}
			w.check(func(b *Built) error { // and the fees are those of the new attributes
				return atLeast(b, params.OptimismL1FeeRecipient, big.NewInt(12*5e9))
			})
		}},
		{"gas-price-oracle-is-read", optimismRules(), func(w *TrapWorld) {
			w.orderly = true
			w.Contract(gasPriceOracle, fmt.Sprintf(`32 0 0 0 %s gas staticcall pop 0 mload basefee mul 0 mstore gasprice 32 mstore 64 0 return`, types.L1BlockAddr))
			c := w.Contract(addr("oracle", 0), fmt.Sprintf(`64 0 0 0 %s gas staticcall pop 64 0 log0 stop`, gasPriceOracle))
			for range 6 {
				s := w.ok(w.call(c))
				w.check(func(b *Built) error {
					r, err := s.receipt(b)
					if err != nil {
						return err
					}
					want := new(big.Int).Mul(big.NewInt(9e9), b.Block.BaseFee())
					if got, err := s.word(b, 0); err != nil || got.Cmp(want) != 0 {
						return fmt.Errorf("%s sees %v, want %v: %v", s.what, got, want, err)
					}
					tx := b.Block.Transactions()[r.TransactionIndex]
					price := new(big.Int).Add(b.Block.BaseFee(), tx.EffectiveGasTipValue(b.Block.BaseFee()))
					if got, err := s.word(b, 1); err != nil || got.Cmp(price) != 0 {
						return fmt.Errorf("%s sees gas price %v, want %v: %v", s.what, got, price, err)
					}
					return nil
				})
			}
		}},
		{"deposits-with-mint-and-failing-ones", optimismRules(), func(w *TrapWorld) {
			count, bad := w.Contract(addr("counter", 0), counter), w.Contract(addr("failing", 0), failing)
			minted := w.Account(new(big.Int))
			tester, heir := w.Fresh(), w.Fresh()
			w.Deposit(types.DepositTx{From: minted, To: &minted, Mint: ether(2), Gas: 100_000})
			w.Deposit(types.DepositTx{From: tester, To: &count, Mint: ether(1), Value: big.NewInt(5), Gas: 200_000})
			w.Deposit(types.DepositTx{From: tester, To: &bad, Mint: ether(1), Value: big.NewInt(5), Gas: 200_000})
			w.Deposit(types.DepositTx{From: heir, To: &count, Value: ether(9), Gas: 200_000}) // has nothing
			code := Deploy(deployed(counter))
			w.Deposit(types.DepositTx{From: heir, Data: code, Gas: 400_000})
			w.check(func(b *Built) error {
				for i, want := range []uint64{1, 1, 1, 0, 0, 1} {
					if b.Receipts[i].Status != want {
						return fmt.Errorf("deposit %d: status %d, want %d", i, b.Receipts[i].Status, want)
					}
				}
				return nil
			})
			w.nonce[minted] = 1 // by its deposit
			w.ok(pay(minted, w.Fresh(), ether(1)))
			w.out(pay(minted, w.Fresh(), ether(1)))
			w.ok(w.call(count)).logs(2) // after the one deposit that worked
			w.ok(w.call(count)).logs(3)
			read := w.Contract(addr("read", 0), readOne)
			w.ok(w.call(read, tester)).logs(new(big.Int).Sub(ether(2), big.NewInt(5)))
			w.nonceIs(heir, 2)
			w.nonceIs(tester, 2)
		}},
		{"operator-fee", optimismRules(), func(w *TrapWorld) {
			// By the gas used, not the limit, and seen in the middle.
			read := w.Contract(addr("read", 0), readOne)
			burn := w.Contract(addr("spin", 0), spin)
			w.Slot(burn, common.Hash{}, big.NewInt(300))
			var seen []sent
			for i := range 4 {
				w.ok(w.call(burn, 200-50*i))
				seen = append(seen, w.ok(w.call(read, params.OptimismOperatorFeeRecipient)))
			}
			w.rising(seen...)
			w.check(func(b *Built) error {
				want := new(big.Int)
				for i, r := range b.Receipts {
					if i >= b.Forced {
						fee := new(big.Int).SetUint64(r.GasUsed * 300_000)
						if w.s.Config.IsJovian(genesisTime + blockTime) {
							fee.Mul(fee, big.NewInt(100))
						} else {
							fee.Div(fee, big.NewInt(1e6))
						}
						want.Add(want, fee.Add(fee, big.NewInt(77)))
					}
				}
				if got := b.State.GetBalance(params.OptimismOperatorFeeRecipient).ToBig(); got.Cmp(want) != 0 {
					return fmt.Errorf("operator fees are %v, want %v", got, want)
				}
				return nil
			})
		}},
		{"da-footprint", []string{"Jovian"}, func(w *TrapWorld) {
			// A transfer counts for 100 bytes: twelve fit. What is too big is left out with its
			// account, and what comes after it is not.
			w.calm = true
			w.SetDAFootprintScalar(10_000)
			w.s.GasLimit = 12 * 100 * 10_000
			for range 3 {
				w.ok(pay(w.Rich(), w.Fresh(), ether(1)))
				from, to, data := w.Rich(), w.Fresh(), make([]byte, 3000)
				w.rng.Read(data)
				w.out(Send{From: from, To: &to, Data: data, Gas: 500_000})
				w.out(pay(from, w.Fresh(), ether(1)))
			}
			for range 9 {
				w.ok(pay(w.Rich(), w.Fresh(), ether(1)))
			}
			w.out(pay(w.Rich(), w.Fresh(), ether(1)))
			w.check(func(b *Built) error {
				if got := *b.Block.BlobGasUsed(); got != w.s.GasLimit {
					return fmt.Errorf("DA footprint is %d, want all of %d", got, w.s.GasLimit)
				}
				return nil
			})
		}},
		{"message-passer-and-withdrawals-root", optimismRules(), func(w *TrapWorld) {
			w.Contract(messagePasser, `1 0 calldataload sstore 0x99 sload 1 add dup1 0x99 sstore 0 mstore 32 0 log0 stop`)
			for i := range 6 {
				w.ok(w.call(messagePasser, i+1000)).logs(i + 1)
			}
			no := w.Contract(addr("no", 0), fmt.Sprintf(`0 0 0 0 0 %s gas call pop 0 0 revert`, messagePasser))
			w.fails(w.call(no))
			w.check(func(b *Built) error {
				root := b.Block.Header().WithdrawalsHash
				if root == nil || *root == types.EmptyWithdrawalsHash || *root == types.EmptyRootHash || *root != b.State.GetStorageRoot(messagePasser) {
					return fmt.Errorf("withdrawals root is %v", root)
				}
				return nil
			})
			w.slotIs(messagePasser, slotKey(0x99), 6)
		}},
		{"beacon-root-and-parent-hash", sincePrague(), func(w *TrapWorld) {
			// EIP-4788 and EIP-2935: written before the first transaction.
			w.orderly = true
			w.s.Alloc[params.BeaconRootsAddress] = types.Account{Code: params.BeaconRootsCode, Nonce: 1, Balance: new(big.Int)}
			w.s.Alloc[params.HistoryStorageAddress] = types.Account{Code: params.HistoryStorageCode, Nonce: 1, Balance: new(big.Int)}
			c := w.Contract(addr("system", 0), fmt.Sprintf(`timestamp 0 mstore 32 32 32 0 %s gas staticcall pop
				0 0 mstore 32 64 32 0 %s gas staticcall pop 0 blockhash 96 mstore 96 32 log0 stop`, params.BeaconRootsAddress, params.HistoryStorageAddress))
			for range 8 {
				s := w.ok(w.call(c))
				w.check(func(b *Built) error {
					data, err := s.logged(b)
					parent := b.Block.ParentHash()
					if err != nil || string(data) != string(words(common.Hash{9}, parent, parent)) {
						return fmt.Errorf("%s logs %x, want the beacon root %s and the parent %s twice: %v", s.what, data, common.Hash{9}, parent, err)
					}
					return nil
				})
			}
		}},
		{"fees-are-those-of-the-first-transaction", optimismRules(), func(w *TrapWorld) {
			// The stand-in for L1Block lets anyone change what the fees are made of. op-geth's
			// fee functions keep what they read for the block's first transaction.
			zero := make([]byte, 178)
			for range 3 {
				w.bystander()
			}
			w.ok(Send{From: w.Rich(), To: &types.L1BlockAddr, Data: zero})
			t := pay(w.Rich(), w.Fresh(), ether(1)) // has everything before it applied
			t.Conditional = &types.TransactionConditional{KnownAccounts: types.KnownAccounts{
				types.L1BlockAddr: {StorageSlots: map[common.Hash]common.Hash{slotKey(1): {}}},
			}}
			w.ok(t)
			for range 8 {
				w.bystander()
			}
			w.check(func(b *Built) error {
				return atLeast(b, params.OptimismOperatorFeeRecipient, big.NewInt(13*77))
			})
			w.calm = true
		}},
		{"attributes-with-other-fees", optimismRules(), func(w *TrapWorld) {
			// Zero fees and then a transaction that is short by no more than them.
			w.free()
			data := w.s.Forced[0].Data()
			binary.BigEndian.PutUint64(data[168:], 5) // the operator fee's constant alone
			for i := range 4 {
				cost := new(big.Int).Mul(gweis(60-i), new(big.Int).SetUint64(params.TxGas))
				from := w.Account(cost.Add(cost, big.NewInt(int64(4+i%2))))
				t := pay(from, w.Fresh(), new(big.Int))
				t.Tip = gweis(50 - i)
				if i%2 == 1 {
					w.ok(t)
				} else {
					w.out(t)
				}
			}
			w.balance(params.OptimismOperatorFeeRecipient, big.NewInt(10))
			w.exists(params.OptimismL1FeeRecipient, false)
			w.calm = true
		}},
	}
}
