package opchain

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

func testKey(t *testing.T, name string) (*ecdsa.PrivateKey, common.Address) {
	t.Helper()
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte(name)))
	if err != nil {
		t.Fatal(err)
	}
	return key, crypto.PubkeyToAddress(key.PublicKey)
}

func newTestChain(t *testing.T, opts Options) *Local {
	t.Helper()
	opts.Compact = true
	genesis, err := Genesis(opts)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := NewLocal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	return chain
}

func stateAt(t *testing.T, chain *Local) *state.StateDB {
	t.Helper()
	db, err := chain.BlockChain().State()
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// callL1Block runs a call of the L1Block predeploy at the head.
func callL1Block(t *testing.T, chain *Local, input []byte) []byte {
	t.Helper()
	bc := chain.BlockChain()
	evm := vm.NewEVM(core.NewEVMBlockContext(bc.CurrentBlock(), bc, nil, bc.Config(), stateAt(t, chain)), stateAt(t, chain), bc.Config(), vm.Config{})
	out, _, err := evm.Call(common.Address{1}, types.L1BlockAddr, input, 1_000_000, new(uint256.Int))
	if err != nil {
		t.Fatalf("call %x of L1Block: %v", input, err)
	}
	return out
}

func TestThreeBlocksOfTransfersImportAndPayEveryFeeVault(t *testing.T) {
	key, addr := testKey(t, "sender")
	to := common.HexToAddress("0x1234567890123456789012345678901234567890")
	chain := newTestChain(t, Options{Alloc: types.GenesisAlloc{addr: {Balance: big.NewInt(params.Ether)}}})
	signer := types.LatestSigner(chain.BlockChain().Config())

	const perBlock = 10
	vaults := []common.Address{BaseFeeVault(), L1FeeVault(), SequencerFeeVault(), OperatorFeeVault()}
	before := make([]*uint256.Int, len(vaults))
	for i := range before {
		before[i] = new(uint256.Int)
	}
	for number := uint64(1); number <= 3; number++ {
		var txs []*types.Transaction
		for i := range uint64(perBlock) {
			txs = append(txs, types.MustSignNewTx(key, signer, &types.DynamicFeeTx{
				ChainID:   chain.BlockChain().Config().ChainID,
				Nonce:     (number-1)*perBlock + i,
				To:        &to,
				Value:     big.NewInt(1),
				Gas:       21000,
				GasFeeCap: big.NewInt(10 * params.GWei),
				GasTipCap: big.NewInt(params.GWei),
			}))
		}
		for i, err := range chain.TxPool().Add(txs, true) {
			if err != nil {
				t.Fatalf("block %d: pool refuses transaction %d: %v", number, i, err)
			}
		}
		l1 := DefaultL1Info()
		l1.Number += number
		attrs, err := Attributes(chain.BlockChain().CurrentBlock(), AttributesOptions{L1: l1})
		if err != nil {
			t.Fatal(err)
		}
		block, err := chain.Build(attrs)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(block.Transactions()); got != perBlock+1 {
			t.Fatalf("block %d has %d transactions, want the deposit and %d", number, got, perBlock)
		}
		if block.BlobGasUsed() == nil || *block.BlobGasUsed() == 0 {
			t.Errorf("block %d has no DA footprint in its header: Jovian is not in force", number)
		}
		if err := chain.Import(block); err != nil {
			t.Fatal(err)
		}
		receipts := chain.BlockChain().GetReceiptsByHash(block.Hash())
		for i, receipt := range receipts {
			if receipt.Status != types.ReceiptStatusSuccessful {
				t.Errorf("block %d: transaction %d failed", number, i)
			}
		}
		db := stateAt(t, chain)
		for i, vault := range vaults {
			now := db.GetBalance(vault)
			if now.Cmp(before[i]) <= 0 {
				t.Errorf("block %d: fee vault %s got nothing: %s before, %s after", number, vault, before[i], now)
			}
			before[i] = now.Clone()
		}
	}
}

func TestAttributesDepositPutsItsValuesInForce(t *testing.T) {
	chain := newTestChain(t, Options{})
	// The getters of L1Block answer for the genesis, then for the deposit's values.
	check := func(l1 *L1Info) {
		t.Helper()
		for _, get := range []struct {
			method string
			want   common.Hash
		}{
			{"number()", common.BigToHash(new(big.Int).SetUint64(l1.Number))},
			{"timestamp()", common.BigToHash(new(big.Int).SetUint64(l1.Time))},
			{"basefee()", common.BigToHash(l1.BaseFee)},
			{"blobBaseFee()", common.BigToHash(l1.BlobFee)},
			{"hash()", l1.Hash},
			{"batcherHash()", l1.BatcherID},
			{"baseFeeScalar()", common.BigToHash(big.NewInt(int64(l1.BaseFeeScalar)))},
			{"blobBaseFeeScalar()", common.BigToHash(big.NewInt(int64(l1.BlobFeeScalar)))},
			{"operatorFeeScalar()", common.BigToHash(big.NewInt(int64(l1.OperatorFeeScalar)))},
			{"operatorFeeConstant()", common.BigToHash(big.NewInt(int64(l1.OperatorFeeConstant)))},
			{"daFootprintGasScalar()", common.BigToHash(big.NewInt(int64(l1.DAFootprintGasScalar)))},
		} {
			if got := callL1Block(t, chain, crypto.Keccak256([]byte(get.method))[:4]); !bytes.Equal(got, get.want[:]) {
				t.Errorf("L1Block.%s is %x, want %x", get.method, got, get.want)
			}
		}
	}
	check(DefaultL1Info())

	l1 := &L1Info{
		Number: 5, Time: 6, BaseFee: big.NewInt(7), BlobFee: big.NewInt(8),
		Hash: common.Hash{9}, BatcherID: common.Hash{10},
		BaseFeeScalar: 11, BlobFeeScalar: 12, OperatorFeeScalar: 13, OperatorFeeConstant: 14, DAFootprintGasScalar: 15,
	}
	attrs, err := Attributes(chain.BlockChain().CurrentBlock(), AttributesOptions{L1: l1, NoTxPool: true})
	if err != nil {
		t.Fatal(err)
	}
	block, err := chain.Build(attrs)
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Import(block); err != nil {
		t.Fatal(err)
	}
	check(l1)
}

func TestOnlyTheDepositorMaySetL1BlockValues(t *testing.T) {
	chain := newTestChain(t, Options{})
	bc := chain.BlockChain()
	db := stateAt(t, chain)
	evm := vm.NewEVM(core.NewEVMBlockContext(bc.CurrentBlock(), bc, nil, bc.Config(), db), db, bc.Config(), vm.Config{})
	_, _, err := evm.Call(common.Address{1}, types.L1BlockAddr, DefaultL1Info().calldata(0), 1_000_000, new(uint256.Int))
	if !errors.Is(err, vm.ErrExecutionReverted) {
		t.Fatalf("setL1BlockValuesJovian by anyone: got %v, want %v", err, vm.ErrExecutionReverted)
	}
}

func TestGenesisRefusesWhatWouldNotBeThatGenesis(t *testing.T) {
	for _, opts := range []Options{
		{ChainID: 10},
		{Alloc: types.GenesisAlloc{types.L1BlockAddr: {}}},
	} {
		if _, err := Genesis(opts); err == nil {
			t.Errorf("Genesis(%+v) gave no error", opts)
		}
	}
}

func TestGenesisLeavesTheRegistrysGenesisAsItIs(t *testing.T) {
	want, err := loadRegistry(registryChain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Genesis(Options{Alloc: types.GenesisAlloc{{1}: {}}}); err != nil {
		t.Fatal(err)
	}
	got, err := loadRegistry(registryChain)
	if err != nil {
		t.Fatal(err)
	}
	if got.ToBlock().Hash() != want.ToBlock().Hash() {
		t.Error("the registry's genesis changed")
	}
}

func TestCompactGenesisKeepsEveryAccountThatDoesSomething(t *testing.T) {
	template, err := LoadTemplate()
	if err != nil {
		t.Fatal(err)
	}
	full, err := template.Genesis(Options{})
	if err != nil {
		t.Fatal(err)
	}
	compact, err := template.Genesis(Options{Compact: true})
	if err != nil {
		t.Fatal(err)
	}
	for addr := range full.Alloc {
		name := addr.Hex()
		if _, kept := compact.Alloc[addr]; !kept && name[:39] != "0x4200000000000000000000000000000000000" {
			t.Errorf("account %s is left out, which is no proxy", name)
		}
	}
	for _, addr := range []common.Address{
		types.L1BlockAddr, BaseFeeVault(), L1FeeVault(), OperatorFeeVault(), SequencerFeeVault(),
		common.HexToAddress("0x420000000000000000000000000000000000000F"), // GasPriceOracle
		params.OptimismL2ToL1MessagePasser, params.BeaconRootsAddress, params.HistoryStorageAddress,
	} {
		if len(compact.Alloc[addr].Code) == 0 {
			t.Errorf("predeploy %s is left out", addr)
		}
	}
	if len(full.Alloc) < 2048+len(compact.Alloc)-100 {
		t.Errorf("%d accounts of %d are left", len(compact.Alloc), len(full.Alloc))
	}
}
