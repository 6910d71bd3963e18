package stack

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"os"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
)

// registryL1Block is the implementation of L1Block in the registry's genesis, of Isthmus.
func registryL1Block() common.Address {
	return common.HexToAddress("0xc0D3C0d3C0d3C0D3c0d3C0d3c0D3C0d3c0d30015")
}

// implementationSlot is where an EIP-1967 proxy has its implementation.
func implementationSlot() common.Hash {
	return common.HexToHash("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc")
}

// operatorFeeSlot is where L1Block has the operator fee and, since Jovian, the DA
// footprint's gas scalar.
func operatorFeeSlot() common.Hash { return types.OperatorFeeParamsSlot }

// isthmusGenesis returns a genesis of Isthmus whose chain becomes one of Jovian at a given
// time. Other than opchain's it has the registry's own L1Block: op-node upgrades it.
func isthmusGenesis(c *Config, time, jovian uint64) (*core.Genesis, error) {
	genesis, err := opchain.Genesis(opchain.Options{
		Time:     time,
		GasLimit: c.GasLimit,
		Alloc:    c.Alloc,
	})
	if err != nil {
		return nil, err
	}
	proxy := genesis.Alloc[types.L1BlockAddr]
	ours := common.BytesToAddress(proxy.Storage[implementationSlot()].Bytes())
	if len(genesis.Alloc[registryL1Block()].Code) == 0 {
		return nil, fmt.Errorf("%w: no L1Block at %s", opchain.ErrRegistry, registryL1Block())
	}
	delete(genesis.Alloc, ours)
	proxy.Storage[implementationSlot()] = common.BytesToHash(registryL1Block().Bytes())
	slot := proxy.Storage[operatorFeeSlot()]
	binary.BigEndian.PutUint16(slot[18:], 0) // there is no DA footprint before Jovian
	proxy.Storage[operatorFeeSlot()] = slot
	genesis.Alloc[types.L1BlockAddr] = proxy

	genesis.Config.JovianTime = &jovian
	genesis.ExtraData = eip1559.EncodeHoloceneExtraData(opchain.EIP1559Denominator, opchain.EIP1559Elasticity)
	return genesis, nil
}

// blockID names a block in the rollup configuration.
type blockID struct {
	Hash   common.Hash `json:"hash"`
	Number uint64      `json:"number"`
}

// systemConfig are the parameters that a chain's SystemConfig contract on L1 holds.
type systemConfig struct {
	BatcherAddr          common.Address `json:"batcherAddr"`
	Overhead             common.Hash    `json:"overhead"`
	Scalar               common.Hash    `json:"scalar"`
	GasLimit             uint64         `json:"gasLimit"`
	EIP1559Params        hexutil.Bytes  `json:"eip1559Params"`
	OperatorFeeParams    common.Hash    `json:"operatorFeeParams"`
	MinBaseFee           uint64         `json:"minBaseFee"`
	DAFootprintGasScalar uint16         `json:"daFootprintGasScalar"`
}

// rollupConfig is op-node's configuration of the chain: the part of it that a chain of
// Jovian needs.
type rollupConfig struct {
	Genesis struct {
		L1           blockID      `json:"l1"`
		L2           blockID      `json:"l2"`
		L2Time       uint64       `json:"l2_time"`
		SystemConfig systemConfig `json:"system_config"`
	} `json:"genesis"`
	BlockTime         uint64                 `json:"block_time"`
	MaxSequencerDrift uint64                 `json:"max_sequencer_drift"`
	SeqWindowSize     uint64                 `json:"seq_window_size"`
	ChannelTimeout    uint64                 `json:"channel_timeout"`
	L1ChainID         *big.Int               `json:"l1_chain_id"`
	L2ChainID         *big.Int               `json:"l2_chain_id"`
	RegolithTime      *uint64                `json:"regolith_time"`
	CanyonTime        *uint64                `json:"canyon_time"`
	DeltaTime         *uint64                `json:"delta_time"`
	EcotoneTime       *uint64                `json:"ecotone_time"`
	FjordTime         *uint64                `json:"fjord_time"`
	GraniteTime       *uint64                `json:"granite_time"`
	HoloceneTime      *uint64                `json:"holocene_time"`
	IsthmusTime       *uint64                `json:"isthmus_time"`
	JovianTime        *uint64                `json:"jovian_time"`
	BatchInbox        common.Address         `json:"batch_inbox_address"`
	DepositContract   common.Address         `json:"deposit_contract_address"`
	SystemConfig      common.Address         `json:"l1_system_config_address"`
	ChainOpConfig     *params.OptimismConfig `json:"chain_op_config"`
}

// newRollupConfig returns the configuration of a chain that starts with genesis at an L1
// block. Its contracts on L1 do not exist: nobody deposits, and nothing changes.
func newRollupConfig(c *Config, origin *types.Header, genesis *core.Genesis) *rollupConfig {
	fees := opchain.DefaultL1Info()
	var scalar, operator common.Hash
	scalar[0] = 1 // the version that has a scalar for blobs
	binary.BigEndian.PutUint32(scalar[24:], fees.BlobFeeScalar)
	binary.BigEndian.PutUint32(scalar[28:], fees.BaseFeeScalar)
	binary.BigEndian.PutUint32(operator[20:], fees.OperatorFeeScalar)
	binary.BigEndian.PutUint64(operator[24:], fees.OperatorFeeConstant)

	config := genesis.Config
	r := &rollupConfig{
		BlockTime:         uint64(c.BlockTime.Seconds()),
		MaxSequencerDrift: 1800,
		SeqWindowSize:     3600,
		ChannelTimeout:    300,
		L1ChainID:         params.AllDevChainProtocolChanges.ChainID,
		L2ChainID:         config.ChainID,
		RegolithTime:      config.RegolithTime,
		CanyonTime:        config.CanyonTime,
		DeltaTime:         config.EcotoneTime, // a fork of derivation only: op-geth has no time for it
		EcotoneTime:       config.EcotoneTime,
		FjordTime:         config.FjordTime,
		GraniteTime:       config.GraniteTime,
		HoloceneTime:      config.HoloceneTime,
		IsthmusTime:       config.IsthmusTime,
		JovianTime:        config.JovianTime,
		BatchInbox:        common.HexToAddress("0xff00000000000000000000000000000420901337"),
		DepositContract:   common.HexToAddress("0xde00000000000000000000000000000420901337"),
		SystemConfig:      common.HexToAddress("0x5c00000000000000000000000000000420901337"),
		ChainOpConfig:     config.Optimism,
	}
	r.Genesis.L1 = blockID{origin.Hash(), origin.Number.Uint64()}
	r.Genesis.L2 = blockID{genesis.ToBlock().Hash(), 0}
	r.Genesis.L2Time = genesis.Timestamp
	r.Genesis.SystemConfig = systemConfig{
		BatcherAddr:       batcherAddress(),
		Scalar:            scalar,
		GasLimit:          genesis.GasLimit,
		EIP1559Params:     eip1559.EncodeHolocene1559Params(opchain.EIP1559Denominator, opchain.EIP1559Elasticity),
		OperatorFeeParams: operator,
	}
	return r
}

// writeJSON writes a configuration.
func writeJSON(file string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", file, err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing a configuration: %w", err)
	}
	return nil
}
