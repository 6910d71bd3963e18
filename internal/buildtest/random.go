package buildtest

import (
	"fmt"
	"math/big"
	"math/rand"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// RandomRules returns the rules that a seed's random block runs under.
func RandomRules(seed int64) string {
	rules := []string{"Jovian", "Isthmus", "Jovian", "Prague", "Jovian", "Cancun", "Isthmus", "Shanghai", "Jovian", "London", "Isthmus", "Byzantium"}
	return rules[uint64(seed)%uint64(len(rules))]
}

// Random makes a scenario of everything: random programs that read and write each other's
// storage, balances and code, call, create, destroy, delegate, fail; transactions that are
// invalid, underfunded, gapped, evicted or too big; limits that hit mid-block.
func Random(rules string, seed int64) (*Scenario, error) {
	w := NewWorld(fmt.Sprintf("random/%s/%d", rules, seed), rules, seed)
	if w.err != nil {
		return nil, w.err
	}
	newRandomBlock(w).fill(40 + w.rng.Intn(200))
	return w.Scenario(0, 0)
}

// randomBlock is the cast of a random scenario.
type randomBlock struct {
	*World
	senders   []common.Address
	contracts []common.Address
	others    []common.Address // addresses of interest that are neither
}

func newRandomBlock(w *World) *randomBlock {
	r := &randomBlock{World: w}
	for range 4 + w.rng.Intn(50) {
		balance := ether(1 + w.rng.Int63n(50))
		if w.rng.Intn(6) == 0 {
			balance = big.NewInt(w.rng.Int63n(2e16)) // soon out of funds, or from the start
		}
		r.senders = append(r.senders, w.Account(balance))
	}
	r.others = append([]common.Address{w.Fresh(), w.Fresh(), messagePasser, {19: 4}, {19: 2}}, feeVaults()...)
	fixed := []string{token, pool, counter, tally, readOne, forward, payOut, sweep, destroy, failing, endless, maybe, relay, accept, factory, blockInfo, probeFor(w)}
	if w.after("Constantinople") {
		fixed = append(fixed, factory2)
	}
	for i := range fixed {
		r.contracts = append(r.contracts, addr("fixed", i))
	}
	programs := 3 + w.rng.Intn(8)
	for i := range programs {
		r.contracts = append(r.contracts, addr("program", i))
	}
	switch w.rng.Intn(5) {
	case 0:
		w.s.Coinbase = pick(w.rng, r.senders)
	case 1:
		w.s.Coinbase = pick(w.rng, r.contracts)
	case 2:
		w.s.Coinbase = w.Fresh()
	case 3:
		if w.Optimism() {
			w.s.Coinbase = pick(w.rng, feeVaults())
		}
	}
	r.others = append(r.others, w.s.Coinbase)
	for i, src := range fixed {
		w.Contract(addr("fixed", i), src)
	}
	for i := range programs {
		w.Contract(addr("program", i), r.program(8+w.rng.Intn(16)))
	}
	for _, c := range r.contracts {
		w.Fund(c, big.NewInt(w.rng.Int63n(1e18)))
		for slot := range 8 {
			if w.rng.Intn(2) == 0 {
				w.Slot(c, common.Hash{31: byte(slot)}, big.NewInt(w.rng.Int63n(100)))
			}
		}
		for _, s := range r.senders {
			if w.rng.Intn(3) == 0 {
				w.Slot(c, common.BytesToHash(s[:]), big.NewInt(w.rng.Int63n(1000)))
			}
		}
	}
	if w.rng.Intn(3) == 0 {
		w.s.GasLimit = 3_000_000 + uint64(w.rng.Intn(10_000_000))
	}
	if w.Optimism() && w.rng.Intn(4) == 0 {
		w.s.MaxDABlockSize = big.NewInt(3000 + w.rng.Int63n(20_000))
	}
	if w.s.Config.IsJovian(genesisTime) && w.rng.Intn(4) == 0 {
		w.SetDAFootprintScalar(uint16(500 + w.rng.Intn(5000)))
	}
	if w.rng.Intn(3) == 0 {
		w.s.Prio = r.senders[:1+w.rng.Intn(3)]
	}
	return r
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.Intn(len(from))] }

// anyone returns an address of the cast.
func (r *randomBlock) anyone() common.Address {
	switch r.rng.Intn(4) {
	case 0:
		return pick(r.rng, r.senders)
	case 1:
		return pick(r.rng, r.others)
	default:
		return pick(r.rng, r.contracts)
	}
}

// program returns assembly of n steps, each of which leaves the stack as it was.
func (r *randomBlock) program(n int) string {
	var (
		src   strings.Builder
		label int
		slot  = func() int { return r.rng.Intn(6) }
	)
	for range n {
		switch r.rng.Intn(18) {
		case 0, 1, 2:
			fmt.Fprintf(&src, "%d sload %d add %d sstore ", slot(), r.rng.Intn(3), slot())
		case 3:
			fmt.Fprintf(&src, "0 calldataload 7 and sload caller sstore ")
		case 4: // skip the rest on what storage says
			label++
			fmt.Fprintf(&src, "%d sload 1 and @skip%d jumpi %d sload 1 add %d sstore skip%d: ", slot(), label, slot(), slot(), label)
		case 5:
			fmt.Fprintf(&src, "%s balance %d sstore ", r.anyone(), slot())
		case 6:
			op := "extcodesize"
			if r.after("Constantinople") && r.rng.Intn(2) == 0 {
				op = "extcodehash"
			}
			fmt.Fprintf(&src, "%s %s %d sstore ", r.anyone(), op, slot())
		case 7, 8:
			fmt.Fprintf(&src, "%s 0 mstore 0 0 64 0 %d %s %d call %d sstore ", r.anyone(), r.rng.Intn(3), r.anyone(), 30_000+r.rng.Intn(60_000), slot())
		case 9:
			fmt.Fprintf(&src, "0 0 32 0 %s 50000 delegatecall pop ", r.anyone())
		case 10:
			fmt.Fprintf(&src, "32 0 32 0 %s 50000 staticcall 0 mload add %d sstore ", r.anyone(), slot())
		case 11:
			fmt.Fprintf(&src, "%d sload 0 mstore 7 32 0 log1 ", slot())
		case 12: // creates an account with the code that the zero calldata stands for
			fmt.Fprintf(&src, "0 0 %d create %d sstore ", r.rng.Intn(2), slot())
		case 13:
			if r.after("Constantinople") {
				fmt.Fprintf(&src, "%d 0 0 %d create2 %d sstore ", r.rng.Intn(3), r.rng.Intn(2), slot())
			}
		case 14:
			if r.after("Cancun") {
				fmt.Fprintf(&src, "%d tload 1 add dup1 %d tstore %d sstore ", slot(), slot(), slot())
			}
		case 15:
			fmt.Fprintf(&src, "coinbase balance address balance add %d sstore ", slot())
		case 16: // fails on what storage says
			label++
			fmt.Fprintf(&src, "%d sload 3 and @go%d jumpi 0 0 revert go%d: ", slot(), label, label)
		case 17:
			label++
			if r.rng.Intn(3) == 0 {
				fmt.Fprintf(&src, "%d sload 7 and @go%d jumpi %s selfdestruct go%d: ", slot(), label, r.anyone(), label)
			} else {
				fmt.Fprintf(&src, "gas 1000 swap1 div %d sstore ", slot())
			}
		}
	}
	return src.String() + "stop"
}

// fill sends n transactions.
func (r *randomBlock) fill(n int) {
	w, rng := r.World, r.rng
	if w.Optimism() && rng.Intn(3) == 0 {
		to := pick(rng, r.contracts)
		w.Deposit(types.DepositTx{From: pick(rng, r.others), To: &to, Mint: ether(1), Value: big.NewInt(5), Gas: 300_000, Data: words(r.anyone(), 1)})
	}
	for range n {
		from := pick(rng, r.senders)
		t := Send{From: from, Gas: params.TxGas + uint64(rng.Intn(300_000)), Tip: gweis(1 + rng.Intn(8)), Value: big.NewInt(rng.Int63n(1000))}
		to := r.anyone()
		t.To = &to
		switch kind := rng.Intn(20); {
		case kind < 5: // a transfer
			t.Gas = params.TxGas
			if rng.Intn(2) == 0 {
				t.Value = big.NewInt(rng.Int63n(3e18))
				to = pick(rng, r.senders)
			}
		case kind < 15: // a call
			to = pick(rng, r.contracts)
			t.Data = words(r.anyone(), rng.Intn(10))
		case kind < 16:
			t.To = nil
			t.Data = Deploy(deployed(pick(rng, []string{counter, tally, destroy, forward})))
		case kind < 17: // calls what the sender deploys, perhaps
			to = crypto.CreateAddress(from, uint64(rng.Intn(4)))
			t.Data = words(r.anyone())
		case kind < 18 && w.after("Prague"):
			authority := pick(rng, r.senders)
			skip := 0
			if authority == from {
				skip = 1
			}
			t.Auths = []types.SetCodeAuthorization{w.Authorize(authority, r.anyone(), skip)}
			if rng.Intn(4) == 0 { // stale
				t.Auths = append(t.Auths, w.Authorize(authority, r.anyone(), skip))
			}
		case kind < 18 && w.after("Cancun") && !w.Optimism():
			t.Blobs = 1 + rng.Intn(2)
		default:
			t.Data = make([]byte, rng.Intn(600))
			rng.Read(t.Data)
		}
		switch rng.Intn(40) {
		case 0:
			t.Skip = 1 + rng.Intn(3)
		case 1:
			t.Skip = -1
		case 2:
			t.Evicted = true
		case 3:
			t.FeeCap = gwei
			t.Tip = big.NewInt(1)
		case 4, 5:
			if w.Optimism() && t.Blobs == 0 {
				c, slot := pick(rng, r.contracts), common.Hash{31: byte(rng.Intn(6))}
				t.Conditional = &types.TransactionConditional{KnownAccounts: types.KnownAccounts{
					c: {StorageSlots: map[common.Hash]common.Hash{slot: w.s.Alloc[c].Storage[slot]}},
				}}
			}
		}
		if t.Skip < 0 && w.nonce[from] == 0 {
			t.Skip = 0
		}
		w.Send(t)
		if len(t.Auths) > 0 && rng.Intn(2) == 0 { // or the authority's next transaction is stale
			for s := range w.keys {
				if auth, err := t.Auths[0].Authority(); err == nil && auth == s {
					w.Used(s)
				}
			}
		}
	}
}
