package bench

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/ethereum/go-ethereum/triedb/pathdb"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/internal/buildtest"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// Fixture is a block of a real chain and the part of the state that it touches.
type Fixture struct {
	Name string

	data   fixtureData
	config *params.ChainConfig
	signer types.Signer
	forced []*types.Transaction
	txs    []*types.Transaction // offered in their order, whatever they pay
	lazies []*txpool.LazyTransaction
	from   []common.Address
	root   common.Hash
	db     state.Database
}

// fixtureData is what the file holds.
type fixtureData struct {
	ChainID      uint64                 `json:"chainId"`
	Header       *types.Header          `json:"header"`
	Transactions []hexutil.Bytes        `json:"transactions"`
	Pre          types.GenesisAlloc     `json:"pre"`
	BlockHashes  map[uint64]common.Hash `json:"blockHashes"`
	Expected     struct {
		GasUsed      hexutil.Uint64 `json:"gasUsed"`
		ReceiptsRoot common.Hash    `json:"receiptsRoot"`
	} `json:"expected"`
}

// ErrNoFixtures is returned (wrapped) where there are no blocks.
var ErrNoFixtures = errors.New("no fixture blocks")

// LoadFixtures reads the blocks below a directory. Those from before Byzantium are left
// out: they are not built in parallel.
func LoadFixtures(dir string) ([]*Fixture, error) {
	var found []*Fixture
	for _, pattern := range []string{"*.json.gz", filepath.Join("*", "*.json.gz")} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			f, err := loadFixture(path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if f.config.IsByzantium(f.data.Header.Number) {
				found = append(found, f)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: -blocks is %q, allowed are directories with files NUMBER.json.gz in them or one level below", ErrNoFixtures, dir)
	}
	return found, nil
}

func loadFixture(path string) (*Fixture, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	f := &Fixture{config: params.MainnetChainConfig}
	if err := json.NewDecoder(unzipped).Decode(&f.data); err != nil {
		return nil, err
	}
	if f.data.Header == nil {
		return nil, errors.New("it has no header")
	}
	if f.data.ChainID != f.config.ChainID.Uint64() {
		config := *params.OptimismTestConfig
		config.ChainID = new(big.Int).SetUint64(f.data.ChainID)
		f.config = &config
	}
	return f, f.decode()
}

// decode reads the transactions, and makes the state.
func (f *Fixture) decode() error {
	number := f.data.Header.Number
	f.Name = FixtureWorkload + "/" + strconv.FormatUint(number.Uint64(), 10)
	f.signer = types.MakeSigner(f.config, number, f.data.Header.Time)
	for i, raw := range f.data.Transactions {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
		if tx.IsDepositTx() {
			f.forced = append(f.forced, tx)
			continue
		}
		if err := f.offer(tx); err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
	}
	return f.commit()
}

// offer adds a transaction to those of the pool.
func (f *Fixture) offer(tx *types.Transaction) error {
	if hashes := tx.BlobHashes(); len(hashes) > 0 {
		// The content of blobs is of no account for building; that there is some is.
		n := len(hashes)
		tx = tx.WithBlobTxSidecar(types.NewBlobTxSidecar(types.BlobSidecarVersion0, make([]kzg4844.Blob, n), make([]kzg4844.Commitment, n), make([]kzg4844.Proof, n)))
	}
	from, err := types.Sender(f.signer, tx)
	if err != nil {
		return err
	}
	tx.Size()
	f.txs, f.from = append(f.txs, tx), append(f.from, from)
	f.lazies = append(f.lazies, &txpool.LazyTransaction{
		Hash:      tx.Hash(),
		Tx:        tx,
		GasFeeCap: new(uint256.Int),
		GasTipCap: new(uint256.Int),
		Gas:       tx.Gas(),
		BlobGas:   tx.BlobGas(),
		DABytes:   tx.RollupCostData().EstimatedDASize(),
	})
	return nil
}

// commit makes the state, in memory, with flat state as a node has it.
func (f *Fixture) commit() error {
	f.db = state.NewDatabase(triedb.NewDatabase(rawdb.NewMemoryDatabase(), &triedb.Config{PathDB: pathdb.Defaults}), nil)
	db, err := state.New(types.EmptyRootHash, f.db)
	if err != nil {
		return err
	}
	for addr, account := range f.data.Pre {
		if account.Balance != nil {
			db.SetBalance(addr, uint256.MustFromBig(account.Balance), tracing.BalanceChangeUnspecified)
		}
		db.SetNonce(addr, account.Nonce, tracing.NonceChangeUnspecified)
		db.SetCode(addr, account.Code, tracing.CodeChangeUnspecified)
		for key, value := range account.Storage {
			db.SetState(addr, key, value)
		}
	}
	f.root, err = db.Commit(0, false, false)
	return err
}

// start returns the block before the pool's transactions.
func (f *Fixture) start() (*miner.Block, error) { return f.prepare(false) }

func (f *Fixture) prepare(parallel bool) (*miner.Block, error) {
	h := types.CopyHeader(f.data.Header)
	h.GasUsed = 0
	if h.BlobGasUsed != nil {
		h.BlobGasUsed = new(uint64)
	}
	db, err := state.New(f.root, f.db)
	if err != nil {
		return nil, err
	}
	if parallel {
		if db, err = miner.PrepareState(f.root, db, nil); err != nil {
			return nil, err
		}
	}
	db.StartPrefetcher("miner", nil)
	block := &miner.Block{
		Config:   f.config,
		Chain:    &fixtureChain{config: f.config, hashes: f.data.BlockHashes},
		Header:   h,
		Coinbase: h.Coinbase,
		Signer:   f.signer,
		State:    db,
		GasPool:  core.NewGasPool(h.GasLimit),
		Size:     uint64(h.Size()),
	}
	evm := vm.NewEVM(core.NewEVMBlockContext(h, block.Chain, &block.Coinbase, f.config, db), db, f.config, vm.Config{})
	if h.ParentBeaconRoot != nil {
		core.ProcessBeaconBlockRoot(*h.ParentBeaconRoot, evm)
	}
	if f.config.IsPrague(h.Number, h.Time) {
		core.ProcessParentBlockHash(h.ParentHash, evm)
	}
	if f.config.IsJovian(h.Time) && len(f.forced) > 0 {
		if block.DAFootprintGasScalar, err = types.ExtractDAFootprintGasScalar(f.forced[0].Data()); err != nil {
			return nil, err
		}
	}
	for i, tx := range f.forced {
		if err := buildtest.Apply(block, tx); err != nil {
			return nil, fmt.Errorf("deposit %d: %w", i, err)
		}
	}
	return block, nil
}

// fixtureChain knows the hashes of earlier blocks and nothing else.
type fixtureChain struct {
	consensus.ChainHeaderReader
	config *params.ChainConfig
	hashes map[uint64]common.Hash
}

// Config implements core.ChainContext.
func (c *fixtureChain) Config() *params.ChainConfig { return c.config }

// Engine implements core.ChainContext.
func (c *fixtureChain) Engine() consensus.Engine { return nil }

// GetHeader implements core.ChainContext: what BLOCKHASH follows to the block before.
func (c *fixtureChain) GetHeader(_ common.Hash, number uint64) *types.Header {
	return &types.Header{Number: new(big.Int).SetUint64(number), ParentHash: c.hashes[number-1]}
}
