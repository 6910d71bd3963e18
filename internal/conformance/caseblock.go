package conformance

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/superchain"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// fixture is a real block and the part of the state that it touches.
type fixture struct {
	ChainID      uint64                 `json:"chainId"`
	Header       *types.Header          `json:"header"`
	Transactions []hexutil.Bytes        `json:"transactions"`
	Senders      []common.Address       `json:"senders"`
	Pre          types.GenesisAlloc     `json:"pre"`
	BlockHashes  map[string]common.Hash `json:"blockHashes"`
	Expected     struct {
		GasUsed      hexutil.Uint64 `json:"gasUsed"`
		ReceiptsRoot common.Hash    `json:"receiptsRoot"`
		LogsBloom    types.Bloom    `json:"logsBloom"`
	} `json:"expected"`
}

// decodeFixture returns the block of a JSON file, which may be compressed with gzip, nil if
// it holds something else.
func decodeFixture(data []byte) (*fixture, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		defer zr.Close()
		if data, err = io.ReadAll(zr); err != nil {
			return nil, err
		}
	}
	var keys struct{ Header, Transactions, Pre, Expected json.RawMessage }
	if !json.Valid(data) {
		return nil, fmt.Errorf("not JSON: %w", json.Unmarshal(data, &keys))
	}
	if json.Unmarshal(data, &keys) != nil || keys.Header == nil || keys.Transactions == nil || keys.Pre == nil || keys.Expected == nil {
		return nil, nil
	}
	f := new(fixture)
	if err := json.Unmarshal(data, f); err != nil {
		return nil, err
	}
	return f, nil
}

// blockFile runs a block fixture.
func (r *Runner) blockFile(name string, data []byte) error {
	f, err := decodeFixture(data)
	if err != nil {
		return err
	}
	if f == nil {
		return errOther
	}
	j, err := f.job()
	if errors.Is(err, errUnknownChain) {
		r.report.add(result{suite: suiteBlocks, fork: "?", name: name, skip: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	fork := forkName(j.config, f.Header)
	want, err := j.run(Sequential)
	if err != nil {
		r.report.add(result{suite: suiteBlocks, fork: fork, name: name, err: fmt.Errorf("sequentially: %w", err)})
		return nil
	}
	r.each(suiteBlocks, fork, name, func(workers int) (*outcome, error) {
		got, err := j.run(workers)
		if err != nil {
			return nil, err
		}
		if err := f.check(got); err != nil {
			return got, err
		}
		if err := got.same(want); err != nil || got.fallback != nil || workers == Sequential {
			return got, err
		}
		// And again, with the schedule disturbed.
		if got, err = j.disturbed(fmt.Sprint(name, workers)).run(workers); err != nil {
			return nil, fmt.Errorf("disturbed: %w", err)
		}
		if err := got.same(want); err != nil {
			return got, fmt.Errorf("disturbed: %w", err)
		}
		return got, nil
	})
	return nil
}

// errUnknownChain says that nobody knows the rules that a block was made under.
var errUnknownChain = errors.New("no rules are known for the chain")

// config returns the rules that the block was made under. A block that begins with a
// deposit is one of an OP Stack chain: from Isthmus on the deposit's data tell the fork,
// which chain it is makes no difference; before, the registry of chains has to know it.
func (f *fixture) config(txs []*types.Transaction) (*params.ChainConfig, error) {
	for _, known := range []*params.ChainConfig{params.MainnetChainConfig, params.SepoliaChainConfig, params.HoleskyChainConfig, params.HoodiChainConfig} {
		if known.ChainID.Uint64() == f.ChainID {
			return known, nil
		}
	}
	if len(txs) == 0 || !txs[0].IsDepositTx() {
		return nil, fmt.Errorf("%w %d, which is no OP Stack chain", errUnknownChain, f.ChainID)
	}
	config := *params.OptimismTestConfig
	config.ChainID = new(big.Int).SetUint64(f.ChainID)
	switch data := txs[0].Data(); {
	case bytes.HasPrefix(data, types.JovianL1AttributesSelector):
		return &config, nil
	case bytes.HasPrefix(data, types.IsthmusL1AttributesSelector):
		config.JovianTime = nil
		return &config, nil
	}
	entry, err := superchain.GetChain(f.ChainID)
	if err != nil {
		return nil, fmt.Errorf("%w %d before Isthmus", errUnknownChain, f.ChainID)
	}
	registered, err := entry.Config()
	if err != nil {
		return nil, err
	}
	return params.LoadOPStackChainConfig(registered)
}

// job makes the block's job.
func (f *fixture) job() (*job, error) {
	if f.Header == nil || f.Header.Number == nil || f.Header.Difficulty == nil {
		return nil, errors.New("its header has no number or no difficulty")
	}
	if len(f.Senders) != len(f.Transactions) {
		return nil, fmt.Errorf("%d senders of %d transactions", len(f.Senders), len(f.Transactions))
	}
	txs := make([]*types.Transaction, len(f.Transactions))
	for i, raw := range f.Transactions {
		txs[i] = new(types.Transaction)
		if err := txs[i].UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
	}
	config, err := f.config(txs)
	if err != nil {
		return nil, err
	}
	hashes := make(map[uint64]common.Hash)
	for number, hash := range f.BlockHashes {
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("blockHashes: %w", err)
		}
		hashes[n] = hash
	}
	header := types.CopyHeader(f.Header)
	header.GasUsed = 0
	if header.BlobGasUsed != nil {
		header.BlobGasUsed = new(uint64)
	}
	j := &job{
		config: config, header: header, chain: &chain{config, func(n uint64) common.Hash { return hashes[n] }},
		signer: types.MakeSigner(config, header.Number, header.Time),
	}
	var forced []*types.Transaction
	for i, tx := range txs {
		if tx.IsDepositTx() {
			forced = append(forced, tx)
			continue
		}
		if from, err := types.Sender(j.signer, tx); err != nil || from != f.Senders[i] {
			return nil, fmt.Errorf("transaction %d: sender %s, the fixture says %s (%v)", i, from, f.Senders[i], err)
		}
		j.txs, j.from = append(j.txs, withSidecar(tx)), append(j.from, f.Senders[i])
	}
	if config.IsJovian(header.Time) {
		if len(forced) == 0 {
			return nil, errors.New("a Jovian block must start with a deposit")
		}
		if j.da, err = types.ExtractDAFootprintGasScalar(forced[0].Data()); err != nil {
			return nil, err
		}
	}
	j.before = func(b *miner.Block) error {
		evm := vm.NewEVM(core.NewEVMBlockContext(b.Header, j.chain, &b.Coinbase, config, b.State), b.State, config, vm.Config{})
		if b.Header.ParentBeaconRoot != nil {
			core.ProcessBeaconBlockRoot(*b.Header.ParentBeaconRoot, evm)
		}
		if config.IsPrague(b.Header.Number, b.Header.Time) {
			core.ProcessParentBlockHash(b.Header.ParentHash, evm)
		}
		for i, tx := range forced {
			if err := buildtest.Apply(b, tx); err != nil {
				return fmt.Errorf("deposit %d: %w", i, err)
			}
		}
		return nil
	}
	j.pre, err = newPreState(f.Pre)
	return j, err
}

// check compares the outcome with the block's own header.
func (f *fixture) check(got *outcome) error {
	if len(got.Txs) != len(f.Transactions) {
		return fmt.Errorf("%d of %d transactions included", len(got.Txs), len(f.Transactions))
	}
	if used := got.Header.GasUsed; used != uint64(f.Expected.GasUsed) {
		return fmt.Errorf("gas used %d, want %d", used, f.Expected.GasUsed)
	}
	receipts := types.Receipts(got.Receipts)
	if bloom := types.MergeBloom(receipts); bloom != f.Expected.LogsBloom {
		return fmt.Errorf("logs bloom %x, want %x", bloom, f.Expected.LogsBloom)
	}
	if !got.Config.IsByzantium(got.Header.Number) {
		return nil // its receipts hold state roots, which the part of the state cannot give
	}
	if root := types.DeriveSha(receipts, newListHasher()); root != f.Expected.ReceiptsRoot {
		return fmt.Errorf("receipts root %s, want %s", root, f.Expected.ReceiptsRoot)
	}
	return nil
}

// forkName names the rules of a block.
func forkName(config *params.ChainConfig, h *types.Header) string {
	if config.IsOptimism() {
		switch {
		case config.IsJovian(h.Time):
			return "OP Jovian"
		case config.IsIsthmus(h.Time):
			return "OP Isthmus"
		}
		return "OP"
	}
	if h.Difficulty.Sign() == 0 && !config.IsShanghai(h.Number, h.Time) {
		return "Paris"
	}
	n, t := h.Number, h.Time
	forks := []struct {
		name   string
		active bool
	}{
		{"Prague", config.IsPrague(n, t)}, {"Cancun", config.IsCancun(n, t)}, {"Shanghai", config.IsShanghai(n, t)},
		{"London", config.IsLondon(n)}, {"Berlin", config.IsBerlin(n)}, {"Istanbul", config.IsIstanbul(n)},
		{"Petersburg", config.IsPetersburg(n)}, {"Byzantium", config.IsByzantium(n)}, {"EIP158", config.IsEIP158(n)},
		{"EIP150", config.IsEIP150(n)}, {"Homestead", config.IsHomestead(n)},
	}
	for _, f := range forks {
		if f.active {
			return f.name
		}
	}
	return "Frontier"
}
