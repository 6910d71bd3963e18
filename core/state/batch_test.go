package state

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/internal/seeds"
)

// mutate makes random changes to a state, the same for the same random numbers.
func mutate(db *state.StateDB, r *rand.Rand) {
	for range r.IntN(300) {
		a := common.BytesToAddress([]byte{0xbb, byte(r.IntN(200))})
		switch r.IntN(5) {
		case 0:
			db.SetBalance(a, uint256.NewInt(uint64(r.IntN(3))), tracing.BalanceChangeUnspecified)
		case 1:
			db.SetNonce(a, uint64(r.IntN(3)), tracing.NonceChangeUnspecified)
		case 2:
			db.SelfDestruct(a)
		default:
			db.SetNonce(a, 1, tracing.NonceChangeUnspecified)
			db.SetState(a, common.Hash{byte(r.IntN(100))}, common.Hash{31: byte(r.IntN(3))})
		}
		if r.IntN(20) == 0 {
			db.Finalise(true)
		}
	}
	db.Finalise(true)
}

// preparedParent returns a random parent state twice: as op-geth has it, and prepared.
func preparedParent(t *testing.T, r *rand.Rand) (plain, prepared *state.StateDB) {
	db := state.NewDatabaseForTesting()
	st, err := state.New(types.EmptyRootHash, db)
	if err != nil {
		t.Fatal(err)
	}
	st.SetBalance(common.Address{1}, uint256.NewInt(1), tracing.BalanceChangeUnspecified)
	mutate(st, r)
	root, err := st.Commit(0, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err = state.New(root, db); err != nil {
		t.Fatal(err)
	}
	return plain, preparedState(t, root, plain)
}

// preparedState returns the state of root once more, with what the parallel builder puts
// in the place of its reader and its tries.
func preparedState(t *testing.T, root common.Hash, db *state.StateDB) *state.StateDB {
	t.Helper()
	tries, err := NewTries(root, db.Database())
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := state.NewWithReader(root, tries, NewBase(db.Reader(), nil))
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

func TestPreparedStatesHaveTheRootsOfOthersHoweverOftenTheyAreAsked(t *testing.T) {
	seeds.Run(t, "core/state", 200, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		plain, prepared := preparedParent(t, r)
		for _, db := range []*state.StateDB{plain, prepared} {
			if r.IntN(2) == 0 {
				db.StartPrefetcher("test", nil)
			}
		}
		for round := range 3 {
			for _, db := range []*state.StateDB{plain, prepared} {
				mutate(db, rand.New(rand.NewPCG(seed, uint64(round))))
			}
			if got, want := prepared.IntermediateRoot(true), plain.IntermediateRoot(true); got != want {
				t.Fatalf("root %v in round %d, want %v", got, round, want)
			}
		}
		want, err := plain.Commit(1, true, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := prepared.Commit(1, true, false)
		if err != nil || got != want {
			t.Errorf("root %v, %v when committed, want %v", got, err, want)
		}
		if err := prepared.Database().(*Tries).Failure(); err != nil {
			t.Error(err)
		}
	})
}

func TestBatchesAnswerWhateverElseATrieIsAsked(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	plain, prepared := preparedParent(t, r)
	root := prepared.IntermediateRoot(true)
	ours, err := prepared.Database().OpenTrie(root)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := plain.Database().OpenTrie(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ours.(*batch); !ok {
		t.Fatalf("the prepared state opens a %T", ours)
	}
	found := 0
	for i := range 200 {
		a := common.BytesToAddress([]byte{0xbb, byte(i)})
		got, err := ours.GetAccount(a)
		if err != nil {
			t.Fatal(err)
		}
		want, err := theirs.GetAccount(a)
		if err != nil {
			t.Fatal(err)
		}
		if (got == nil) != (want == nil) || got != nil && got.Root != want.Root {
			t.Fatalf("account %v is %v, want %v", a, got, want)
		}
		if want == nil || want.Root == types.EmptyRootHash {
			continue
		}
		found++
		storage, err := prepared.Database().OpenStorageTrie(root, a, want.Root, ours)
		if err != nil {
			t.Fatal(err)
		}
		reference, err := plain.Database().OpenStorageTrie(root, a, want.Root, theirs)
		if err != nil {
			t.Fatal(err)
		}
		for k := range 100 {
			key := common.Hash{byte(k)}
			x, err := storage.GetStorage(a, key[:])
			if err != nil {
				t.Fatal(err)
			}
			y, _ := reference.GetStorage(a, key[:])
			if string(x) != string(y) {
				t.Fatalf("slot %v of %v is %x, want %x", key, a, x, y)
			}
		}
		if err := storage.UpdateStorage(a, []byte{9}, []byte{1}); err != nil {
			t.Fatal(err)
		}
		if v, err := storage.GetStorage(a, common.Hash{31: 9}.Bytes()); err != nil || len(v) != 1 {
			t.Errorf("a slot just written is %x, %v", v, err)
		}
	}
	if found == 0 {
		t.Error("no account has storage")
	}
}

// unreadable has no trie node for anybody.
type unreadable struct{}

var errUnreadable = errors.New("disk on fire")

func (unreadable) Node(common.Hash, []byte, common.Hash) ([]byte, error) { return nil, errUnreadable }

func TestATrieThatCannotBeReadByUsIsLeftToOpGeth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	plain, prepared := preparedParent(t, r)
	prepared.Database().(*Tries).nodes = unreadable{}
	for _, db := range []*state.StateDB{plain, prepared} {
		mutate(db, rand.New(rand.NewPCG(2, 2)))
	}
	if got, want := prepared.IntermediateRoot(true), plain.IntermediateRoot(true); got != want {
		t.Errorf("root %v, want %v", got, want)
	}
	if err := prepared.Database().(*Tries).Failure(); err != nil {
		t.Error(err)
	}
}

// shut is a database that opens no trie.
type shut struct{ state.Database }

func (shut) OpenTrie(common.Hash) (state.Trie, error) { return nil, errUnreadable }

func TestATrieThatNobodyCanReadMakesTheStateUnsealable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	_, prepared := preparedParent(t, r)
	db := prepared.Database().(*Tries)
	db.nodes, db.Database = unreadable{}, shut{db.Database}
	mutate(prepared, rand.New(rand.NewPCG(2, 2)))
	if root := prepared.IntermediateRoot(true); root != (common.Hash{}) {
		t.Errorf("root %v, want none", root)
	}
	if err := prepared.Database().(*Tries).Failure(); !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), "fire") {
		t.Errorf("error %v, want %v", err, errUnreadable)
	}
}

// looker counts what is looked up, and takes its time over it.
type looker struct {
	state.Trie
	slow  bool
	calls int
}

func (l *looker) PrefetchAccount(addresses []common.Address) error {
	for range addresses {
		l.calls++
		if l.slow {
			// Busy, since sleeping takes longer than asked for.
			for start := time.Now(); time.Since(start) < 2*slowKey; {
			}
		}
	}
	return nil
}

func TestKeysArePrefetchedIfNodesAreSlowToComeBy(t *testing.T) {
	addresses := make([]common.Address, 100)
	for _, slow := range []bool{false, true} {
		trie := &looker{slow: slow}
		b := &batch{inner: trie}
		if err := b.PrefetchAccount(addresses); err != nil {
			t.Fatal(err)
		}
		want := sampleKeys
		if slow {
			want = len(addresses)
		}
		if trie.calls != want {
			t.Errorf("%d of %d accounts looked up (slow: %v), want %d", trie.calls, len(addresses), slow, want)
		}
	}
}
