package trie

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	upstream "github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/trie/trienode"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/ethereum/go-ethereum/triedb/database"

	"github.com/op-geth-parallel/op-geth-parallel/internal/seeds"
)

// population draws keys and values. Keys that share long prefixes make for extensions,
// deep branches, and nodes short enough to stand in their parents.
type population struct {
	r      *rand.Rand
	keys   int // how many there are to draw from
	narrow int // leading nibbles that all keys share
	few    int // values a nibble can have
	value  int // longest value, bytes
}

func newPopulation(r *rand.Rand) population {
	p := population{r: r, keys: 1 << r.IntN(10), few: 1 + r.IntN(16), value: 1 + r.IntN(3)}
	if r.IntN(2) == 0 {
		p.value = 120
	}
	if r.IntN(2) == 0 {
		p.narrow = r.IntN(keyNibbles)
	}
	return p
}

func (p population) key() (key common.Hash) {
	nibbles := rand.New(rand.NewPCG(uint64(p.r.IntN(p.keys)), 3))
	for d := range keyNibbles {
		n := byte(nibbles.IntN(p.few))
		if d < p.narrow {
			n = 5
		}
		setNibble(&key, d, n)
	}
	return key
}

func (p population) some() []byte {
	value := make([]byte, 1+p.r.IntN(p.value))
	for i := range value {
		value[i] = byte(p.r.IntN(255) + 1)
	}
	return value
}

// stored commits a trie of that many random keys, and returns its root and keys.
func (p population) stored(t testing.TB, db *triedb.Database, n int) (common.Hash, []common.Hash) {
	tr := upstream.NewEmpty(db)
	var keys []common.Hash
	for range n {
		key := p.key()
		keys = append(keys, key)
		if err := tr.Update(key[:], p.some()); err != nil {
			t.Fatal(err)
		}
	}
	root, nodes := tr.Commit(false)
	if nodes != nil {
		if err := db.Update(root, types.EmptyRootHash, 0, trienode.NewWithNodeSet(nodes), triedb.NewStateSet()); err != nil {
			t.Fatal(err)
		}
	}
	return root, keys
}

// check brings random changes to a random trie, by upstream's trie and by Root.
func check(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	p := newPopulation(r)
	db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil)
	root, keys := p.stored(t, db, r.IntN(600))

	tr, err := upstream.New(upstream.TrieID(root), db)
	if err != nil {
		t.Fatal(err)
	}
	var changes []Change
	removals := r.IntN(4)
	for range r.IntN(400) {
		c := Change{Key: p.key()}
		if r.IntN(3) < removals && len(keys) > 0 {
			c.Key = keys[r.IntN(len(keys))]
		} else if r.IntN(3) >= removals {
			c.Value = p.some()
		}
		changes = append(changes, c)
		if err := tr.Update(c.Key[:], c.Value); err != nil {
			t.Fatal(err)
		}
	}
	if r.IntN(10) == 0 { // all of it
		for _, key := range keys {
			changes = append(changes, Change{Key: key})
			if err := tr.Delete(key[:]); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := Root(readerOf(t, db, root), common.Hash{}, root, changes)
	if err != nil {
		t.Fatal(err)
	}
	if want := tr.Hash(); got != want {
		t.Errorf("root %v after %d changes to %d keys (%+v), want %v", got, len(changes), len(keys), p, want)
	}
}

// readerOf returns the reader of a root's nodes.
func readerOf(t testing.TB, db *triedb.Database, root common.Hash) database.NodeReader {
	if root == types.EmptyRootHash {
		return missing{}
	}
	reader, err := db.NodeReader(root)
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// missing has no nodes.
type missing struct{}

func (missing) Node(common.Hash, []byte, common.Hash) ([]byte, error) { return nil, nil }

func TestRootsAreThoseOfUpstreamsTrieWhateverChanges(t *testing.T) {
	seeds.Run(t, "core/trie", 3000, check)
}

// broken returns something else instead of the node at a path.
type broken struct {
	database.NodeReader
	path string
	blob []byte
	err  error
}

func (b broken) Node(owner common.Hash, path []byte, hash common.Hash) ([]byte, error) {
	if string(path) == b.path {
		return b.blob, b.err
	}
	return b.NodeReader.Node(owner, path, hash)
}

func TestWhatCannotBeReadIsAnErrorAndNotARoot(t *testing.T) {
	p := population{r: rand.New(rand.NewPCG(1, 1)), keys: 1 << 12, few: 16, value: 100}
	db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil)
	root, keys := p.stored(t, db, 500)
	changes := func() (all []Change) {
		for _, key := range keys {
			all = append(all, Change{Key: key, Value: []byte{1}})
		}
		return all
	}
	if _, err := Root(readerOf(t, db, root), common.Hash{}, root, changes()); err != nil {
		t.Fatal(err)
	}
	failure := fmt.Errorf("disk on fire")
	for name, b := range map[string]broken{
		"error":                  {err: failure},
		"nothing":                {},
		"no list":                {blob: []byte{0x83, 1, 2, 3}},
		"three items":            {blob: []byte{0xc3, 1, 2, 3}},
		"a hash cut short":       {blob: []byte{0xc3, 1, 0xa0, 3}},
		"a branch with a value":  {blob: append(append([]byte{0xd1}, repeat(0x80, 16)...), 7)},
		"a child of odd length":  {blob: append([]byte{0xd2, 0x81, 0xff}, repeat(0x80, 16)...)},
		"a path without flags":   {blob: []byte{0xc2, 0x80, 7}},
		"a path with odd flags":  {blob: []byte{0xc2, 0x40, 7}},
		"an empty extension":     {blob: []byte{0xc2, 0x00, 0xc0}},
		"an extension to naught": {blob: []byte{0xc4, 0x82, 0x00, 0x11, 0x80}},
		"a leaf in mid-air":      {blob: []byte{0xc2, 0x20, 7}},
		"a path beyond the key":  {blob: append(append([]byte{0xe4, 0xa2, 0x20}, repeat(0x11, 33)...), 7)},
	} {
		for _, path := range []string{"", "\x03", "\x03\x07"} {
			b.NodeReader, b.path = readerOf(t, db, root), path
			if got, err := Root(b, common.Hash{}, root, changes()); err == nil {
				t.Errorf("%s at path %x: root %v, want an error", name, path, got)
			}
		}
	}
}

func repeat(b byte, n int) (all []byte) {
	for range n {
		all = append(all, b)
	}
	return all
}

func TestTheLastChangeOfAKeyCounts(t *testing.T) {
	key := common.Hash{7}
	once, err := Root(missing{}, common.Hash{}, types.EmptyRootHash, []Change{{Key: key, Value: []byte{2}}})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Root(missing{}, common.Hash{}, types.EmptyRootHash, []Change{{Key: key, Value: []byte{1}}, {Key: key}, {Key: key, Value: []byte{2}}})
	if err != nil || twice != once {
		t.Errorf("root %v, %v, want %v", twice, err, once)
	}
	gone, err := Root(missing{}, common.Hash{}, types.EmptyRootHash, []Change{{Key: key, Value: []byte{1}}, {Key: key}})
	if err != nil || gone != types.EmptyRootHash {
		t.Errorf("root %v, %v, want the empty one", gone, err)
	}
}

func TestATrieWithoutARootIsEmpty(t *testing.T) {
	for _, changes := range [][]Change{nil, {{Key: common.Hash{7}, Value: []byte{2}}}} {
		want, err := Root(missing{}, common.Hash{}, types.EmptyRootHash, changes)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Root(missing{}, common.Hash{}, common.Hash{}, changes); err != nil || got != want {
			t.Errorf("root %v, %v after %d changes, want %v", got, err, len(changes), want)
		}
	}
}

func FuzzRoot(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(check)
}

// BenchmarkRoot compares with upstream's trie, nodes in memory.
func BenchmarkRoot(b *testing.B) {
	for _, size := range []int{100_000} {
		db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil)
		tr := upstream.NewEmpty(db)
		value := make([]byte, 100)
		key := func(i int) common.Hash { return crypto.Keccak256Hash([]byte(fmt.Sprint(i))) }
		for i := range size {
			k := key(i)
			value[0] = byte(i) | 1
			tr.MustUpdate(k[:], value)
		}
		root, nodes := tr.Commit(false)
		if err := db.Update(root, types.EmptyRootHash, 0, trienode.NewWithNodeSet(nodes), triedb.NewStateSet()); err != nil {
			b.Fatal(err)
		}
		changes := func() (all []Change) {
			for i := range 10_000 {
				all = append(all, Change{Key: key(i * 10), Value: value})
			}
			return all
		}
		b.Run("ours", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				c := changes()
				b.StartTimer()
				if _, err := Root(readerOf(b, db, root), common.Hash{}, root, c); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("upstream", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				c := changes()
				b.StartTimer()
				tr, err := upstream.New(upstream.TrieID(root), db)
				if err != nil {
					b.Fatal(err)
				}
				keys := make([][]byte, len(c))
				for i := range c {
					keys[i] = c[i].Key[:]
				}
				if err := tr.Prefetch(keys); err != nil {
					b.Fatal(err)
				}
				for i := range c {
					tr.MustUpdate(c[i].Key[:], c[i].Value)
				}
				tr.Hash()
			}
		})
	}
}

// noting is a reader that notes the paths that it was asked for.
type noting struct {
	database.NodeReader
	paths map[string]bool
}

func (n noting) Node(owner common.Hash, path []byte, hash common.Hash) ([]byte, error) {
	n.paths[string(path)] = true
	return n.NodeReader.Node(owner, path, hash)
}

func TestWalkingToAKeyReadsWhatChangingItDoes(t *testing.T) {
	seeds.Run(t, "core/trie", 200, func(t *testing.T, seed uint64) { checkWalk(t, seed) })
}

func checkWalk(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	p := newPopulation(r)
	db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil)
	root, _ := p.stored(t, db, r.IntN(600))
	if root == types.EmptyRootHash {
		return
	}
	nodes, err := db.NodeReader(root)
	if err != nil {
		t.Fatal(err)
	}
	key := p.key()
	walked := noting{nodes, make(map[string]bool)}
	if err := Walk(walked, common.Hash{}, root, key); err != nil {
		t.Fatal(err)
	}
	changed := noting{nodes, make(map[string]bool)}
	if _, err := Root(changed, common.Hash{}, root, []Change{{Key: key, Value: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(walked.paths, changed.paths) {
		t.Errorf("read %d nodes on the way to %v, and %d to change it", len(walked.paths), key, len(changed.paths))
	}
}
