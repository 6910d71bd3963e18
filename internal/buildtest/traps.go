package buildtest

import (
	"bytes"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// Trap makes a small block in which one thing is hard for a parallel builder. Comparing
// blocks says nothing if the hard thing does not happen, so each trap also states what
// the sequential block must show.
type Trap struct {
	Name  string
	Rules []string
	Make  func(w *TrapWorld)
}

// Sprung is a trap's scenario under one set of rules, with what its block must show.
type Sprung struct {
	*Scenario
	Orderly bool // no transaction needs to run twice, however the schedule goes
	Calm    bool // nor must any
	checks  []func(b *Built) error
}

// Check returns the first of the trap's statements that the block does not bear out.
func (s *Sprung) Check(b *Built) error {
	for _, check := range s.checks {
		if err := check(b); err != nil {
			return err
		}
	}
	return nil
}

// Spring makes the trap's scenario.
func (t Trap) Spring(rules string, seed int64) (*Sprung, error) {
	w := newTrapWorld("trap/"+t.Name+"/"+rules, rules, seed)
	if w.err != nil {
		return nil, w.err
	}
	t.Make(w)
	s, err := w.Scenario(0, 0)
	return &Sprung{Scenario: s, Orderly: w.orderly, Calm: w.calm || w.orderly, checks: w.checks}, err
}

// Traps returns all traps.
func Traps() []Trap {
	var all []Trap
	for _, part := range [][]Trap{feeTraps(), senderTraps(), existenceTraps(), destructTraps(), delegationTraps(), rollupTraps(), isolationTraps(), engineTraps()} {
		all = append(all, part...)
	}
	return all
}

// Rules that traps run under.
func sinceLondon() []string   { return []string{"Jovian", "Isthmus", "Prague", "Shanghai", "London"} }
func sinceShanghai() []string { return []string{"Jovian", "Isthmus", "Prague", "Shanghai"} }
func beforeCancun() []string  { return []string{"Shanghai", "London"} }
func sincePrague() []string   { return []string{"Jovian", "Isthmus", "Prague"} }

// TrapWorld is a World in which transactions run in the order of the calls that send
// them, unless a tip says otherwise, and that keeps what the block must show.
type TrapWorld struct {
	*World
	checks  []func(b *Built) error
	rules   string
	tip     int
	orderly bool
	calm    bool
}

func newTrapWorld(name, rules string, seed int64) *TrapWorld {
	return &TrapWorld{World: NewWorld(name, rules, seed), rules: rules, tip: 600}
}

// sent is a transaction that was sent to the pool.
type sent struct {
	w    *TrapWorld
	hash common.Hash
	what string // for messages
}

// send sends a transaction after those sent before.
func (w *TrapWorld) send(t Send) sent {
	if t.Tip == nil {
		w.tip--
		t.Tip = gweis(w.tip)
	}
	w.Send(t)
	if w.err != nil {
		return sent{w: w}
	}
	n := len(w.s.Candidates) - 1
	tx := w.s.Candidates[n].Tx
	return sent{w, tx.Hash(), fmt.Sprintf("candidate %d (%s)", n, describe(tx))}
}

// ok sends a transaction that must be in the block and succeed.
func (w *TrapWorld) ok(t Send) sent { return w.send(t).status(types.ReceiptStatusSuccessful) }

// fails sends a transaction that must be in the block and fail.
func (w *TrapWorld) fails(t Send) sent { return w.send(t).status(types.ReceiptStatusFailed) }

// out sends a transaction that must be left out.
func (w *TrapWorld) out(t Send) sent {
	s := w.send(t)
	w.check(func(b *Built) error {
		if _, err := s.receipt(b); err == nil {
			return fmt.Errorf("%s is in the block", s.what)
		}
		return nil
	})
	return s
}

// after reports whether the rules of a fork are in force.
func (w *TrapWorld) after(fork string) bool {
	if fork == "Shanghai" {
		return w.s.Config.IsShanghai(common.Big1, genesisTime+blockTime)
	}
	return w.World.after(fork)
}

// call is a call of a contract by somebody who does nothing else.
func (w *TrapWorld) call(target common.Address, args ...any) Send {
	return Send{From: w.Rich(), To: &target, Data: words(args...)}
}

// pay is a plain transfer.
func pay(from, to common.Address, value *big.Int) Send {
	return Send{From: from, To: &to, Value: value, Gas: params.TxGas}
}

// bystander sends a transfer that has nothing to do with anything but fees.
func (w *TrapWorld) bystander() sent { return w.ok(pay(w.Rich(), w.Fresh(), ether(1))) }

// check adds a statement about the sequential block.
func (w *TrapWorld) check(holds func(b *Built) error) { w.checks = append(w.checks, holds) }

func (s sent) receipt(b *Built) (*types.Receipt, error) {
	for _, r := range b.Receipts {
		if r.TxHash == s.hash {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%s is not in the block", s.what)
}

func (s sent) status(want uint64) sent {
	s.w.check(func(b *Built) error {
		r, err := s.receipt(b)
		if err == nil && r.Status != want {
			err = fmt.Errorf("%s: status %d, want %d", s.what, r.Status, want)
		}
		return err
	})
	return s
}

// logged returns the data of the transaction's last log.
func (s sent) logged(b *Built) ([]byte, error) {
	r, err := s.receipt(b)
	if err != nil {
		return nil, err
	}
	if len(r.Logs) == 0 {
		return nil, fmt.Errorf("%s has no log", s.what)
	}
	return r.Logs[len(r.Logs)-1].Data, nil
}

// word returns the i-th word of the transaction's last log.
func (s sent) word(b *Built, i int) (*big.Int, error) {
	data, err := s.logged(b)
	if err == nil && len(data) < 32*(i+1) {
		err = fmt.Errorf("%s logs %x, too short", s.what, data)
	}
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(data[32*i : 32*i+32]), nil
}

// logs states what the transaction's last log holds.
func (s sent) logs(want ...any) sent {
	s.w.check(func(b *Built) error {
		data, err := s.logged(b)
		if err == nil && !bytes.Equal(data, words(want...)) {
			err = fmt.Errorf("%s logs %x, want %x", s.what, data, words(want...))
		}
		return err
	})
	return s
}

// silent states that the transaction has no log.
func (s sent) silent() {
	s.w.check(func(b *Built) error {
		r, err := s.receipt(b)
		if err == nil && len(r.Logs) > 0 {
			err = fmt.Errorf("%s has %d logs, want none", s.what, len(r.Logs))
		}
		return err
	})
}

// logsNot states what the transaction's last log does not hold.
func (s sent) logsNot(unwanted ...any) {
	s.w.check(func(b *Built) error {
		data, err := s.logged(b)
		if err == nil && bytes.Equal(data, words(unwanted...)) {
			err = fmt.Errorf("%s logs %x", s.what, data)
		}
		return err
	})
}

// moreGas states how much more gas the transaction uses than another.
func (s sent) moreGas(than sent, by int64) {
	s.w.check(func(b *Built) error {
		r, err := s.receipt(b)
		if err != nil {
			return err
		}
		o, err := than.receipt(b)
		if err == nil && int64(r.GasUsed)-int64(o.GasUsed) != by {
			err = fmt.Errorf("%s uses %d gas and %s uses %d, want %d more", s.what, r.GasUsed, than.what, o.GasUsed, by)
		}
		return err
	})
}

// rising states that what the transactions log rises from each to the next.
func (w *TrapWorld) rising(all ...sent) {
	w.check(func(b *Built) error {
		last := big.NewInt(-1)
		for _, s := range all {
			now, err := s.word(b, 0)
			if err != nil {
				return err
			}
			if now.Cmp(last) <= 0 {
				return fmt.Errorf("%s logs %v, no more than the %v before", s.what, now, last)
			}
			last = now
		}
		return nil
	})
}

// Statements about the state that the block ends with.

func (w *TrapWorld) balance(addr common.Address, want *big.Int) {
	w.check(func(b *Built) error {
		if got := b.State.GetBalance(addr); got.ToBig().Cmp(want) != 0 {
			return fmt.Errorf("balance of %s is %v, want %v", addr, got, want)
		}
		return nil
	})
}

func (w *TrapWorld) nonceIs(addr common.Address, want uint64) {
	w.check(func(b *Built) error {
		if got := b.State.GetNonce(addr); got != want {
			return fmt.Errorf("nonce of %s is %d, want %d", addr, got, want)
		}
		return nil
	})
}

func (w *TrapWorld) slotIs(addr common.Address, key common.Hash, want int) {
	w.check(func(b *Built) error {
		if got := b.State.GetState(addr, key); got != common.BigToHash(big.NewInt(int64(want))) {
			return fmt.Errorf("slot %s of %s is %s, want %d", key, addr, got, want)
		}
		return nil
	})
}

func (w *TrapWorld) codeIs(addr common.Address, want []byte) {
	w.check(func(b *Built) error {
		if got := b.State.GetCode(addr); !bytes.Equal(got, want) {
			return fmt.Errorf("code of %s is %x, want %x", addr, got, want)
		}
		return nil
	})
}

func (w *TrapWorld) exists(addr common.Address, want bool) {
	w.check(func(b *Built) error {
		if got := b.State.Exist(addr); got != want {
			return fmt.Errorf("account %s: exists is %t, want %t", addr, got, want)
		}
		return nil
	})
}

// Parts of the state that the block starts from.

// lingering puts an account that is empty, but there, into the parent state.
func (w *TrapWorld) lingering(addr common.Address) common.Address {
	w.s.Alloc[addr] = types.Account{Balance: new(big.Int)}
	return addr
}

// delegated puts an account delegated to the target into the parent state.
func (w *TrapWorld) delegated(addr, target common.Address) common.Address {
	acc := w.s.Alloc[addr]
	acc.Code, acc.Nonce = types.AddressToDelegation(target), 1
	if acc.Balance == nil {
		acc.Balance = new(big.Int)
	}
	w.s.Alloc[addr] = acc
	return addr
}

// free has the L1 attributes make all rollup fees zero.
func (w *TrapWorld) free() {
	attributes := w.s.Forced[0]
	data, to := attributes.Data(), *attributes.To()
	for _, field := range [][2]int{{4, 12}, {36, 100}, {164, 176}} { // scalars, base fees, operator fee
		clear(data[field[0]:field[1]])
	}
	w.s.Forced[0] = types.NewTx(&types.DepositTx{From: depositor, To: &to, Gas: attributes.Gas(), Value: new(big.Int), Data: data})
}

// recipients are all accounts that fees go to.
func (w *TrapWorld) recipients() []common.Address {
	all := []common.Address{w.s.Coinbase}
	if w.Optimism() {
		for _, vault := range feeVaults() {
			if vault != w.s.Coinbase {
				all = append(all, vault)
			}
		}
	}
	return all
}

// tips returns the tips that the pool's transactions among the first n of the block paid.
func tips(b *Built, n int) *big.Int {
	sum := new(big.Int)
	for i, tx := range b.Block.Transactions()[:n] {
		if i < b.Forced {
			continue
		}
		tip := tx.EffectiveGasTipValue(b.Block.BaseFee())
		sum.Add(sum, tip.Mul(tip, new(big.Int).SetUint64(b.Receipts[i].GasUsed)))
	}
	return sum
}

// slotKey returns a small slot key.
func slotKey(i int) common.Hash { return common.BigToHash(big.NewInt(int64(i))) }

// auths authorises targets for one authority at its next nonces, and notes them as used.
func (w *TrapWorld) auths(authority common.Address, targets ...common.Address) []types.SetCodeAuthorization {
	var out []types.SetCodeAuthorization
	for _, target := range targets {
		out = append(out, w.Authorize(authority, target, 0))
		w.Used(authority)
	}
	return out
}

// delegate sends a transaction that carries authorisations and does nothing else.
func (w *TrapWorld) delegate(authority common.Address, targets ...common.Address) sent {
	nowhere := w.Fresh()
	return w.ok(Send{From: w.Rich(), To: &nowhere, Auths: w.auths(authority, targets...), Gas: 100_000 + 50_000*uint64(len(targets))})
}

// authorize signs an authorisation with any nonce and chain.
func (w *TrapWorld) authorize(authority, target common.Address, nonce uint64, chain *big.Int) types.SetCodeAuthorization {
	auth, err := types.SignSetCode(w.keys[authority], types.SetCodeAuthorization{ChainID: *uint256.MustFromBig(chain), Address: target, Nonce: nonce})
	w.fail(err)
	return auth
}
