package buildtest

import (
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// Rules are the chain rules that scenarios run under, by name.
func Rules(name string) (*params.ChainConfig, error) {
	op, l1 := *params.OptimismTestConfig, *params.MergedTestChainConfig
	l1.OsakaTime = nil
	switch name {
	case "Jovian":
		return &op, nil
	case "Isthmus":
		op.JovianTime = nil
		return &op, nil
	case "Prague":
		return &l1, nil
	case "Cancun":
		l1.PragueTime = nil
		return &l1, nil
	case "Shanghai":
		l1.PragueTime, l1.CancunTime = nil, nil
		return &l1, nil
	case "London":
		l1.PragueTime, l1.CancunTime, l1.ShanghaiTime = nil, nil, nil
		return &l1, nil
	case "Byzantium":
		return &params.ChainConfig{
			ChainID:                 l1.ChainID,
			HomesteadBlock:          new(big.Int),
			EIP150Block:             new(big.Int),
			EIP155Block:             new(big.Int),
			EIP158Block:             new(big.Int),
			ByzantiumBlock:          new(big.Int),
			TerminalTotalDifficulty: new(big.Int),
		}, nil
	}
	return nil, fmt.Errorf("rules %q: allowed are Jovian, Isthmus, Prague, Cancun, Shanghai, London, Byzantium", name)
}

func optimismExtra(config *params.ChainConfig, time uint64) []byte {
	if !config.IsHolocene(time) {
		return nil
	}
	return eip1559.EncodeOptimismExtraData(config, time, 250, 6, new(uint64))
}

// Predeploys of the OP Stack that scenarios touch.
var (
	sequencerVault = common.HexToAddress("0x4200000000000000000000000000000000000011")
	messagePasser  = params.OptimismL2ToL1MessagePasser
	depositor      = common.HexToAddress("0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001")
)

// World builds a scenario: it keeps the keys, the next nonces and the randomness. The
// first error is kept until Scenario is called, so that cases read as lists of actions.
type World struct {
	s     Scenario
	rng   *rand.Rand
	keys  map[common.Address]*ecdsa.PrivateKey
	nonce map[common.Address]uint64
	sign  types.Signer
	count int // accounts made
	err   error
}

// NewWorld starts a scenario under the named rules. The seed decides all that is random.
func NewWorld(name, rules string, seed int64) *World {
	config, err := Rules(rules)
	w := &World{
		s: Scenario{
			Name:     name,
			Seed:     seed,
			Config:   config,
			Alloc:    make(types.GenesisAlloc),
			GasLimit: 60_000_000,
			Coinbase: common.HexToAddress("0xc01bba5e00000000000000000000000000000001"),
		},
		rng:   rand.New(rand.NewSource(seed)),
		keys:  make(map[common.Address]*ecdsa.PrivateKey),
		nonce: make(map[common.Address]uint64),
		err:   err,
	}
	if err != nil {
		return w
	}
	w.sign = types.MakeSigner(config, common.Big1, genesisTime+blockTime)
	if w.Optimism() {
		w.s.Coinbase = sequencerVault
		w.l1Block()
	}
	return w
}

// Optimism reports whether the scenario runs under OP Stack rules.
func (w *World) Optimism() bool { return w.s.Config.Optimism != nil }

// After reports whether the fork that brought an op code is active.
func (w *World) after(fork string) bool {
	one, time := common.Big1, uint64(genesisTime+blockTime)
	switch fork {
	case "Istanbul":
		return w.s.Config.IsIstanbul(one)
	case "Constantinople":
		return w.s.Config.IsConstantinople(one)
	case "London":
		return w.s.Config.IsLondon(one)
	case "Cancun":
		return w.s.Config.IsCancun(one, time)
	case "Prague":
		return w.s.Config.IsPrague(one, time)
	}
	return false
}

// l1Block puts a small L1Block contract in place and the deposit that sets the L1
// attributes at the head of the block. The contract stores what op-geth's fee functions
// read, where they read it, and returns the L1 base fee when called without data.
func (w *World) l1Block() {
	w.Contract(types.L1BlockAddr, `
		calldatasize iszero @get jumpi
		4 calldataload 128 2 exp swap1 div 3 sstore
		36 calldataload 1 sstore
		68 calldataload 7 sstore
		164 calldataload 160 2 exp swap1 div 8 sstore
		stop
		get: 1 sload 0 mstore 32 0 return`)
	data := make([]byte, types.JovianL1AttributesLen)
	copy(data, types.JovianL1AttributesSelector)
	binary.BigEndian.PutUint32(data[4:], 5227)     // base fee scalar
	binary.BigEndian.PutUint32(data[8:], 1014213)  // blob base fee scalar
	binary.BigEndian.PutUint64(data[36+24:], 9e9)  // L1 base fee
	binary.BigEndian.PutUint64(data[68+24:], 1e9)  // L1 blob base fee
	binary.BigEndian.PutUint32(data[164:], 300000) // operator fee scalar
	binary.BigEndian.PutUint64(data[168:], 77)     // operator fee constant
	binary.BigEndian.PutUint16(data[176:], 400)    // DA footprint gas scalar
	if !w.s.Config.IsJovian(genesisTime) {
		copy(data, types.IsthmusL1AttributesSelector)
		data = data[:types.IsthmusL1AttributesLen]
	}
	w.Deposit(types.DepositTx{From: depositor, To: &types.L1BlockAddr, Gas: 1_000_000, Data: data})
}

// SetDAFootprintScalar sets the gas that a byte of estimated DA size counts for (Jovian).
func (w *World) SetDAFootprintScalar(scalar uint16) {
	attributes := w.s.Forced[0]
	data := attributes.Data()
	binary.BigEndian.PutUint16(data[176:], scalar)
	to := *attributes.To()
	w.s.Forced[0] = types.NewTx(&types.DepositTx{From: depositor, To: &to, Gas: attributes.Gas(), Value: new(big.Int), Data: data})
}

// Deposit adds a forced transaction.
func (w *World) Deposit(d types.DepositTx) {
	d.SourceHash = crypto.Keccak256Hash([]byte{byte(len(w.s.Forced))})
	if d.Value == nil {
		d.Value = new(big.Int)
	}
	w.s.Forced = append(w.s.Forced, types.NewTx(&d))
}

// Account makes an account that can send, with a balance in wei.
func (w *World) Account(balance *big.Int) common.Address {
	w.count++
	key, err := crypto.ToECDSA(crypto.Keccak256(fmt.Appendf(nil, "account %d of %s", w.count, w.s.Name)))
	if err != nil {
		w.fail(err)
		return common.Address{}
	}
	addr := crypto.PubkeyToAddress(key.PublicKey)
	w.keys[addr] = key
	if balance.Sign() > 0 {
		w.s.Alloc[addr] = types.Account{Balance: balance}
	}
	return addr
}

// Rich makes an account with plenty.
func (w *World) Rich() common.Address { return w.Account(ether(1000)) }

// Accounts makes n rich accounts.
func (w *World) Accounts(n int) []common.Address {
	out := make([]common.Address, n)
	for i := range out {
		out[i] = w.Rich()
	}
	return out
}

// Fresh returns an address that does not exist.
func (w *World) Fresh() common.Address {
	w.count++
	return common.BytesToAddress(crypto.Keccak256(fmt.Appendf(nil, "fresh %d", w.count)))
}

// Contract puts code at addr.
func (w *World) Contract(addr common.Address, src string) common.Address {
	code, err := Asm(src)
	w.fail(err)
	acc := w.s.Alloc[addr]
	acc.Code, acc.Nonce = code, 1
	if acc.Balance == nil {
		acc.Balance = new(big.Int)
	}
	w.s.Alloc[addr] = acc
	return addr
}

// Slot sets a storage slot of the state the block starts from.
func (w *World) Slot(addr common.Address, key common.Hash, value *big.Int) {
	acc := w.s.Alloc[addr]
	if acc.Storage == nil {
		acc.Storage = make(map[common.Hash]common.Hash)
	}
	acc.Storage[key] = common.BigToHash(value)
	w.s.Alloc[addr] = acc
}

// Fund sets a balance of the state the block starts from.
func (w *World) Fund(addr common.Address, balance *big.Int) {
	acc := w.s.Alloc[addr]
	acc.Balance = balance
	w.s.Alloc[addr] = acc
}

// Send describes a transaction; zero fields get defaults.
type Send struct {
	From   common.Address
	To     *common.Address // nil: creation
	Value  *big.Int
	Data   []byte
	Gas    uint64   // 0: 200,000
	Tip    *big.Int // nil: random, 1 to 100 gwei
	FeeCap *big.Int // nil: plenty
	Skip   int      // added to the nonce that is next: positive leaves a gap, negative repeats
	Access types.AccessList
	Auths  []types.SetCodeAuthorization
	Blobs  int
	Legacy bool

	Conditional *types.TransactionConditional
	Evicted     bool
}

// Send adds a transaction to the pool.
func (w *World) Send(t Send) {
	if w.err != nil {
		return
	}
	if t.Tip == nil {
		t.Tip = new(big.Int).Mul(gwei, big.NewInt(1+w.rng.Int63n(100)))
	}
	if t.FeeCap == nil {
		t.FeeCap = new(big.Int).Add(t.Tip, new(big.Int).Mul(gwei, big.NewInt(10)))
	}
	if t.Gas == 0 {
		t.Gas = 200_000
	}
	if t.Value == nil {
		t.Value = new(big.Int)
	}
	nonce := uint64(int64(w.nonce[t.From]) + int64(t.Skip))
	if t.Skip >= 0 {
		w.nonce[t.From] = nonce + 1
	}
	tx, err := types.SignNewTx(w.keys[t.From], w.sign, w.data(t, nonce))
	w.fail(err)
	w.s.Candidates = append(w.s.Candidates, Candidate{From: t.From, Tx: tx, Conditional: t.Conditional, Evicted: t.Evicted})
}

func (w *World) data(t Send, nonce uint64) types.TxData {
	var (
		chain = uint256.MustFromBig(w.s.Config.ChainID)
		u     = uint256.MustFromBig
	)
	switch {
	case t.Auths != nil:
		return &types.SetCodeTx{ChainID: chain, Nonce: nonce, GasTipCap: u(t.Tip), GasFeeCap: u(t.FeeCap), Gas: t.Gas,
			To: *t.To, Value: u(t.Value), Data: t.Data, AccessList: t.Access, AuthList: t.Auths}
	case t.Blobs > 0:
		sidecar := fakeSidecar(t.Blobs)
		return &types.BlobTx{ChainID: chain, Nonce: nonce, GasTipCap: u(t.Tip), GasFeeCap: u(t.FeeCap), Gas: t.Gas, To: *t.To,
			Value: u(t.Value), Data: t.Data, AccessList: t.Access,
			BlobFeeCap: uint256.NewInt(params.GWei), BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar}
	case t.Legacy || !w.after("London"):
		return &types.LegacyTx{Nonce: nonce, GasPrice: t.FeeCap, Gas: t.Gas, To: t.To, Value: t.Value, Data: t.Data}
	default:
		return &types.DynamicFeeTx{ChainID: w.s.Config.ChainID, Nonce: nonce, GasTipCap: t.Tip, GasFeeCap: t.FeeCap, Gas: t.Gas,
			To: t.To, Value: t.Value, Data: t.Data, AccessList: t.Access}
	}
}

// fakeSidecar has the right shape; block building looks at nothing else.
func fakeSidecar(blobs int) *types.BlobTxSidecar {
	return types.NewBlobTxSidecar(types.BlobSidecarVersion0,
		make([]kzg4844.Blob, blobs), make([]kzg4844.Commitment, blobs), make([]kzg4844.Proof, blobs))
}

// Authorize returns authority's consent to run the code of target, at its next nonce plus
// skip.
func (w *World) Authorize(authority, target common.Address, skip int) types.SetCodeAuthorization {
	nonce := uint64(int64(w.nonce[authority]) + int64(skip))
	auth, err := types.SignSetCode(w.keys[authority], types.SetCodeAuthorization{
		ChainID: *uint256.MustFromBig(w.s.Config.ChainID),
		Address: target,
		Nonce:   nonce,
	})
	w.fail(err)
	return auth
}

// Used tells the world that an authorization used up a nonce of the account.
func (w *World) Used(authority common.Address) { w.nonce[authority]++ }

// Scenario returns the finished scenario, which must include at least minIncluded
// transactions of the pool in the sequential block and leave out at least minLeftOut.
func (w *World) Scenario(minIncluded, minLeftOut int) (*Scenario, error) {
	w.s.MinIncluded, w.s.MinLeftOut = minIncluded, minLeftOut
	return &w.s, w.err
}

func (w *World) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func ether(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(params.Ether)) }

// words packs calldata.
func words(values ...any) []byte {
	var out []byte
	for _, v := range values {
		switch v := v.(type) {
		case common.Address:
			out = append(out, common.LeftPadBytes(v[:], 32)...)
		case common.Hash:
			out = append(out, v[:]...)
		case int:
			out = append(out, common.BigToHash(big.NewInt(int64(v))).Bytes()...)
		case *big.Int:
			out = append(out, common.BigToHash(v).Bytes()...)
		case []byte:
			out = append(out, v...)
		}
	}
	return out
}

// feeVaults are the recipients of OP Stack fees beside the tip's.
func feeVaults() []common.Address {
	return []common.Address{params.OptimismBaseFeeRecipient, params.OptimismL1FeeRecipient, params.OptimismOperatorFeeRecipient}
}
