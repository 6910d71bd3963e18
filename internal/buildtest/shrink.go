package buildtest

import (
	"context"
	"math/big"
)

// Shrink takes out of a plan that fails all that it finds it can while the rest still
// fails: transactions, senders, accounts, statements, slots, limits, and the parts of
// transactions. It ends when nothing more can go or ctx is done; what it then has fails.
//
// A failure that depends on the schedule does not show every time: fails should try more
// than once.
func Shrink(ctx context.Context, p *Plan, fails func(*Plan) bool) *Plan {
	s := &shrinker{ctx: ctx, fails: fails, best: *p}
	for s.again = true; s.again && ctx.Err() == nil; {
		s.again = false
		s.bySender()
		s.txs()
		s.settings()
		s.accounts()
		s.programs()
		s.parts()
	}
	return &s.best
}

// shrinker holds the smallest plan that fails so far. Plans share what they have in
// common: nothing in them is changed, only replaced.
type shrinker struct {
	ctx   context.Context
	fails func(*Plan) bool
	best  Plan
	again bool // something went in this round
}

// try keeps the change if the plan still fails with it.
func (s *shrinker) try(change func(p *Plan)) bool {
	if s.ctx.Err() != nil {
		return false
	}
	p := s.best
	change(&p)
	if !s.fails(&p) {
		return false
	}
	s.best, s.again = p, true
	return true
}

// reduce takes as much out of a list as keep, which is shown what would be left, allows:
// first large parts, then smaller ones.
func reduce[T any](list []T, keep func(left []T) bool) {
	for size := len(list); size > 0; size /= 2 {
		for from := 0; from < len(list); {
			to := min(from+size, len(list))
			left := append(append([]T(nil), list[:from]...), list[to:]...)
			if keep(left) {
				list = left
			} else {
				from = to
			}
		}
	}
}

// bySender takes out all transactions of a sender, or of several.
func (s *shrinker) bySender() {
	var senders []Ref
	seen := make(map[Ref]bool)
	for i := range s.best.Txs {
		if from := s.best.Txs[i].From; !seen[from] {
			seen[from] = true
			senders = append(senders, from)
		}
	}
	reduce(senders, func(left []Ref) bool {
		stay := make(map[Ref]bool)
		for _, who := range left {
			stay[who] = true
		}
		return s.try(func(p *Plan) {
			txs := p.Txs
			p.Txs = nil
			for _, t := range txs {
				if stay[t.From] {
					p.Txs = append(p.Txs, t)
				}
			}
		})
	})
}

func (s *shrinker) txs() {
	reduce(s.best.Txs, func(left []PlanTx) bool { return s.try(func(p *Plan) { p.Txs = left }) })
}

func (s *shrinker) settings() {
	reduce(s.best.Deposits, func(left []PlanDeposit) bool { return s.try(func(p *Plan) { p.Deposits = left }) })
	reduce(s.best.Prio, func(left []Ref) bool { return s.try(func(p *Plan) { p.Prio = left }) })
	for _, o := range []struct {
		set    bool
		change func(p *Plan)
	}{
		{s.best.MaxDABlock > 0, func(p *Plan) { p.MaxDABlock = 0 }},
		{s.best.MaxDATx > 0, func(p *Plan) { p.MaxDATx = 0 }},
		{s.best.MaxSize > 0, func(p *Plan) { p.MaxSize = 0 }},
		{s.best.FootprintScalar > 0, func(p *Plan) { p.FootprintScalar = 0 }},
		{s.best.GasLimit != roomyGasLimit, func(p *Plan) { p.GasLimit = roomyGasLimit }},
		{s.best.Coinbase != "", func(p *Plan) { p.Coinbase = "" }},
	} {
		if o.set {
			s.try(o.change)
		}
	}
}

func (s *shrinker) accounts() {
	reduce(s.best.Accounts, func(left []PlanAccount) bool { return s.try(func(p *Plan) { p.Accounts = left }) })
}

// programs takes statements, slots and the rest out of accounts.
func (s *shrinker) programs() {
	for i := range s.best.Accounts {
		change := func(f func(a *PlanAccount)) bool {
			return s.try(func(p *Plan) {
				p.Accounts = append([]PlanAccount(nil), p.Accounts...)
				f(&p.Accounts[i])
			})
		}
		a := s.best.Accounts[i]
		reduce(a.Program, func(left []string) bool { return change(func(a *PlanAccount) { a.Program = left }) })
		reduce(a.Slots, func(left []PlanSlot) bool { return change(func(a *PlanAccount) { a.Slots = left }) })
		if a.Nonce > 0 {
			change(func(a *PlanAccount) { a.Nonce = 0 })
		}
		if a.Delegate != "" {
			change(func(a *PlanAccount) { a.Delegate = "" })
		}
		if len(a.Program) > 0 && a.Balance != nil {
			change(func(a *PlanAccount) { a.Balance = nil })
		}
	}
}

// parts takes what is not needed out of the transactions.
func (s *shrinker) parts() {
	for i := range s.best.Txs {
		change := func(f func(t *PlanTx)) bool {
			return s.try(func(p *Plan) {
				p.Txs = append([]PlanTx(nil), p.Txs...)
				f(&p.Txs[i])
			})
		}
		t := s.best.Txs[i]
		for _, o := range []struct {
			set bool
			f   func(t *PlanTx)
		}{
			{t.Conditional != nil, func(t *PlanTx) { t.Conditional = nil }},
			{t.Noise != nil, func(t *PlanTx) { t.Noise = nil }},
			{len(t.Data) > 0, func(t *PlanTx) { t.Data = nil }},
			{len(t.Warm) > 0, func(t *PlanTx) { t.Warm = nil }},
			{t.Auths != nil, func(t *PlanTx) { t.Auths = nil }},
			{t.Blobs > 0, func(t *PlanTx) { t.Blobs = 0 }},
			{t.Value != nil && t.Value.Sign() > 0, func(t *PlanTx) { t.Value = new(big.Int) }},
			{t.FeeCap != nil, func(t *PlanTx) { t.FeeCap = nil }},
			{t.Nonce != 0, func(t *PlanTx) { t.Nonce = 0 }},
			{t.Legacy, func(t *PlanTx) { t.Legacy = false }},
			{t.Evicted, func(t *PlanTx) { t.Evicted = false }},
			{t.UnknownDA, func(t *PlanTx) { t.UnknownDA = false }},
		} {
			if o.set {
				change(o.f)
			}
		}
		if auths := s.best.Txs[i].Auths; auths != nil {
			reduce(*auths, func(left []PlanAuth) bool {
				left = append([]PlanAuth{}, left...) // an empty list is written down as one, no list as none
				return change(func(t *PlanTx) { t.Auths = &left })
			})
		}
	}
}
