package opchain

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// attributesGas is the gas limit of the attributes deposit on real chains.
const attributesGas = 1_000_000

// L1Info is what the L1-attributes deposit of a block tells about the L1 chain, and the
// fee parameters that it puts in force.
type L1Info struct {
	Number    uint64
	Time      uint64
	BaseFee   *big.Int
	BlobFee   *big.Int
	Hash      common.Hash
	BatcherID common.Hash

	BaseFeeScalar        uint32 // L1 fee: millionths of the L1 base fee, per byte
	BlobFeeScalar        uint32 // L1 fee: millionths of the L1 blob base fee, per byte
	OperatorFeeScalar    uint32 // operator fee: hundreds of wei per gas, since Jovian
	OperatorFeeConstant  uint64 // operator fee: wei per transaction
	DAFootprintGasScalar uint16 // gas per byte of estimated DA size
}

// DefaultL1Info returns plausible values, none of them zero: each kind of fee is charged.
func DefaultL1Info() *L1Info {
	return &L1Info{
		Number:               21_000_000,
		Time:                 DefaultTime,
		BaseFee:              big.NewInt(7_000_000_000),
		BlobFee:              big.NewInt(3_000_000),
		Hash:                 crypto.Keccak256Hash([]byte("L1 block")),
		BatcherID:            common.HexToHash("0x6887246668a3b87f54deb3b94ba47a6f63f32985"),
		BaseFeeScalar:        2_269,
		BlobFeeScalar:        1_055_762,
		OperatorFeeScalar:    3,
		OperatorFeeConstant:  1_000_000,
		DAFootprintGasScalar: 400,
	}
}

// slots returns the storage of L1Block that holds the values, as the contract packs it.
func (l1 *L1Info) slots() map[common.Hash]common.Hash {
	var time, scalars, operator common.Hash
	binary.BigEndian.PutUint64(time[16:], l1.Time)
	binary.BigEndian.PutUint64(time[24:], l1.Number)
	binary.BigEndian.PutUint32(scalars[16:], l1.BaseFeeScalar)
	binary.BigEndian.PutUint32(scalars[20:], l1.BlobFeeScalar)
	binary.BigEndian.PutUint16(operator[18:], l1.DAFootprintGasScalar)
	binary.BigEndian.PutUint32(operator[20:], l1.OperatorFeeScalar)
	binary.BigEndian.PutUint64(operator[24:], l1.OperatorFeeConstant)
	return map[common.Hash]common.Hash{
		{31: 0}:                     time,
		types.L1BaseFeeSlot:         common.BigToHash(l1.BaseFee),
		{31: 2}:                     l1.Hash,
		types.L1FeeScalarsSlot:      scalars,
		{31: 4}:                     l1.BatcherID,
		types.L1BlobBaseFeeSlot:     common.BigToHash(l1.BlobFee),
		types.OperatorFeeParamsSlot: operator,
	}
}

// calldata is the call setL1BlockValuesJovian of a block that is the seq-th of its epoch.
func (l1 *L1Info) calldata(seq uint64) []byte {
	data := append([]byte(nil), types.JovianL1AttributesSelector...)
	data = binary.BigEndian.AppendUint32(data, l1.BaseFeeScalar)
	data = binary.BigEndian.AppendUint32(data, l1.BlobFeeScalar)
	data = binary.BigEndian.AppendUint64(data, seq)
	data = binary.BigEndian.AppendUint64(data, l1.Time)
	data = binary.BigEndian.AppendUint64(data, l1.Number)
	data = append(data, common.BigToHash(l1.BaseFee).Bytes()...)
	data = append(data, common.BigToHash(l1.BlobFee).Bytes()...)
	data = append(data, l1.Hash[:]...)
	data = append(data, l1.BatcherID[:]...)
	data = binary.BigEndian.AppendUint32(data, l1.OperatorFeeScalar)
	data = binary.BigEndian.AppendUint64(data, l1.OperatorFeeConstant)
	return binary.BigEndian.AppendUint16(data, l1.DAFootprintGasScalar)
}

// AttributesDeposit returns the L1-attributes deposit of a block: its first transaction.
// seq is the number of the block within its L1 epoch, which tells blocks with the same
// L1 info apart.
func AttributesDeposit(l1 *L1Info, seq uint64) *types.Transaction {
	// The source hash of deposits of this kind (domain 1) is
	// keccak(domain, keccak(hash of the L1 block, sequence number)).
	var domain, number common.Hash
	domain[31] = 1
	binary.BigEndian.PutUint64(number[24:], seq)
	source := crypto.Keccak256Hash(domain[:], crypto.Keccak256(l1.Hash[:], number[:]))
	return types.NewTx(&types.DepositTx{
		SourceHash: source,
		From:       common.HexToAddress("0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001"),
		To:         &types.L1BlockAddr,
		Value:      new(big.Int),
		Gas:        attributesGas,
		Data:       l1.calldata(seq),
	})
}

// AttributesOptions choose what a block is built with. The zero value will do.
type AttributesOptions struct {
	Time         uint64         // of the block; 0: two seconds after its parent
	GasLimit     uint64         // 0: that of the parent
	FeeRecipient common.Address // zero: SequencerFeeVault
	L1           *L1Info        // nil: DefaultL1Info
	Forced       types.Transactions
	NoTxPool     bool
}

// Attributes returns the payload attributes of the block after parent, with the
// L1-attributes deposit and, after it, opts.Forced as its forced transactions.
func Attributes(parent *types.Header, opts AttributesOptions) (*engine.PayloadAttributes, error) {
	if opts.Time == 0 {
		opts.Time = parent.Time + 2
	}
	if opts.Time <= parent.Time {
		return nil, fmt.Errorf("block time %d is not after the parent's, %d", opts.Time, parent.Time)
	}
	if opts.GasLimit == 0 {
		opts.GasLimit = parent.GasLimit
	}
	if opts.FeeRecipient == (common.Address{}) {
		opts.FeeRecipient = SequencerFeeVault()
	}
	if opts.L1 == nil {
		opts.L1 = DefaultL1Info()
	}
	number := new(big.Int).Add(parent.Number, common.Big1)
	forced := append(types.Transactions{AttributesDeposit(opts.L1, number.Uint64())}, opts.Forced...)
	encoded := make([][]byte, len(forced))
	for i, tx := range forced {
		var err error
		if encoded[i], err = tx.MarshalBinary(); err != nil {
			return nil, fmt.Errorf("forced transaction %d: %w", i, err)
		}
	}
	beacon := crypto.Keccak256Hash([]byte("parent beacon block root"), number.Bytes())
	minBaseFee := uint64(DefaultMinBaseFee)
	return &engine.PayloadAttributes{
		Timestamp:             opts.Time,
		Random:                crypto.Keccak256Hash([]byte("randao"), number.Bytes()),
		SuggestedFeeRecipient: opts.FeeRecipient,
		Withdrawals:           []*types.Withdrawal{},
		BeaconRoot:            &beacon,
		Transactions:          encoded,
		NoTxPool:              opts.NoTxPool,
		GasLimit:              &opts.GasLimit,
		EIP1559Params:         eip1559.EncodeHolocene1559Params(EIP1559Denominator, EIP1559Elasticity),
		MinBaseFee:            &minBaseFee,
	}, nil
}
