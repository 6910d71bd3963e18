package miner

import (
	"crypto/ecdsa"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// listed is a transaction of a test's list.
type listed struct {
	from int // sender's number
	tip  uint64
	gone bool // evicted from the pool
}

// testSource is a priority list over sorted entries, best first.
type testSource struct {
	entries []listed
	txs     []*txpool.LazyTransaction
}

func (s *testSource) Peek() (*txpool.LazyTransaction, *uint256.Int) {
	if len(s.txs) == 0 {
		return nil, nil
	}
	return s.txs[0], uint256.NewInt(s.entries[0].tip)
}

func (s *testSource) Shift() { s.entries, s.txs = s.entries[1:], s.txs[1:] }

func (s *testSource) Pop() {
	var entries []listed
	var txs []*txpool.LazyTransaction
	for i, e := range s.entries {
		if e.from != s.entries[0].from {
			entries, txs = append(entries, e), append(txs, s.txs[i])
		}
	}
	s.entries, s.txs = entries, txs
}

func (s *testSource) Empty() bool { return len(s.txs) == 0 }
func (s *testSource) Clear()      { s.entries, s.txs = nil, nil }

// nowhere is a pool that has lost its transactions.
type nowhere struct{}

func (nowhere) Get(common.Hash) *types.Transaction { return nil }

func testKey(t *testing.T, from int) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte{byte(from)}))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testList(t *testing.T, signer types.Signer, entries ...listed) *testSource {
	t.Helper()
	s := &testSource{entries: entries}
	for i, e := range entries {
		tx, err := types.SignNewTx(testKey(t, e.from), signer, &types.LegacyTx{Nonce: uint64(i), Gas: 21000, GasPrice: big.NewInt(1), Value: new(big.Int)})
		if err != nil {
			t.Fatal(err)
		}
		lazy := &txpool.LazyTransaction{Hash: tx.Hash(), Tx: tx, Gas: 21000}
		if e.gone {
			lazy.Tx, lazy.Pool = nil, nowhere{}
		}
		s.txs = append(s.txs, lazy)
	}
	return s
}

// drawAll draws everything and returns the hashes, and what each was said to come after.
func drawAll(s *stream) (hashes []common.Hash, after []blockstm.TxIndex, all []*candidate) {
	for i := blockstm.TxIndex(0); ; i++ {
		c, before := s.next(i)
		if c == nil {
			return hashes, after, all
		}
		hashes, after, all = append(hashes, c.lazy.Hash), append(after, before), append(all, c)
	}
}

func TestCandidatesComeInTheOrderOfTheListsAndAfterTheirSenders(t *testing.T) {
	signer := types.LatestSignerForChainID(big.NewInt(7))
	plain := testList(t, signer, listed{from: 1, tip: 9}, listed{from: 2, tip: 8}, listed{from: 1, tip: 5}, listed{from: 1, tip: 2})
	blob := testList(t, signer, listed{from: 3, tip: 8}, listed{from: 3, tip: 7})
	p, b := append([]*txpool.LazyTransaction(nil), plain.txs...), append([]*txpool.LazyTransaction(nil), blob.txs...)

	hashes, after, _ := drawAll(newStream(signer, plain, blob))
	// At equal tips the plain one is first, as upstream has it.
	want := []*txpool.LazyTransaction{p[0], p[1], b[0], b[1], p[2], p[3]}
	wantAfter := []blockstm.TxIndex{blockstm.NoTx, blockstm.NoTx, blockstm.NoTx, 2, 0, 4}
	if len(hashes) != len(want) {
		t.Fatalf("%d candidates, want %d", len(hashes), len(want))
	}
	for i := range want {
		if hashes[i] != want[i].Hash || after[i] != wantAfter[i] {
			t.Errorf("candidate %d is %v after %d, want %v after %d", i, hashes[i], after[i], want[i].Hash, wantAfter[i])
		}
	}
}

func TestADroppedAccountIsNotDrawnAnyMore(t *testing.T) {
	signer := types.LatestSignerForChainID(big.NewInt(7))
	plain := testList(t, signer, listed{from: 1, tip: 9}, listed{from: 2, tip: 8}, listed{from: 1, tip: 7}, listed{from: 2, tip: 6})
	p := append([]*txpool.LazyTransaction(nil), plain.txs...)
	s := newStream(signer, plain, noTxs{})
	first, _ := s.next(0)
	first.account.dropped.Store(true)
	hashes, _, _ := drawAll(s)
	if len(hashes) != 2 || hashes[0] != p[1].Hash || hashes[1] != p[3].Hash {
		t.Errorf("after the drop came %v, want the second sender's two", hashes)
	}
}

func TestAnEvictedTransactionIsACandidateThatEndsItsAccount(t *testing.T) {
	signer := types.LatestSignerForChainID(big.NewInt(7))
	plain := testList(t, signer, listed{from: 1, tip: 9, gone: true}, listed{from: 2, tip: 8}, listed{from: 1, tip: 7})
	_, _, all := drawAll(newStream(signer, plain, noTxs{}))
	if len(all) != 2 || all[0].tx != nil || all[1].tx == nil {
		t.Fatalf("%d candidates, want the evicted one and the other sender's", len(all))
	}
}

func TestWhatIsHandedBackIsEveryCandidateThatIsStillInTheRunning(t *testing.T) {
	signer := types.LatestSignerForChainID(big.NewInt(7))
	plain := testList(t, signer, listed{from: 1, tip: 9}, listed{from: 2, tip: 8}, listed{from: 1, tip: 7}, listed{from: 3, tip: 6}, listed{from: 2, tip: 5})
	blob := testList(t, signer, listed{from: 4, tip: 1})
	p := append([]*txpool.LazyTransaction(nil), plain.txs...)
	s := newStream(signer, plain, blob)
	var drawn []*candidate
	for i := range 3 {
		c, _ := s.next(blockstm.TxIndex(i))
		drawn = append(drawn, c)
	}
	drawn[1].account.dropped.Store(true) // the second sender
	restPlain, restBlob := s.rest(drawn[1:])

	one, three := crypto.PubkeyToAddress(testKey(t, 1).PublicKey), crypto.PubkeyToAddress(testKey(t, 3).PublicKey)
	if len(restPlain) != 2 || len(restPlain[one]) != 1 || restPlain[one][0] != p[2] || len(restPlain[three]) != 1 || restPlain[three][0] != p[3] {
		t.Errorf("rest is %v, want the first sender's third transaction and the third sender's", restPlain)
	}
	if len(restBlob) != 1 {
		t.Errorf("%d senders of blob transactions are left, want 1", len(restBlob))
	}
	if !s.plain.Empty() || !s.blob.Empty() {
		t.Error("something is left in the lists")
	}
}
