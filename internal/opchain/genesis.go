package opchain

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/superchain"
)

const (
	// DefaultChainID is the chain id of local chains. No chain of the registry has it.
	DefaultChainID = 420_901_337

	// DefaultGasLimit is the gas limit of local chains' blocks.
	DefaultGasLimit = 60_000_000

	// DefaultTime is the time of the genesis, where it need not be close to the clock.
	DefaultTime = 1_760_000_000

	// DefaultMinBaseFee is the least base fee of a block, in wei.
	DefaultMinBaseFee = 1_000_000

	// EIP1559Denominator and EIP1559Elasticity are the base fee parameters.
	EIP1559Denominator = 250
	EIP1559Elasticity  = 6

	// registryChain is the chain of the registry whose genesis is taken:
	// rehearsal-0-bn-0, the newest, with Isthmus active at its genesis.
	registryChain = 420120009
)

// ErrRegistry is returned (wrapped) when op-geth's superchain registry does not have the
// genesis that local chains are made from, as after an upgrade of op-geth.
var ErrRegistry = errors.New("unexpected genesis in the superchain registry")

//go:embed contracts/L1BlockJovian.hex
var l1BlockJovianHex string

// Addresses at which the fees of a block end up, besides its fee recipient.
func BaseFeeVault() common.Address     { return params.OptimismBaseFeeRecipient }
func L1FeeVault() common.Address       { return params.OptimismL1FeeRecipient }
func OperatorFeeVault() common.Address { return params.OptimismOperatorFeeRecipient }

// SequencerFeeVault is the address that sequencers name as the fee recipient.
func SequencerFeeVault() common.Address {
	return common.HexToAddress("0x4200000000000000000000000000000000000011")
}

// l1BlockJovianAddress is where the genesis has the contract L1BlockJovian.
func l1BlockJovianAddress() common.Address {
	return common.HexToAddress("0xc0d3c0d3c0d3c0d3c0d3c0d3c0d3c0d3c0d31015")
}

// implementationSlot is the slot in which an EIP-1967 proxy has its implementation.
func implementationSlot() common.Hash {
	return common.HexToHash("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc")
}

// Options choose what differs from chain to chain. The zero value is a usable chain
// without funded accounts.
type Options struct {
	ChainID  uint64             // 0: DefaultChainID
	Time     uint64             // of the genesis, Unix seconds; 0: DefaultTime
	GasLimit uint64             // of the genesis; 0: DefaultGasLimit
	BaseFee  *big.Int           // of the genesis, wei; nil: 1 gwei
	Alloc    types.GenesisAlloc // accounts and contracts besides the predeploys
	L1       *L1Info            // fee parameters in force at the genesis; nil: DefaultL1Info
	Compact  bool               // leave out the proxies without an implementation: starts twenty times faster
}

// Config returns the configuration of a local chain: all forks up to Jovian at genesis.
func Config(chainID uint64) *params.ChainConfig {
	var (
		block  = big.NewInt(0)
		time   = uint64(0)
		canyon = uint64(EIP1559Denominator)
	)
	return &params.ChainConfig{
		ChainID:                 new(big.Int).SetUint64(chainID),
		HomesteadBlock:          block,
		EIP150Block:             block,
		EIP155Block:             block,
		EIP158Block:             block,
		ByzantiumBlock:          block,
		ConstantinopleBlock:     block,
		PetersburgBlock:         block,
		IstanbulBlock:           block,
		MuirGlacierBlock:        block,
		BerlinBlock:             block,
		LondonBlock:             block,
		ArrowGlacierBlock:       block,
		GrayGlacierBlock:        block,
		MergeNetsplitBlock:      block,
		TerminalTotalDifficulty: block,
		ShanghaiTime:            &time,
		CancunTime:              &time,
		PragueTime:              &time,
		BedrockBlock:            block,
		RegolithTime:            &time,
		CanyonTime:              &time,
		EcotoneTime:             &time,
		FjordTime:               &time,
		GraniteTime:             &time,
		HoloceneTime:            &time,
		IsthmusTime:             &time,
		JovianTime:              &time,
		Optimism: &params.OptimismConfig{
			EIP1559Elasticity:        EIP1559Elasticity,
			EIP1559Denominator:       50,
			EIP1559DenominatorCanyon: &canyon,
		},
	}
}

// Template is what the geneses of local chains have in common. Loading it takes a third
// of a second; tests that make many chains share one.
type Template struct {
	alloc types.GenesisAlloc // as the registry has it; not to be changed
}

// LoadTemplate reads the registry's genesis. It fails with ErrRegistry.
func LoadTemplate() (*Template, error) {
	genesis, err := loadRegistry(registryChain)
	if err != nil {
		return nil, fmt.Errorf("%w: chain %d: %w", ErrRegistry, registryChain, err)
	}
	return &Template{alloc: genesis.Alloc}, nil
}

// Genesis is Template.Genesis for a caller who needs one genesis only.
func Genesis(opts Options) (*core.Genesis, error) {
	template, err := LoadTemplate()
	if err != nil {
		return nil, err
	}
	return template.Genesis(opts)
}

// Genesis returns the genesis of a local chain. It fails where Options.Alloc would
// overwrite a predeploy, where the chain id belongs to a chain of the registry (geth
// would replace the configuration), or with ErrRegistry.
func (t *Template) Genesis(opts Options) (*core.Genesis, error) {
	if opts.ChainID == 0 {
		opts.ChainID = DefaultChainID
	}
	if opts.Time == 0 {
		opts.Time = DefaultTime
	}
	if opts.GasLimit == 0 {
		opts.GasLimit = DefaultGasLimit
	}
	if opts.BaseFee == nil {
		opts.BaseFee = big.NewInt(params.GWei)
	}
	if opts.L1 == nil {
		opts.L1 = DefaultL1Info()
	}
	if _, err := superchain.GetChain(opts.ChainID); err == nil {
		return nil, fmt.Errorf("chain id %d is that of a chain of the superchain registry, allowed are others", opts.ChainID)
	}
	alloc := make(types.GenesisAlloc, len(t.alloc)+len(opts.Alloc))
	for addr, account := range t.alloc {
		if !opts.Compact || !isUnusedProxy(addr, account) {
			alloc[addr] = account
		}
	}
	if err := installL1Block(alloc, opts.L1); err != nil {
		return nil, err
	}
	for addr, account := range opts.Alloc {
		if _, ok := alloc[addr]; ok {
			return nil, fmt.Errorf("account %s of the extra allocation is one of the real genesis", addr)
		}
		alloc[addr] = account
	}
	return &core.Genesis{
		Config:     Config(opts.ChainID),
		Timestamp:  opts.Time,
		ExtraData:  eip1559.EncodeJovianExtraData(EIP1559Denominator, EIP1559Elasticity, DefaultMinBaseFee),
		GasLimit:   opts.GasLimit,
		Difficulty: new(big.Int),
		Coinbase:   SequencerFeeVault(),
		BaseFee:    new(big.Int).Set(opts.BaseFee),
		Alloc:      alloc,
	}, nil
}

// isUnusedProxy reports whether an account is one of the two thousand proxies that wait
// for a predeploy to come.
func isUnusedProxy(addr common.Address, account types.Account) bool {
	_, implemented := account.Storage[implementationSlot()]
	return bytes.HasPrefix(addr[:], []byte{0x42, 0, 0}) && len(account.Storage) > 0 && !implemented
}

// installL1Block puts L1BlockJovian behind the L1Block proxy of alloc and sets the slots
// that the attributes deposit of a block would set.
func installL1Block(alloc types.GenesisAlloc, l1 *L1Info) error {
	code, err := hex.DecodeString(strings.TrimSpace(l1BlockJovianHex))
	if err != nil {
		return fmt.Errorf("embedded bytecode of L1BlockJovian: %w", err)
	}
	proxy, ok := alloc[types.L1BlockAddr]
	if !ok {
		return fmt.Errorf("%w: no L1Block at %s", ErrRegistry, types.L1BlockAddr)
	}
	isthmus := common.HexToAddress("0xc0D3C0d3C0d3C0D3c0d3C0d3c0D3C0d3c0d30015") // as in L1BlockJovian.sol
	if proxy.Storage[implementationSlot()] != common.BytesToHash(isthmus[:]) || len(alloc[isthmus].Code) == 0 {
		return fmt.Errorf("%w: L1Block is not implemented at %s", ErrRegistry, isthmus)
	}
	alloc[l1BlockJovianAddress()] = types.Account{Code: code, Balance: new(big.Int), Nonce: 1}

	storage := maps.Clone(proxy.Storage)
	storage[implementationSlot()] = common.BytesToHash(l1BlockJovianAddress().Bytes())
	maps.Copy(storage, l1.slots())
	proxy.Storage = storage
	alloc[types.L1BlockAddr] = proxy
	return nil
}
