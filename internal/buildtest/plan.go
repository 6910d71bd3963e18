package buildtest

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
)

// Plan describes a block: the parent state, the pool and the limits, as plain data. Unlike
// a Scenario, in which everything is signed and hashed, parts of it can be taken out and
// the rest still makes a block. That is what a failure is shrunk on, written down as, and
// replayed from.
type Plan struct {
	Seed     int64         `json:"seed"`
	Rules    string        `json:"rules"`
	GasLimit uint64        `json:"gasLimit"`
	Coinbase Ref           `json:"coinbase,omitempty"` // "": that of the rules
	Accounts []PlanAccount `json:"accounts"`           // parent state
	Deposits []PlanDeposit `json:"deposits,omitempty"` // beside that of the L1 attributes
	Txs      []PlanTx      `json:"txs"`                // the pool, in order of arrival
	Prio     []Ref         `json:"prio,omitempty"`     // senders served first

	// Limits, 0: none, or the default.
	MaxDABlock      int64  `json:"maxDABlock,omitempty"`
	MaxDATx         int64  `json:"maxDATx,omitempty"`
	MaxSize         uint64 `json:"maxSize,omitempty"`
	FootprintScalar uint16 `json:"footprintScalar,omitempty"`
}

// PlanAccount is an account of the parent state.
type PlanAccount struct {
	Who      Ref        `json:"who"`
	Balance  *big.Int   `json:"balance,omitempty"` // wei
	Nonce    uint64     `json:"nonce,omitempty"`
	Program  []string   `json:"program,omitempty"`  // its code, statement by statement
	Delegate Ref        `json:"delegate,omitempty"` // or the code is a delegation (EIP-7702)
	Slots    []PlanSlot `json:"slots,omitempty"`
}

// PlanSlot is a storage slot. The key is a number, or an account: its address.
type PlanSlot struct {
	Key   string `json:"key"`
	Value int64  `json:"value"`
}

// PlanDeposit is a forced transaction.
type PlanDeposit struct {
	From  Ref      `json:"from"`
	To    Ref      `json:"to"`
	Mint  *big.Int `json:"mint,omitempty"`
	Value int64    `json:"value,omitempty"`
	Gas   uint64   `json:"gas"`
	Data  []string `json:"data,omitempty"`
}

// PlanTx is a transaction of the pool.
type PlanTx struct {
	From   Ref      `json:"from"`
	To     Ref      `json:"to,omitempty"` // "": creation
	Nonce  int      `json:"nonce,omitempty"`
	Value  *big.Int `json:"value,omitempty"`
	Gas    uint64   `json:"gas"`
	Tip    *big.Int `json:"tip"`
	FeeCap *big.Int `json:"feeCap,omitempty"` // nil: 10 gwei above the tip

	Data  []string    `json:"data,omitempty"`  // words, numbers or accounts
	Noise *PlanNoise  `json:"noise,omitempty"` // random bytes after them
	Init  string      `json:"init,omitempty"`  // assembly: of a creation, in place of the data
	Bare  bool        `json:"bare,omitempty"`  // Init is the init code itself, not what it deploys
	Warm  []Ref       `json:"warm,omitempty"`  // access list, with some slots each
	Auths *[]PlanAuth `json:"auths,omitempty"` // nil: no EIP-7702 transaction
	Blobs int         `json:"blobs,omitempty"`

	Legacy      bool           `json:"legacy,omitempty"`
	Evicted     bool           `json:"evicted,omitempty"`
	UnknownDA   bool           `json:"unknownDA,omitempty"`
	Conditional *PlanCondition `json:"conditional,omitempty"`
}

// PlanNoise is data that does not compress.
type PlanNoise struct {
	Seed  int64 `json:"seed"`
	Bytes int   `json:"bytes"`
}

// PlanAuth is an EIP-7702 authorisation.
type PlanAuth struct {
	Authority Ref  `json:"authority"`
	Target    Ref  `json:"target"`
	Nonce     int  `json:"nonce,omitempty"` // added to the one that is next
	Counted   bool `json:"counted,omitempty"`
}

// PlanCondition is a precondition on a storage slot.
type PlanCondition struct {
	Account Ref   `json:"account"`
	Slot    int64 `json:"slot"`
	Value   int64 `json:"value"`
}

// Ref names an account of a plan: "s3" is a sender, "c5" a contract, "x2" somebody that
// does not exist, "v1" a fee vault, "p4" a precompile, "d3.1" what sender 3 creates at
// nonce 1, "passer" the message passer. The address follows from the name alone.
type Ref string

// errRef is returned (wrapped, with the name) for what names no account.
var errRef = errors.New("no account has this name: allowed are s, c, x, v or p and a number, d and two numbers, and passer")

// Address returns the account's address.
func (r Ref) Address() (common.Address, error) {
	fail := fmt.Errorf("%q: %w", string(r), errRef)
	if r == "passer" {
		return messagePasser, nil
	}
	if len(r) < 2 {
		return common.Address{}, fail
	}
	if r[0] == 'd' {
		by, nonce, ok := strings.Cut(string(r[1:]), ".")
		n, err := strconv.ParseUint(nonce, 10, 32)
		if !ok || err != nil {
			return common.Address{}, fail
		}
		from, err := Ref("s" + by).Address()
		return crypto.CreateAddress(from, n), err
	}
	n, err := strconv.ParseUint(string(r[1:]), 10, 16)
	if err != nil {
		return common.Address{}, fail
	}
	switch r[0] {
	case 's':
		key, err := r.key()
		if err != nil {
			return common.Address{}, err
		}
		return crypto.PubkeyToAddress(key.PublicKey), nil
	case 'c', 'x':
		return addr("plan "+string(r[0]), int(n)), nil
	case 'v':
		if vaults := append(feeVaults(), sequencerVault); int(n) < len(vaults) {
			return vaults[n], nil
		}
	case 'p':
		return common.BytesToAddress([]byte{byte(n >> 8), byte(n)}), nil
	}
	return common.Address{}, fail
}

// key returns the key of a sender.
func (r Ref) key() (*ecdsa.PrivateKey, error) {
	return crypto.ToECDSA(crypto.Keccak256([]byte("plan " + string(r))))
}

// Scenario makes the block that the plan describes.
func (p *Plan) Scenario() (*Scenario, error) {
	c := planner{World: NewWorld(fmt.Sprintf("random/%s/%d", p.Rules, p.Seed), p.Rules, p.Seed)}
	if c.err != nil {
		return nil, c.err
	}
	c.s.GasLimit, c.s.MaxSize = p.GasLimit, p.MaxSize
	if p.Coinbase != "" {
		c.s.Coinbase = c.address(p.Coinbase)
	}
	if p.MaxDABlock > 0 {
		c.s.MaxDABlockSize = big.NewInt(p.MaxDABlock)
	}
	if p.MaxDATx > 0 {
		c.s.MaxDATxSize = big.NewInt(p.MaxDATx)
	}
	if p.FootprintScalar > 0 && c.s.Config.IsJovian(genesisTime) {
		c.SetDAFootprintScalar(p.FootprintScalar)
	}
	for _, who := range p.Prio {
		c.s.Prio = append(c.s.Prio, c.address(who))
	}
	for _, a := range p.Accounts {
		c.account(a)
	}
	for _, d := range p.Deposits {
		to := c.address(d.To)
		c.Deposit(types.DepositTx{From: c.address(d.From), To: &to, Mint: d.Mint, Value: big.NewInt(d.Value), Gas: d.Gas, Data: c.words(d.Data)})
	}
	for i := range p.Txs {
		c.send(&p.Txs[i])
	}
	return c.World.Scenario(0, 0)
}

// planner makes a scenario of a plan.
type planner struct{ *World }

func (c planner) address(r Ref) common.Address {
	addr, err := r.Address()
	c.fail(err)
	return addr
}

// sender returns the address of a sender, whose key is known from then on.
func (c planner) sender(r Ref) common.Address {
	addr := c.address(r)
	if c.keys[addr] == nil {
		key, err := r.key()
		c.fail(err)
		c.keys[addr] = key
	}
	return addr
}

func (c planner) account(a PlanAccount) {
	addr := c.address(a.Who)
	acc := types.Account{Balance: a.Balance, Nonce: a.Nonce}
	if acc.Balance == nil {
		acc.Balance = new(big.Int)
	}
	c.nonce[addr] = a.Nonce
	switch {
	case len(a.Program) > 0:
		code, err := c.assemble(strings.Join(a.Program, " ") + " stop")
		c.fail(err)
		acc.Code = code
	case a.Delegate != "":
		acc.Code = types.AddressToDelegation(c.address(a.Delegate))
	}
	for _, s := range a.Slots {
		if acc.Storage == nil {
			acc.Storage = make(map[common.Hash]common.Hash)
		}
		acc.Storage[common.BytesToHash(c.words([]string{s.Key}))] = common.BigToHash(big.NewInt(s.Value))
	}
	c.s.Alloc[addr] = acc
}

func (c planner) words(list []string) []byte {
	var out []byte
	for _, word := range list {
		if n, ok := new(big.Int).SetString(word, 0); ok {
			out = append(out, words(n)...)
		} else {
			out = append(out, words(c.address(Ref(word)))...)
		}
	}
	return out
}

var (
	planRef  = regexp.MustCompile(`\$([a-z]+[0-9.]*)`)
	planInit = regexp.MustCompile(`(init|deploy)\(([^()]*)\)`)
)

// assemble assembles what Asm does, with $name for an account's address, and init(…) and
// deploy(…) for a word that holds the code inside the brackets, or init code that deploys
// it, at its left end. Zeroes follow it, which stop.
func (c planner) assemble(src string) ([]byte, error) {
	src = planRef.ReplaceAllStringFunc(src, func(s string) string { return c.address(Ref(s[1:])).Hex() })
	var failed error
	src = planInit.ReplaceAllStringFunc(src, func(s string) string {
		m := planInit.FindStringSubmatch(s)
		code, err := Asm(m[2])
		if m[1] == "deploy" {
			code = deployShort(code)
		}
		if err == nil && len(code) > 32 {
			err = fmt.Errorf("%s: init code of %d bytes, allowed are 32", s, len(code))
		}
		failed = errors.Join(failed, err)
		return hexutil.Encode(common.RightPadBytes(code, 32))
	})
	if failed != nil {
		return nil, failed
	}
	return Asm(src)
}

// deployShort returns init code that deploys a runtime code of up to 22 bytes.
func deployShort(runtime []byte) []byte {
	n := byte(len(runtime))
	if n == 0 {
		return nil
	}
	head := append([]byte{byte(vm.PUSH1) + n - 1}, runtime...)
	return append(head, byte(vm.PUSH1), 0, byte(vm.MSTORE), byte(vm.PUSH1), n, byte(vm.PUSH1), 32-n, byte(vm.RETURN))
}

func (c planner) send(t *PlanTx) {
	s := Send{From: c.sender(t.From), Value: t.Value, Gas: t.Gas, Tip: t.Tip, FeeCap: t.FeeCap, Skip: t.Nonce,
		Blobs: t.Blobs, Legacy: t.Legacy, Evicted: t.Evicted, Data: c.words(t.Data)}
	if s.Skip < 0 && uint64(-s.Skip) > c.nonce[s.From] {
		s.Skip = 0
	}
	switch {
	case t.To != "":
		to := c.address(t.To)
		s.To = &to
	case t.Auths != nil || t.Blobs > 0:
		c.fail(fmt.Errorf("transaction of %s with authorisations or blobs: it needs a recipient", t.From))
		return
	}
	if t.Init != "" {
		code, err := c.assemble(t.Init)
		c.fail(err)
		if s.Data = code; !t.Bare {
			s.Data = Deploy(code)
		}
	}
	if t.Noise != nil {
		noise := make([]byte, t.Noise.Bytes)
		rand.New(rand.NewSource(t.Noise.Seed)).Read(noise)
		s.Data = append(s.Data, noise...)
	}
	for _, who := range t.Warm {
		s.Access = append(s.Access, types.AccessTuple{Address: c.address(who), StorageKeys: []common.Hash{slotKey(0), slotKey(2)}})
	}
	if t.Auths != nil {
		s.Auths = []types.SetCodeAuthorization{}
		for _, a := range *t.Auths {
			skip := a.Nonce
			authority := c.sender(a.Authority)
			if skip < 0 && uint64(-skip) > c.nonce[authority] {
				skip = 0
			}
			s.Auths = append(s.Auths, c.Authorize(authority, c.address(a.Target), skip))
		}
	}
	if t.Conditional != nil {
		s.Conditional = &types.TransactionConditional{KnownAccounts: types.KnownAccounts{c.address(t.Conditional.Account): {
			StorageSlots: map[common.Hash]common.Hash{slotKey(int(t.Conditional.Slot)): slotKey(int(t.Conditional.Value))},
		}}}
	}
	c.Send(s)
	if n := len(c.s.Candidates); n > 0 {
		c.s.Candidates[n-1].UnknownDA = t.UnknownDA
	}
	if t.Auths != nil {
		for _, a := range *t.Auths {
			if a.Counted {
				c.Used(c.address(a.Authority))
			}
		}
	}
}

// ReadPlan reads what Plan.Write has written.
func ReadPlan(file string) (*Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := new(Plan)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// Write writes the plan to a file.
func (p *Plan) Write(file string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
