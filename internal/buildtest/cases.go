package buildtest

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// Case makes a scenario under any of the rules it lists.
type Case struct {
	Name  string
	Rules []string
	Make  func(w *World) (minIncluded, minLeftOut int)
}

// Scenario makes the case's scenario.
func (c Case) Scenario(rules string, seed int64) (*Scenario, error) {
	w := NewWorld(c.Name+"/"+rules, rules, seed)
	if w.err != nil {
		return nil, w.err
	}
	in, out := c.Make(w)
	return w.Scenario(in, out)
}

func everyRules() []string {
	return []string{"Jovian", "Isthmus", "Prague", "Cancun", "Shanghai", "London", "Byzantium"}
}

func optimismRules() []string { return []string{"Jovian", "Isthmus"} }

// Cases returns all cases.
func Cases() []Case {
	return append(append(append(loadCases(), failureCases()...), limitCases()...), stateCases()...)
}

// loadCases are the ordinary loads, with much and with no parallelism.
func loadCases() []Case {
	return []Case{
		{"independent-transfers", everyRules(), func(w *World) (int, int) {
			for _, from := range w.Accounts(120) {
				to := w.Fresh()
				w.Send(Send{From: from, To: &to, Value: ether(1), Gas: params.TxGas})
			}
			return 120, 0
		}},
		{"one-sender", optimismRules(), func(w *World) (int, int) {
			from := w.Rich()
			for range 100 {
				to := w.Fresh()
				w.Send(Send{From: from, To: &to, Value: big.NewInt(1), Gas: params.TxGas})
			}
			return 100, 0
		}},
		{"one-recipient", []string{"Jovian", "Shanghai"}, func(w *World) (int, int) {
			to := w.Fresh()
			for _, from := range w.Accounts(100) {
				w.Send(Send{From: from, To: &to, Value: big.NewInt(1000), Gas: params.TxGas})
			}
			return 100, 0
		}},
		{"ring-of-transfers", []string{"Jovian", "Isthmus", "London"}, func(w *World) (int, int) {
			ring := w.Accounts(50)
			for range 3 {
				for i, from := range ring {
					w.Send(Send{From: from, To: &ring[(i+1)%len(ring)], Value: ether(1), Gas: params.TxGas})
				}
			}
			return 150, 0
		}},
		{"erc20-spread", everyRules(), func(w *World) (int, int) {
			c := w.Contract(addr("token", 0), token)
			for _, from := range w.Accounts(100) {
				w.Slot(c, common.BytesToHash(from[:]), big.NewInt(1000))
				w.Send(Send{From: from, To: &c, Data: words(w.Fresh(), 7)})
			}
			return 100, 0
		}},
		{"erc20-hot", []string{"Jovian", "Prague", "Byzantium"}, func(w *World) (int, int) {
			c, to := w.Contract(addr("token", 0), token), w.Fresh()
			for _, from := range w.Accounts(100) {
				w.Slot(c, common.BytesToHash(from[:]), big.NewInt(1000))
				w.Send(Send{From: from, To: &c, Data: words(to, 7)})
			}
			return 100, 0
		}},
		{"erc20-chain-of-holders", optimismRules(), func(w *World) (int, int) {
			// Each passes on what it got from the one before, so that only the right order succeeds.
			c, holders := w.Contract(addr("token", 0), token), w.Accounts(60)
			w.Slot(c, common.BytesToHash(holders[0][:]), big.NewInt(1000))
			for i := range len(holders) - 1 {
				w.Send(Send{From: holders[i], To: &c, Data: words(holders[i+1], 1000-i), Tip: gweis(100 - i)})
			}
			return 59, 0
		}},
		{"swaps-on-many-pools", []string{"Jovian", "Prague"}, func(w *World) (int, int) {
			return swaps(w, 16)
		}},
		{"swaps-on-one-pool", []string{"Jovian", "Cancun"}, func(w *World) (int, int) {
			return swaps(w, 1)
		}},
		{"deploy-then-call", everyRules(), func(w *World) (int, int) {
			for i, from := range w.Accounts(20) {
				target := crypto.CreateAddress(from, 0)
				w.Send(Send{From: from, Data: Deploy(deployed(tally)), Tip: gweis(50)})
				other := w.Rich()
				w.Send(Send{From: other, To: &target, Tip: gweis(40 + i)})
				w.Send(Send{From: from, To: &target, Tip: gweis(30)})
			}
			return 60, 0
		}},
		{"create2-then-call", []string{"Jovian", "Isthmus", "Prague", "London"}, func(w *World) (int, int) {
			f := w.Contract(addr("factory", 0), factory2)
			init := Deploy(deployed(counter))
			for i := range 20 {
				// Every address is created twice: the second creation collides.
				salt := common.BigToHash(big.NewInt(int64(i / 2)))
				child := created(f, salt, init)
				w.Send(Send{From: w.Rich(), To: &f, Data: words(salt, init), Gas: 400_000})
				w.Send(Send{From: w.Rich(), To: &child})
			}
			return 40, 0
		}},
		{"every-transaction-reads-the-block", []string{"Jovian", "Prague", "Byzantium"}, func(w *World) (int, int) {
			c := w.Contract(addr("info", 0), blockInfo)
			for _, from := range w.Accounts(40) {
				w.Send(Send{From: from, To: &c})
			}
			return 40, 0
		}},
		{"one-transaction", []string{"Jovian", "Shanghai"}, func(w *World) (int, int) {
			to := w.Fresh()
			w.Send(Send{From: w.Rich(), To: &to, Gas: params.TxGas})
			return 1, 0
		}},
		{"empty-pool", optimismRules(), func(*World) (int, int) { return 0, 0 }},
		{"legacy-and-access-lists", []string{"Jovian", "Prague"}, func(w *World) (int, int) {
			c := w.Contract(addr("counter", 0), tally)
			for i, from := range w.Accounts(40) {
				access := types.AccessList{{Address: c, StorageKeys: []common.Hash{common.BytesToHash(from[:])}}}
				w.Send(Send{From: from, To: &c, Legacy: i%2 == 0, Access: access})
			}
			return 40, 0
		}},
	}
}

func swaps(w *World, pools int) (int, int) {
	for i := range pools {
		c := w.Contract(addr("pool", i), pool)
		w.Slot(c, common.Hash{}, ether(1000))
		w.Slot(c, common.Hash{31: 1}, ether(500))
	}
	for i, from := range w.Accounts(100) {
		c := addr("pool", i%pools)
		w.Send(Send{From: from, To: &c, Data: words(ether(int64(1 + i%7)))})
	}
	return 100, 0
}

// failureCases hold transactions that fail in the block or don't get into it.
func failureCases() []Case {
	return []Case{
		{"failing-and-reverting", everyRules(), func(w *World) (int, int) {
			codes := []string{failing, invalid, endless, maybe, token, pool}
			for i, src := range codes {
				w.Contract(addr("failing", i), src)
			}
			for i, from := range w.Accounts(60) {
				c := addr("failing", i%len(codes))
				w.Send(Send{From: from, To: &c, Data: words(w.Fresh(), 5), Gas: 100_000, Value: big.NewInt(int64(i % 2))})
			}
			return 60, 0
		}},
		{"nonces-gapped-low-and-high", everyRules(), func(w *World) (int, int) {
			for i, from := range w.Accounts(60) {
				to := w.Fresh()
				send := Send{From: from, To: &to, Gas: params.TxGas}
				w.Send(send)
				switch i % 4 {
				case 1:
					send.Skip = 3
				case 2:
					send.Skip = -1
				case 3:
					send.Skip = 1 << 40
				}
				w.Send(send)
				send.Skip = 0
				w.Send(send)
			}
			return 105, 75
		}},
		{"funded-by-an-earlier-transaction", []string{"Jovian", "Isthmus", "Shanghai", "Byzantium"}, func(w *World) (int, int) {
			c := w.Contract(addr("forward", 0), forward)
			for i := range 30 {
				poor, to := w.Account(new(big.Int)), w.Fresh()
				switch i % 3 {
				case 0: // by a transfer
					w.Send(Send{From: w.Rich(), To: &poor, Value: ether(2), Gas: params.TxGas, Tip: gweis(90)})
				case 1: // by a call
					w.Send(Send{From: w.Rich(), To: &c, Value: ether(2), Data: words(poor), Tip: gweis(90)})
				case 2: // too late
					w.Send(Send{From: w.Rich(), To: &poor, Value: ether(2), Gas: params.TxGas, Tip: gweis(10)})
				}
				w.Send(Send{From: poor, To: &to, Value: ether(1), Gas: params.TxGas, Tip: gweis(50)})
			}
			return 50, 10
		}},
		{"drained-by-an-earlier-transaction", []string{"Jovian", "Isthmus", "Prague"}, func(w *World) (int, int) {
			// The first takes so much that the second cannot pay, the third of the same sender is
			// lost with it, and those whom the second would have funded are short as well.
			for i := range 30 {
				from, next, to := w.Account(ether(3)), w.Account(new(big.Int)), w.Fresh()
				value := ether(2)
				if i%3 == 0 {
					value = ether(1)
				}
				w.Send(Send{From: from, To: &to, Value: value, Gas: params.TxGas, Tip: gweis(90)})
				w.Send(Send{From: from, To: &next, Value: ether(1), Gas: params.TxGas, Tip: gweis(80)})
				w.Send(Send{From: from, To: &to, Value: big.NewInt(1), Gas: params.TxGas, Tip: gweis(70)})
				w.Send(Send{From: next, To: &to, Value: big.NewInt(1), Gas: params.TxGas, Tip: gweis(60)})
			}
			return 60, 60
		}},
		{"short-of-the-rollup-fees-only", optimismRules(), func(w *World) (int, int) {
			// Enough for value and gas, not for the L1 or the operator fee on top.
			for i := range 20 {
				tip := gweis(30)
				gas := new(big.Int).Mul(new(big.Int).Add(tip, gweis(10)), new(big.Int).SetUint64(params.TxGas))
				from, to := w.Account(new(big.Int).Add(ether(1), gas)), w.Fresh()
				if i%2 == 0 { // someone helps out first
					w.Send(Send{From: w.Rich(), To: &from, Value: ether(1), Gas: params.TxGas, Tip: gweis(60)})
				}
				w.Send(Send{From: from, To: &to, Value: ether(1), Gas: params.TxGas, Tip: tip})
			}
			return 20, 10
		}},
		{"conditionals", optimismRules(), conditionals},
		{"evicted-from-the-pool", []string{"Jovian", "Shanghai"}, func(w *World) (int, int) {
			for i, from := range w.Accounts(40) {
				to := w.Fresh()
				for j := range 3 {
					w.Send(Send{From: from, To: &to, Gas: params.TxGas, Evicted: i%4 == 0 && j == 1})
				}
			}
			return 100, 20
		}},
		{"below-the-base-fee", []string{"Jovian", "London"}, func(w *World) (int, int) {
			for i, from := range w.Accounts(30) {
				to := w.Fresh()
				w.Send(Send{From: from, To: &to, Gas: params.TxGas})
				if i%3 == 0 {
					w.Send(Send{From: from, To: &to, Gas: params.TxGas, Tip: big.NewInt(1), FeeCap: big.NewInt(2)})
				}
				w.Send(Send{From: from, To: &to, Gas: params.TxGas})
			}
			return 40, 20
		}},
		{"intrinsic-gas-too-low", []string{"Jovian", "Prague"}, func(w *World) (int, int) {
			for i, from := range w.Accounts(30) {
				to := w.Fresh()
				w.Send(Send{From: from, To: &to, Gas: params.TxGas - uint64(i%2), Data: nil})
				w.Send(Send{From: from, To: &to, Gas: params.TxGas, Data: make([]byte, 100*(i%3))})
			}
			return 15, 30
		}},
		{"sender-gets-code-in-the-block", []string{"Jovian", "Prague"}, func(w *World) (int, int) {
			// A delegated account may still send (EIP-3607 looks past delegations).
			c := w.Contract(addr("tally", 0), tally)
			for range 20 {
				from, to := w.Rich(), w.Fresh()
				w.Send(Send{From: w.Rich(), To: &to, Auths: []types.SetCodeAuthorization{w.Authorize(from, c, 0)}, Tip: gweis(90)})
				w.Used(from)
				w.Send(Send{From: from, To: &to, Value: ether(1), Tip: gweis(50)})
				w.Send(Send{From: w.Rich(), To: &from, Tip: gweis(40)})
			}
			return 60, 0
		}},
	}
}

func conditionals(w *World) (int, int) {
	c := w.Contract(addr("counter", 0), counter)
	w.Slot(c, common.Hash{}, big.NewInt(5))
	late, soon := uint64(genesisTime+1000), uint64(genesisTime)
	slot := func(v int64) *types.TransactionConditional {
		return &types.TransactionConditional{KnownAccounts: types.KnownAccounts{
			c: {StorageSlots: map[common.Hash]common.Hash{{}: common.BigToHash(big.NewInt(v))}},
		}}
	}
	root := types.EmptyRootHash
	plain := w.Fresh()
	conds := []*types.TransactionConditional{
		{BlockNumberMin: big.NewInt(1)},
		{BlockNumberMin: big.NewInt(2)},
		{BlockNumberMax: big.NewInt(0)},
		{TimestampMin: &late},
		{TimestampMin: &soon, TimestampMax: &late},
		{KnownAccounts: types.KnownAccounts{plain: {StorageRoot: &root}}},
		{KnownAccounts: types.KnownAccounts{c: {StorageRoot: &root}}},
		// Which of these hold depends on how many went before: each one that passes counts on.
		slot(5), slot(5), slot(6), slot(7), slot(7), slot(8), slot(4), slot(9),
	}
	for i, cond := range conds {
		from, tip := w.Rich(), gweis(100-2*i)
		w.Send(Send{From: from, To: &c, Conditional: cond, Tip: tip})
		w.Send(Send{From: from, To: &plain, Gas: params.TxGas, Tip: tip})
		// Others, with no condition, are in between.
		to := w.Fresh()
		w.Send(Send{From: w.Rich(), To: &to, Gas: params.TxGas, Tip: gweis(101 - 2*i)})
	}
	return 20, 10
}

func gweis(n int) *big.Int { return new(big.Int).Mul(gwei, big.NewInt(int64(n))) }
