package buildtest

import (
	"fmt"
	"math/big"
	"strings"
)

// String returns the plan as text for people.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "block of seed %d, %s rules, gas limit %d", p.Seed, p.Rules, p.GasLimit)
	if p.Coinbase != "" {
		fmt.Fprintf(&b, ", coinbase %s", p.Coinbase)
	}
	for _, limit := range []struct {
		name  string
		value uint64
	}{{"DA bytes a block", uint64(p.MaxDABlock)}, {"DA bytes a transaction", uint64(p.MaxDATx)}, {"bytes a block", p.MaxSize}, {"gas a DA byte", uint64(p.FootprintScalar)}} {
		if limit.value > 0 {
			fmt.Fprintf(&b, ", %d %s", limit.value, limit.name)
		}
	}
	if len(p.Prio) > 0 {
		fmt.Fprintf(&b, ", first %v", p.Prio)
	}
	b.WriteString("\nparent state:\n")
	for _, a := range p.Accounts {
		a.write(&b)
	}
	for _, d := range p.Deposits {
		fmt.Fprintf(&b, "deposit: %s to %s, mint %s, value %d, gas %d, data %v\n", d.From, d.To, amount(d.Mint), d.Value, d.Gas, d.Data)
	}
	b.WriteString("pool, in order of arrival:\n")
	for i := range p.Txs {
		fmt.Fprintf(&b, "  %d: %s\n", i, &p.Txs[i])
	}
	return b.String()
}

func (a *PlanAccount) write(b *strings.Builder) {
	addr, err := a.Who.Address()
	if err != nil {
		fmt.Fprintf(b, "  %v\n", err)
		return
	}
	fmt.Fprintf(b, "  %s (%s): %s", a.Who, addr, amount(a.Balance))
	if a.Nonce > 0 {
		fmt.Fprintf(b, ", nonce %d", a.Nonce)
	}
	if a.Delegate != "" {
		fmt.Fprintf(b, ", delegated to %s", a.Delegate)
	}
	for i, s := range a.Slots {
		if i == 0 {
			b.WriteString(", storage")
		}
		fmt.Fprintf(b, " %s=%d", s.Key, s.Value)
	}
	b.WriteByte('\n')
	for _, statement := range a.Program {
		fmt.Fprintf(b, "      %s\n", strings.Join(strings.Fields(statement), " "))
	}
}

// String returns the transaction as text for people.
func (t *PlanTx) String() string {
	var b strings.Builder
	to := string(t.To)
	if to == "" {
		to = "(creation)"
	}
	fmt.Fprintf(&b, "%s to %s, %s, gas %d, tip %s", t.From, to, amount(t.Value), t.Gas, amount(t.Tip))
	if t.FeeCap != nil {
		fmt.Fprintf(&b, ", fee cap %s", amount(t.FeeCap))
	}
	if t.Nonce != 0 {
		fmt.Fprintf(&b, ", nonce %+d", t.Nonce)
	}
	if len(t.Data) > 0 {
		fmt.Fprintf(&b, ", data %v", t.Data)
	}
	if t.Noise != nil {
		fmt.Fprintf(&b, ", %d random bytes", t.Noise.Bytes)
	}
	if t.Init != "" {
		kind := "deploys"
		if t.Bare {
			kind = "init code"
		}
		fmt.Fprintf(&b, ", %s { %s }", kind, strings.Join(strings.Fields(t.Init), " "))
	}
	if len(t.Warm) > 0 {
		fmt.Fprintf(&b, ", access list %v", t.Warm)
	}
	if t.Auths != nil {
		b.WriteString(", authorisations")
		for _, a := range *t.Auths {
			fmt.Fprintf(&b, " [%s to %s, nonce %+d]", a.Authority, a.Target, a.Nonce)
		}
	}
	if t.Blobs > 0 {
		fmt.Fprintf(&b, ", %d blobs", t.Blobs)
	}
	if c := t.Conditional; c != nil {
		fmt.Fprintf(&b, ", if slot %d of %s is %d", c.Slot, c.Account, c.Value)
	}
	for _, mark := range []struct {
		name string
		set  bool
	}{{"legacy", t.Legacy}, {"evicted", t.Evicted}, {"DA size unknown", t.UnknownDA}} {
		if mark.set {
			b.WriteString(", " + mark.name)
		}
	}
	return b.String()
}

// amount returns wei in the largest unit that leaves no fraction.
func amount(wei *big.Int) string {
	if wei == nil || wei.Sign() == 0 {
		return "0"
	}
	for _, unit := range []struct {
		name string
		wei  *big.Int
	}{{"ether", ether(1)}, {"gwei", gwei}} {
		if q, rest := new(big.Int).QuoRem(wei, unit.wei, new(big.Int)); rest.Sign() == 0 {
			return fmt.Sprintf("%v %s", q, unit.name)
		}
	}
	return fmt.Sprintf("%v wei", wei)
}
