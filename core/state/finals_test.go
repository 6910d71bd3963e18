package state

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/internal/seeds"
)

// commitAlone runs a step as transaction tx on a view, and commits it.
func commitAlone(base *Base, ledger *Ledger, tx blockstm.TxIndex, step func(db vm.StateDB)) {
	view, footprint := NewView(base, func() {}), new(Footprint)
	view.Begin(tx, footprint)
	view.Prepare(params.Rules{IsEIP2929: true}, common.Address{1}, common.Address{2}, nil, nil, nil)
	step(view)
	view.Seal(true)
	footprint.Publish(blockstm.Version{Tx: tx})
	ledger.Commit(tx, footprint)
}

// boundParent returns a random parent state twice: as op-geth has it, and prepared, with
// final values that stay with the registers.
func boundParent(t *testing.T, r *rand.Rand) (plain, prepared *state.StateDB, ledger *Ledger) {
	t.Helper()
	plain, prepared = preparedParent(t, r)
	base := prepared.Reader().(*Base)
	base.Bind(prepared.Database().(*Tries))
	if err := base.Attach(prepared); err != nil {
		t.Fatal(err)
	}
	return plain, prepared, NewLedger(base)
}

// step changes a random account in a way in which contracts can.
func step(r *rand.Rand) func(db vm.StateDB) {
	a, what, n := common.BytesToAddress([]byte{0xbb, byte(r.IntN(200))}), r.IntN(3), r.IntN(4)
	key := common.Hash{byte(r.IntN(100))}
	return func(db vm.StateDB) {
		switch what {
		case 0:
			db.AddBalance(a, uint256.NewInt(uint64(n)), 0)
		case 1:
			db.SetNonce(a, db.GetNonce(a)+1, 0)
		default:
			db.SetNonce(a, db.GetNonce(a)+1, 0)
			db.SetState(a, key, common.Hash{31: byte(n)})
		}
	}
}

func TestFinalValuesAreHashedThoughTheStateNeverHadThem(t *testing.T) {
	for name, spoil := range map[string]func(*Tries){
		"by us":              func(*Tries) {},
		"by op-geth's tries": func(tries *Tries) { tries.nodes = unreadable{} },
	} {
		t.Run(name, func(t *testing.T) {
			seeds.Run(t, "core/state", 100, func(t *testing.T, seed uint64) {
				r := rand.New(rand.NewPCG(seed, 1))
				plain, prepared, ledger := boundParent(t, r)
				tries := prepared.Database().(*Tries)
				spoil(tries)
				for i := range r.IntN(600) {
					s := step(r)
					s(plain)
					plain.Finalise(true)
					commitAlone(ledger.base, ledger, blockstm.TxIndex(i), s)
					if r.IntN(300) == 0 {
						if got, want := prepared.IntermediateRoot(true), plain.IntermediateRoot(true); got != want {
							t.Fatalf("root %v after %d transactions, want %v", got, i+1, want)
						}
					}
				}
				ledger.Apply()
				if got, want := prepared.IntermediateRoot(true), plain.IntermediateRoot(true); got != want {
					t.Errorf("root %v, want %v", got, want)
				}
				if err := tries.Failure(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAStateWithFinalValuesThatItDoesNotHaveIsNotCommitted(t *testing.T) {
	_, prepared, ledger := boundParent(t, rand.New(rand.NewPCG(1, 1)))
	commitAlone(ledger.base, ledger, 0, func(db vm.StateDB) { db.AddBalance(common.Address{7}, uint256.NewInt(7), 0) })
	prepared.AddBalance(common.Address{8}, uint256.NewInt(8), 0)
	prepared.IntermediateRoot(true)
	if root, nodes := prepared.GetTrie().Commit(false); root != (common.Hash{}) || nodes != nil {
		t.Errorf("root %v committed, want none", root)
	}
	if err := prepared.Database().(*Tries).Failure(); err == nil {
		t.Error("no failure")
	}
}

func TestAccountsAreEncodedAsInTheTrieAndDecodedAsInTheSnapshot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		a := types.StateAccount{Balance: new(uint256.Int), Root: types.EmptyRootHash, CodeHash: types.EmptyCodeHash[:]}
		a.Nonce = r.Uint64() >> r.IntN(64) >> r.IntN(2)
		for i := range a.Balance {
			a.Balance[i] = r.Uint64()
		}
		a.Balance.Rsh(a.Balance, uint(r.IntN(257)))
		if r.IntN(2) == 0 {
			a.Root = common.Hash{byte(r.IntN(256)), 1}
		}
		if r.IntN(2) == 0 {
			a.CodeHash = common.BytesToHash([]byte{byte(r.IntN(256))}).Bytes()
		}
		want, err := rlp.EncodeToBytes(&a)
		if err != nil {
			t.Fatal(err)
		}
		got := appendAccount([]byte{1}, &a)
		if !bytes.Equal(got[1:], want) {
			t.Fatalf("%+v is encoded as %x, want %x", a, got[1:], want)
		}
		if len(want) > maxAccount {
			t.Fatalf("%+v takes %d bytes, more than %d", a, len(want), maxAccount)
		}
		var back storedAccount
		if err := decodeSlim(types.SlimAccountRLP(a), &back); err != nil || !sameAccount(back.get(), &a) {
			t.Fatalf("%+v is decoded as %+v, %v", a, back.get(), err)
		}
	}
}

func TestWhatIsNoSlimAccountIsNotDecodedAsOne(t *testing.T) {
	good := types.SlimAccountRLP(types.StateAccount{Nonce: 1, Balance: uint256.NewInt(2), Root: common.Hash{3}, CodeHash: common.Hash{4}.Bytes()})
	var into storedAccount
	for n := 1; n < len(good); n++ {
		if err := decodeSlim(good[:n], &into); err == nil {
			t.Errorf("the first %d bytes are decoded", n)
		}
	}
	for _, blob := range [][]byte{append(bytes.Clone(good), 0), {0xc0}, {0xc5, 1, 2, 3, 4, 5}, {0xc4, 1, 2, 3, 4}, {0x80}} {
		if err := decodeSlim(blob, &into); err == nil {
			t.Errorf("%x is decoded", blob)
		}
	}
}
