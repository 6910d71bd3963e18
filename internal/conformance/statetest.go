package conformance

import (
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/keccak"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

// stateTest is one entry of a GeneralStateTests file: a template of transactions and, by
// fork, what each of them leads to. Only what this runner uses is decoded.
type stateTest struct {
	Pre  types.GenesisAlloc     `json:"pre"`
	Post map[string][]postState `json:"post"`
	Env  struct {
		Coinbase      common.UnprefixedAddress `json:"currentCoinbase"`
		Number        math.HexOrDecimal64      `json:"currentNumber"`
		Timestamp     math.HexOrDecimal64      `json:"currentTimestamp"`
		GasLimit      math.HexOrDecimal64      `json:"currentGasLimit"`
		Difficulty    *math.HexOrDecimal256    `json:"currentDifficulty"`
		Random        *math.HexOrDecimal256    `json:"currentRandom"`
		BaseFee       *math.HexOrDecimal256    `json:"currentBaseFee"`
		ExcessBlobGas *math.HexOrDecimal64     `json:"currentExcessBlobGas"`
	} `json:"env"`
	Tx template `json:"transaction"`
}

// postState is a transaction made of the template, and what it leads to.
type postState struct {
	Hash      common.UnprefixedHash `json:"hash"`
	Logs      common.UnprefixedHash `json:"logs"`
	Exception string                `json:"expectException"`
	TxBytes   hexutil.Bytes         `json:"txbytes"`
	Indexes   struct{ Data, Gas, Value int }
}

// template is the "transaction" of a state test. Quantities that tests overflow on purpose
// are kept as text until one of them is used.
type template struct {
	Type        string
	Nonce       math.HexOrDecimal64   `json:"nonce"`
	To          string                `json:"to"`
	Data        []string              `json:"data"`
	GasLimit    []string              `json:"gasLimit"`
	Value       []string              `json:"value"`
	GasPrice    *math.HexOrDecimal256 `json:"gasPrice"`
	FeeCap      *math.HexOrDecimal256 `json:"maxFeePerGas"`
	TipCap      *math.HexOrDecimal256 `json:"maxPriorityFeePerGas"`
	BlobFeeCap  *math.HexOrDecimal256 `json:"maxFeePerBlobGas"`
	BlobHashes  []common.Hash         `json:"blobVersionedHashes"`
	AccessLists []*types.AccessList   `json:"accessLists"`
	SecretKey   hexutil.Bytes         `json:"secretKey"`
	Auths       *[]struct {
		ChainID *math.HexOrDecimal256 `json:"chainId"`
		Address common.Address        `json:"address"`
		Nonce   math.HexOrDecimal64   `json:"nonce"`
		V       math.HexOrDecimal64   `json:"v"`
		R       *math.HexOrDecimal256 `json:"r"`
		S       *math.HexOrDecimal256 `json:"s"`
	} `json:"authorizationList"`
}

// errNotExpressible says that no transaction can be encoded that has these fields.
var errNotExpressible = errors.New("no such transaction can be encoded")

// decodeStateTests returns the state tests of a JSON file by name. A file of anything else
// has none; one that is no JSON is an error, for it may be the half of one.
func decodeStateTests(data []byte) (map[string]*stateTest, error) {
	var entries map[string]json.RawMessage
	if !json.Valid(data) {
		return nil, fmt.Errorf("not JSON: %w", json.Unmarshal(data, &entries))
	}
	if json.Unmarshal(data, &entries) != nil {
		return nil, nil
	}
	tests := make(map[string]*stateTest)
	for name, raw := range entries {
		var keys struct{ Env, Pre, Post, Transaction json.RawMessage }
		if json.Unmarshal(raw, &keys) != nil || keys.Env == nil || keys.Pre == nil || keys.Post == nil || keys.Transaction == nil {
			continue
		}
		t := new(stateTest)
		if err := json.Unmarshal(raw, t); err != nil {
			return nil, fmt.Errorf("state test %s: %w", name, err)
		}
		tests[name] = t
	}
	return tests, nil
}

// key returns the sender's key.
func (t *stateTest) key() (*ecdsa.PrivateKey, error) {
	if len(t.Tx.SecretKey) == 0 {
		return nil, errors.New("the test has no secret key to sign with")
	}
	return crypto.ToECDSA(common.LeftPadBytes(t.Tx.SecretKey, 32))
}

// transaction returns the signed transaction of the case: the one that the test gives
// encoded, or the one that its fields make.
func (t *stateTest) transaction(post *postState, signer types.Signer) (*types.Transaction, error) {
	if len(post.TxBytes) > 0 {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(post.TxBytes); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotExpressible, err)
		}
		return withSidecar(tx), nil
	}
	key, err := t.key()
	if err != nil {
		return nil, err
	}
	return t.signed(post, signer, key, uint64(t.Tx.Nonce))
}

// signed makes the case's transaction from its fields, with another sender and nonce.
func (t *stateTest) signed(post *postState, signer types.Signer, key *ecdsa.PrivateKey, nonce uint64) (*types.Transaction, error) {
	data, err := t.fields(post, signer.ChainID(), nonce)
	if err != nil {
		return nil, err
	}
	tx, err := types.SignNewTx(key, signer, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotExpressible, err)
	}
	return withSidecar(tx), nil
}

func (t *stateTest) fields(post *postState, chainID *big.Int, nonce uint64) (types.TxData, error) {
	if chainID == nil {
		chainID = common.Big1
	}
	i := post.Indexes
	if min(i.Data, i.Gas, i.Value) < 0 || i.Data >= len(t.Tx.Data) || i.Gas >= len(t.Tx.GasLimit) || i.Value >= len(t.Tx.Value) {
		return nil, fmt.Errorf("indexes %+v out of range", i)
	}
	input, err := hex.DecodeString(strings.TrimPrefix(t.Tx.Data[i.Data], "0x"))
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	gas, ok := math.ParseUint64(t.Tx.GasLimit[i.Gas])
	if !ok {
		return nil, fmt.Errorf("%w: gas limit %q", errNotExpressible, t.Tx.GasLimit[i.Gas])
	}
	value := new(big.Int)
	if text := t.Tx.Value[i.Value]; text != "0x" {
		if value, ok = math.ParseBig256(text); !ok {
			return nil, fmt.Errorf("%w: value %q", errNotExpressible, text)
		}
	}
	var to *common.Address
	if t.Tx.To != "" {
		addr := common.HexToAddress(t.Tx.To)
		to = &addr
	}
	var access types.AccessList
	if i.Data < len(t.Tx.AccessLists) && t.Tx.AccessLists[i.Data] != nil {
		access = *t.Tx.AccessLists[i.Data]
	}
	price, feeCap, tip := (*big.Int)(t.Tx.GasPrice), (*big.Int)(t.Tx.FeeCap), (*big.Int)(t.Tx.TipCap)
	if feeCap != nil && tip == nil {
		tip = feeCap
	}
	chain := uint256.MustFromBig(chainID)
	switch {
	case t.Tx.BlobHashes != nil || t.Tx.BlobFeeCap != nil:
		if to == nil {
			return nil, fmt.Errorf("%w: a creation with blobs", errNotExpressible)
		}
		return &types.BlobTx{ChainID: chain, Nonce: nonce, GasTipCap: unsigned(tip), GasFeeCap: unsigned(feeCap), Gas: gas, To: *to,
			Value: unsigned(value), Data: input, AccessList: access, BlobFeeCap: unsigned((*big.Int)(t.Tx.BlobFeeCap)), BlobHashes: t.Tx.BlobHashes}, nil
	case t.Tx.Auths != nil:
		if to == nil {
			return nil, fmt.Errorf("%w: a creation with authorisations", errNotExpressible)
		}
		var auths []types.SetCodeAuthorization
		for _, a := range *t.Tx.Auths {
			auths = append(auths, types.SetCodeAuthorization{ChainID: *unsigned((*big.Int)(a.ChainID)), Address: a.Address, Nonce: uint64(a.Nonce),
				V: uint8(a.V), R: *unsigned((*big.Int)(a.R)), S: *unsigned((*big.Int)(a.S))})
		}
		return &types.SetCodeTx{ChainID: chain, Nonce: nonce, GasTipCap: unsigned(tip), GasFeeCap: unsigned(feeCap), Gas: gas, To: *to,
			Value: unsigned(value), Data: input, AccessList: access, AuthList: auths}, nil
	case feeCap != nil:
		return &types.DynamicFeeTx{ChainID: chainID, Nonce: nonce, GasTipCap: tip, GasFeeCap: feeCap, Gas: gas, To: to, Value: value, Data: input, AccessList: access}, nil
	case price == nil:
		return nil, fmt.Errorf("%w: no gas price", errNotExpressible)
	case t.Tx.AccessLists != nil && i.Data < len(t.Tx.AccessLists) && t.Tx.AccessLists[i.Data] != nil:
		return &types.AccessListTx{ChainID: chainID, Nonce: nonce, GasPrice: price, Gas: gas, To: to, Value: value, Data: input, AccessList: access}, nil
	default:
		return &types.LegacyTx{Nonce: nonce, GasPrice: price, Gas: gas, To: to, Value: value, Data: input}, nil
	}
}

func unsigned(v *big.Int) *uint256.Int {
	if v == nil {
		return new(uint256.Int)
	}
	return clamp(v)
}

// withSidecar gives a blob transaction what the builder asks of one. What is in the blobs
// is not looked at.
func withSidecar(tx *types.Transaction) *types.Transaction {
	if tx.Type() != types.BlobTxType {
		return tx
	}
	n := len(tx.BlobHashes())
	return tx.WithBlobTxSidecar(types.NewBlobTxSidecar(types.BlobSidecarVersion0,
		make([]kzg4844.Blob, n), make([]kzg4844.Commitment, n), make([]kzg4844.Proof, n)))
}

// header returns the header of the block that the test describes.
func (t *stateTest) header(config *params.ChainConfig) *types.Header {
	h := &types.Header{
		Coinbase:   common.Address(t.Env.Coinbase),
		Number:     new(big.Int).SetUint64(uint64(t.Env.Number)),
		Time:       uint64(t.Env.Timestamp),
		GasLimit:   uint64(t.Env.GasLimit),
		Difficulty: new(big.Int),
	}
	if h.GasLimit == 0 {
		h.GasLimit = params.GenesisGasLimit
	}
	if n := uint64(t.Env.Number); n > 0 {
		h.ParentHash = testHash(n - 1)
	}
	if t.Env.Difficulty != nil {
		h.Difficulty.Set((*big.Int)(t.Env.Difficulty))
	}
	if config.IsLondon(h.Number) {
		h.BaseFee = big.NewInt(10) // what the tests mean when they say nothing
		if t.Env.BaseFee != nil {
			h.BaseFee = (*big.Int)(t.Env.BaseFee)
		}
		if t.Env.Random != nil {
			h.Difficulty = new(big.Int)
			h.MixDigest = common.BigToHash((*big.Int)(t.Env.Random))
		}
	}
	if config.IsCancun(h.Number, h.Time) {
		h.BlobGasUsed, h.ExcessBlobGas = new(uint64), new(uint64)
		if t.Env.ExcessBlobGas != nil {
			*h.ExcessBlobGas = uint64(*t.Env.ExcessBlobGas)
		}
	}
	return h
}

func rlpHash(logs []*types.Log) (h common.Hash, err error) {
	hasher := keccak.NewLegacyKeccak256()
	if err := rlp.Encode(hasher, logs); err != nil {
		return h, err
	}
	hasher.Sum(h[:0])
	return h, nil
}
