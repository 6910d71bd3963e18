package state

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// The seed 1795401080 of TestTheSameHoldsWhereContractsOfEarlierBlocksCanBeDestroyed was
// the first to show it.
func TestAnAccountWithStorageButNoCodeLosesTheStorageWhenItsBalanceIsGone(t *testing.T) {
	addr, key := common.Address{0xaa}, common.Hash{1}
	db := state.NewDatabaseForTesting()
	genesis, err := state.New(types.EmptyRootHash, db)
	if err != nil {
		t.Fatal(err)
	}
	genesis.SetBalance(addr, uint256.NewInt(16), 0)
	genesis.SetState(addr, key, common.Hash{9})
	root, err := genesis.Commit(0, false, false)
	if err != nil {
		t.Fatal(err)
	}
	rules := params.Rules{IsEIP2929: true, IsEIP158: true, IsBerlin: true, IsShanghai: true}
	steps := []func(db vm.StateDB){
		func(db vm.StateDB) { db.SubBalance(addr, uint256.NewInt(16), 0) },
		func(db vm.StateDB) {
			if got := db.GetStorageRoot(addr); got != (common.Hash{}) {
				t.Errorf("storage root %v, want none", got)
			}
			db.CreateAccount(addr)
			db.CreateContract(addr)
			db.SetNonce(addr, 1, 0)
		},
	}
	want, err := state.New(root, db)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		step(want)
		want.Finalise(true)
	}

	plain, err := state.New(root, db)
	if err != nil {
		t.Fatal(err)
	}
	base := NewBase(plain.Reader(), nil)
	got, err := state.NewWithReader(root, db, base)
	if err != nil {
		t.Fatal(err)
	}
	if err := base.Attach(got); err != nil {
		t.Fatal(err)
	}
	ledger, view := NewLedger(base), NewView(base, func() {})
	for i, step := range steps {
		tx, footprint := blockstm.TxIndex(i), new(Footprint)
		view.Begin(tx, footprint)
		view.Prepare(rules, common.Address{1}, common.Address{2}, nil, nil, nil)
		step(view)
		view.Seal(true)
		footprint.Publish(blockstm.Version{Tx: tx})
		ledger.Commit(tx, footprint)
	}
	ledger.Apply()
	if a, b := got.GetState(addr, key), got.IntermediateRoot(true); a != (common.Hash{}) || b != want.IntermediateRoot(true) {
		t.Errorf("slot %v, want zero; state root %v, want %v", a, b, want.IntermediateRoot(true))
	}
}
