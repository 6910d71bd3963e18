package buildtest

import (
	"fmt"
	"math/big"
	"math/rand"

	"github.com/ethereum/go-ethereum/params"
)

// RandomRules returns the rules that a seed's random block runs under.
func RandomRules(seed int64) string {
	rules := []string{"Jovian", "Isthmus", "Jovian", "Prague", "Jovian", "Cancun", "Isthmus", "Shanghai", "Jovian", "London", "Isthmus", "Byzantium"}
	return rules[uint64(seed)%uint64(len(rules))]
}

// Random makes the scenario of a random plan.
func Random(rules string, seed int64) (*Scenario, error) {
	p, err := RandomPlan(rules, seed)
	if err != nil {
		return nil, err
	}
	p.MaxSize = 0 // op-geth's miner can't be told
	return p.Scenario()
}

// RandomPlan makes a block of everything: random programs that read and write each other's
// storage, balances and code, call, create, destroy, fail, run out of gas; transactions
// that are invalid, underfunded, gapped, evicted or too big; limits that hit mid-block.
func RandomPlan(rules string, seed int64) (*Plan, error) {
	w := NewWorld("rules", rules, seed)
	if w.err != nil {
		return nil, w.err
	}
	r := &planMaker{
		plan:    &Plan{Seed: seed, Rules: rules, GasLimit: roomyGasLimit},
		rng:     rand.New(rand.NewSource(seed)),
		world:   w,
		senders: refs("s", 0), others: append(refs("x", 12), "passer", "p4", "p2", "v0", "v1", "v2"),
	}
	r.cast()
	r.limits()
	r.pool(40 + r.rng.Intn(200))
	return r.plan, nil
}

// roomyGasLimit is the gas limit of a random block that does not run into it, mostly.
const roomyGasLimit = 60_000_000

// planMaker makes a random plan.
type planMaker struct {
	plan  *Plan
	rng   *rand.Rand
	world *World // asked for the rules only

	senders, contracts, others []Ref

	labels int // in the program that is being made
	hot    Ref // account that many statements are about
}

func refs(kind string, n int) []Ref {
	var list []Ref
	for i := range n {
		list = append(list, Ref(fmt.Sprint(kind, i)))
	}
	return list
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.Intn(len(from))] }

// one reports true once in n times.
func (r *planMaker) one(n int) bool { return r.rng.Intn(n) == 0 }

// anyone returns an account of the cast.
func (r *planMaker) anyone() Ref {
	switch r.rng.Intn(9) {
	case 0, 1:
		return pick(r.rng, r.senders)
	case 2, 3:
		return pick(r.rng, r.others)
	case 4:
		return Ref(fmt.Sprintf("d%d.%d", r.rng.Intn(len(r.senders)), r.rng.Intn(4)))
	case 5:
		return r.hot
	default:
		return pick(r.rng, r.contracts)
	}
}

// libraries are contracts that every random block has.
func (r *planMaker) libraries() []string {
	list := []string{token, pool, counter, tally, readOne, forward, payOut, sweep, destroy, failing, endless, maybe, relay, accept, factory, blockInfo, probeFor(r.world)}
	if r.world.after("Constantinople") {
		list = append(list, factory2)
	}
	return list
}

// cast makes the parent state.
func (r *planMaker) cast() {
	rng, p := r.rng, r.plan
	r.senders = refs("s", 4+rng.Intn(50))
	libraries, programs := r.libraries(), 3+rng.Intn(8)
	r.contracts = refs("c", len(libraries)+programs)
	r.hot = pick(rng, append(append([]Ref(nil), r.contracts...), r.senders...))
	for i, who := range r.senders {
		a := PlanAccount{Who: who, Balance: ether(1 + rng.Int63n(50))}
		switch rng.Intn(36) {
		case 0, 1, 2, 3: // soon out of funds, or from the start
			a.Balance = big.NewInt(rng.Int63n(2e16))
		case 4:
			a.Balance = nil
		case 5:
			a.Nonce = uint64(1 + rng.Intn(5))
		case 6:
			if r.world.after("Prague") {
				a.Delegate, a.Nonce = r.anyone(), 1
			}
		case 7:
			if i > 2 { // its transactions are refused (EIP-3607)
				a.Program, a.Nonce = []string{accept}, 1
			}
		}
		p.Accounts = append(p.Accounts, a)
	}
	for i, who := range r.contracts {
		a := PlanAccount{Who: who, Nonce: 1, Balance: big.NewInt(rng.Int63n(1e18))}
		if i < len(libraries) {
			a.Program = []string{libraries[i]}
		} else {
			a.Program = r.program(8 + rng.Intn(16))
		}
		for slot := range 8 {
			if r.one(2) {
				a.Slots = append(a.Slots, PlanSlot{Key: fmt.Sprint(slot), Value: rng.Int63n(100)})
			}
		}
		for _, s := range r.senders {
			if r.one(3) {
				a.Slots = append(a.Slots, PlanSlot{Key: string(s), Value: rng.Int63n(1000)})
			}
		}
		p.Accounts = append(p.Accounts, a)
	}
	if !r.world.after("Prague") && r.one(2) { // there, though empty
		p.Accounts = append(p.Accounts, PlanAccount{Who: "x1"})
	}
	switch rng.Intn(5) {
	case 0:
		p.Coinbase = pick(rng, r.senders)
	case 1:
		p.Coinbase = pick(rng, r.contracts)
	case 2:
		p.Coinbase = "x2"
	case 3:
		if r.world.Optimism() {
			p.Coinbase = pick(rng, []Ref{"v0", "v1", "v2"})
		}
	}
	if p.Coinbase != "" {
		r.others = append(r.others, p.Coinbase)
	}
}

// limits sets bounds that the pool runs into.
func (r *planMaker) limits() {
	rng, p := r.rng, r.plan
	if r.one(2) {
		p.GasLimit = 3_000_000 + uint64(rng.Intn(10_000_000))
	}
	if r.world.Optimism() && r.one(4) {
		p.MaxDABlock = 3000 + rng.Int63n(20_000)
	}
	if r.world.Optimism() && r.one(6) {
		p.MaxDATx = 100 + rng.Int63n(400)
	}
	if r.plan.Rules == "Jovian" && r.one(4) {
		p.FootprintScalar = uint16(500 + rng.Intn(5000))
	}
	if r.one(8) {
		p.MaxSize = 2000 + uint64(rng.Intn(20_000))
	}
	if r.one(3) {
		p.Prio = append(p.Prio, r.senders[:1+rng.Intn(3)]...)
	}
}

// pool makes n transactions.
func (r *planMaker) pool(n int) {
	if r.world.Optimism() {
		for range r.rng.Intn(3) {
			d := PlanDeposit{From: r.anyone(), To: pick(r.rng, r.contracts), Mint: ether(1), Value: 5, Gas: 300_000, Data: []string{string(r.anyone()), "1"}}
			if r.one(4) { // more than it has: the deposit fails
				d.Mint, d.Value = nil, 9e18
			}
			r.plan.Deposits = append(r.plan.Deposits, d)
		}
	}
	for range n {
		t := r.tx()
		r.spoil(&t)
		r.plan.Txs = append(r.plan.Txs, t)
	}
}

// tx makes a transaction.
func (r *planMaker) tx() PlanTx {
	rng := r.rng
	t := PlanTx{From: pick(rng, r.senders), To: r.anyone(), Gas: 30_000 + uint64(rng.Intn(300_000)),
		Tip: gweis(1 + rng.Intn(8)), Value: big.NewInt(rng.Int63n(1000))}
	if r.one(10) {
		t.Tip = big.NewInt(rng.Int63n(2)) // none, or next to none
	}
	switch kind := rng.Intn(20); {
	case kind < 5: // a transfer
		t.Gas = params.TxGas
		if r.one(2) {
			t.Value = big.NewInt(rng.Int63n(3e18))
			t.To = pick(rng, r.senders)
		}
	case kind < 14: // a call
		t.To = pick(rng, r.contracts)
		t.Data = []string{string(r.anyone()), fmt.Sprint(rng.Intn(10))}
	case kind < 15: // of the account that many are about, with enough gas
		t.To, t.Gas = r.hot, 500_000
		t.Data = []string{string(r.anyone()), fmt.Sprint(rng.Intn(10))}
	case kind < 16:
		t.To = ""
		t.Init = pick(rng, []string{counter, tally, destroy, forward})
		if r.one(4) { // what it deploys is what the initial code leaves in memory
			t.Init, t.Bare = r.statement()+r.statement()+" 0 0 return", true
		}
	case kind < 17: // calls what a sender deploys, perhaps
		t.To = Ref(fmt.Sprintf("d%s.%d", t.From[1:], rng.Intn(4)))
		t.Data = []string{string(r.anyone())}
	case kind < 18 && r.world.after("Prague"):
		t.Auths = r.auths(t.From)
		if r.one(2) {
			t.To = (*t.Auths)[0].Authority // and calls what it was delegated to
		}
	case kind < 18 && r.world.after("Cancun") && !r.world.Optimism():
		t.Blobs = 1 + rng.Intn(3)
	default:
		t.Noise = &PlanNoise{Seed: rng.Int63(), Bytes: rng.Intn(600)}
	}
	if r.one(12) && t.Auths == nil {
		t.Legacy = true
	}
	if r.one(6) && t.Gas > params.TxGas {
		t.Warm = []Ref{r.anyone(), r.anyone()}
	}
	return t
}

// auths makes the authorisations of a transaction.
func (r *planMaker) auths(from Ref) *[]PlanAuth {
	var list []PlanAuth
	for range 1 + r.rng.Intn(2) {
		a := PlanAuth{Authority: pick(r.rng, r.senders), Target: r.anyone(), Counted: !r.one(6)}
		if a.Authority == from {
			a.Nonce = 1
		}
		if r.one(6) {
			a.Target = "p0" // takes the delegation back
		}
		list = append(list, a)
		if r.one(4) { // stale
			list = append(list, PlanAuth{Authority: a.Authority, Target: r.anyone(), Nonce: a.Nonce})
		}
	}
	return &list
}

// spoil has some transactions be left out.
func (r *planMaker) spoil(t *PlanTx) {
	rng := r.rng
	switch rng.Intn(160) {
	case 0, 1:
		t.Nonce = 1 + rng.Intn(3) // a gap
	case 2:
		t.Nonce = -1
	case 3:
		t.Evicted = true
	case 4:
		t.FeeCap, t.Tip = gwei, big.NewInt(1) // does not cover the base fee, or just so
	case 5, 6, 15, 16, 17: // true when the block begins
		if r.world.Optimism() && t.Blobs == 0 {
			c := pick(rng, r.contracts[len(r.libraries()):]) // the busiest
			slot := PlanSlot{Key: fmt.Sprint(rng.Intn(6))}
			for _, a := range r.plan.Accounts {
				for _, s := range a.Slots {
					if a.Who == c && s.Key == slot.Key {
						slot = s
					}
				}
			}
			t.Conditional = &PlanCondition{Account: c, Value: slot.Value}
			if _, err := fmt.Sscan(slot.Key, &t.Conditional.Slot); err != nil {
				t.Conditional.Slot = 0 // the key is no plain number: a condition on another slot
			}
		}
	case 7:
		t.Value = ether(100) // more than anybody has
	case 8:
		t.Gas = params.TxGas - 1 - uint64(rng.Intn(1000))
	case 9:
		t.Gas = r.plan.GasLimit + 1
	case 10:
		t.FeeCap, t.Tip = gweis(5), gweis(6) // the tip is above the cap
	case 11:
		if t.To == "" && r.one(3) {
			t.Init, t.Noise, t.Gas = "", &PlanNoise{Seed: rng.Int63(), Bytes: params.MaxInitCodeSize + 1}, 2_000_000
		}
	case 12:
		if r.world.after("Prague") && t.To != "" && t.Blobs == 0 {
			t.Auths = &[]PlanAuth{} // an empty list is not allowed
		}
	case 13:
		t.UnknownDA = r.plan.Rules != "Jovian" // there upstream relies on it
	case 14, 18, 19, 20: // asks for what may be there no more, while smaller ones still fit
		t.Gas = r.plan.GasLimit / uint64(2+rng.Intn(4))
	}
}
