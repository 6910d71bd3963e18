package miner

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// offered is a candidate whose execution ends as it says, and what the model knows of it.
type offered struct {
	from    int
	tip     uint64
	gas     uint64 // limit
	used    uint64
	da      uint64
	noDA    bool // the pool does not state its DA size
	blobs   int
	evicted bool
	err     error // how the execution ends

	tx *types.Transaction
}

// bounds are a block's.
type bounds struct {
	jovian, cancun bool
	gas            uint64
	da             uint64 // of a block, 0: none
	start, size    uint64
	blobs          int
	scalar         uint16
}

// ending is what a model and the builder have to agree on.
type ending struct {
	included                             []common.Hash
	gasLeft, gasUsed, blobGas, size, sum uint64 // sum is of the receipts' cumulative gas
	da                                   uint64
}

// lists are both priority lists, plain and blob, by sender.
type lists [2][][]*offered

// best returns the best candidate of a list, the earlier sender's if two tip the same.
func best(queues [][]*offered) int {
	found := -1
	for i, q := range queues {
		if len(q) > 0 && (found < 0 || q[0].tip > queues[found][0].tip) {
			found = i
		}
	}
	return found
}

// modelFill is upstream's loop over transactions that are only numbers.
func modelFill(all lists, b bounds) ending {
	e := ending{gasLeft: b.gas, size: b.start}
	blobs, da := 0, uint64(0)
	for {
		footprintLeft := b.gas - e.blobGas
		if e.gasLeft < params.TxGas || b.jovian && footprintLeft < types.MinTransactionSize.Uint64()*uint64(b.scalar) {
			break
		}
		if best(all[1]) >= 0 && blobs >= b.blobs {
			all[1] = nil
		}
		list, i := 0, best(all[0])
		if j := best(all[1]); j >= 0 && (i < 0 || all[0][i][0].tip < all[1][j][0].tip) {
			list, i = 1, j
		}
		if i < 0 {
			break
		}
		tx := all[list][i][0]
		shift := func() { all[list][i] = all[list][i][1:] }
		pop := func() { all[list][i] = nil }
		if e.gasLeft < tx.gas || b.cancun && b.blobs-blobs < tx.blobs {
			pop()
			continue
		}
		footprint := uint64(0)
		if b.jovian {
			if footprint = tx.da * uint64(b.scalar); footprintLeft < footprint {
				pop()
				continue
			}
		}
		after := uint64(0)
		if !tx.noDA && b.da > 0 {
			if after = da + tx.da; after > b.da {
				break // not even the smallest fits into what is left, which is less than nothing
			}
		}
		if tx.evicted {
			pop()
			continue
		}
		if e.size+tx.tx.Size() >= b.size {
			break
		}
		if blobs+tx.blobs > b.blobs && tx.blobs > 0 {
			pop()
			continue
		}
		switch {
		case errors.Is(tx.err, core.ErrNonceTooLow):
			shift()
		case tx.err != nil:
			pop()
		default:
			e.included = append(e.included, tx.tx.Hash())
			e.gasLeft -= tx.used
			e.gasUsed += tx.used
			e.sum += e.gasUsed
			e.size += tx.tx.WithoutBlobTxSidecar().Size()
			e.blobGas += footprint + uint64(tx.blobs)*params.BlobTxBlobGasPerBlob
			blobs += tx.blobs
			da = after
			shift()
		}
	}
	e.da = da
	return e
}

// queueSource is a TxSource of these lists.
type queueSource struct {
	queues [][]*offered
	lazies map[*offered]*txpool.LazyTransaction
}

func (s *queueSource) Peek() (*txpool.LazyTransaction, *uint256.Int) {
	i := best(s.queues)
	if i < 0 {
		return nil, nil
	}
	o := s.queues[i][0]
	return s.lazies[o], uint256.NewInt(o.tip)
}
func (s *queueSource) Shift()      { i := best(s.queues); s.queues[i] = s.queues[i][1:] }
func (s *queueSource) Pop()        { s.queues[best(s.queues)] = nil }
func (s *queueSource) Empty() bool { return best(s.queues) < 0 }
func (s *queueSource) Clear()      { s.queues = nil }

// fuzzPool holds signed transactions, which are too expensive to make for each input.
type fuzzPool struct {
	signer types.Signer
	plain  [6][12]*types.Transaction
	blob   [6][3]*types.Transaction // with one blob more each
}

func newFuzzPool(f *testing.F) *fuzzPool {
	p := &fuzzPool{signer: types.LatestSignerForChainID(params.MergedTestChainConfig.ChainID)}
	sign := func(key *ecdsa.PrivateKey, data types.TxData) *types.Transaction {
		tx, err := types.SignNewTx(key, p.signer, data)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := types.Sender(p.signer, tx); err != nil { // it remembers
			f.Fatal(err)
		}
		return tx
	}
	for from := range p.plain {
		key, err := crypto.ToECDSA(crypto.Keccak256([]byte{byte(from)}))
		if err != nil {
			f.Fatal(err)
		}
		for i := range p.plain[from] {
			p.plain[from][i] = sign(key, &types.LegacyTx{Nonce: uint64(i), Gas: params.TxGas, GasPrice: big.NewInt(1), Value: new(big.Int), Data: make([]byte, i*40)})
		}
		for i := range p.blob[from] {
			sidecar := types.NewBlobTxSidecar(types.BlobSidecarVersion0, make([]kzg4844.Blob, i+1), make([]kzg4844.Commitment, i+1), make([]kzg4844.Proof, i+1))
			p.blob[from][i] = sign(key, &types.BlobTx{Nonce: uint64(i), Gas: params.TxGas, BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar})
		}
	}
	return p
}

// decode makes bounds and lists of bytes: eight for the bounds, six a candidate.
func (p *fuzzPool) decode(data []byte) (b bounds, all lists) {
	var head [8]byte
	n := copy(head[:], data)
	b = bounds{
		jovian: head[0]%3 == 0, cancun: head[0]%3 != 2,
		gas:    uint64(head[1])*10_000 + 15_000,
		start:  600,
		size:   600 + uint64(head[3]%12)*p.plain[0][0].Size() + uint64(head[6]%3) + uint64(head[7])*40, // to the byte, now and then
		blobs:  int(head[4] % 6),
		scalar: uint16(head[5]),
	}
	if head[2] > 0 && head[0]%3 != 1 {
		b.da = uint64(head[2]) * 20
	}
	all[0], all[1] = make([][]*offered, 6), make([][]*offered, 6)
	for data = data[n:]; len(data) >= 6; data = data[6:] {
		o := &offered{
			from: int(data[0] % 6), tip: uint64(data[1] % 16), gas: params.TxGas + uint64(data[2])*2000,
			da: 100 + uint64(data[4]), evicted: data[5]&0x0f == 1,
		}
		o.used = params.TxGas + (o.gas-params.TxGas)*uint64(data[3])/255
		o.noDA = !b.jovian && data[5]&0x0f == 2
		switch data[5] >> 4 {
		case 0:
			o.err = core.ErrNonceTooLow
		case 1:
			o.err = core.ErrNonceTooHigh
		case 2:
			o.err = core.ErrInsufficientFunds
		}
		list := 0
		if data[0]&0x40 != 0 && head[0]%3 == 1 { // a chain with blobs
			list = 1
		}
		nth := len(all[list][o.from])
		switch {
		case list == 0 && nth < len(p.plain[o.from]):
			o.tx = p.plain[o.from][nth]
		case list == 1 && nth < len(p.blob[o.from]):
			o.tx, o.blobs = p.blob[o.from][nth], nth+1
		default:
			continue
		}
		all[list][o.from] = append(all[list][o.from], o)
	}
	return b, all
}

// fill has the builder's stream, admission and commit decide about the lists, ahead many
// candidates being drawn before they are decided.
func (p *fuzzPool) fill(b bounds, all lists, ahead int) (e ending, err error) {
	config := *params.MergedTestChainConfig
	switch {
	case b.jovian:
		config = *params.OptimismTestConfig
	case !b.cancun:
		config.CancunTime, config.PragueTime, config.OsakaTime = nil, nil, nil
	}
	root, db := types.EmptyRootHash, state.NewDatabaseForTesting()
	plain, err := state.New(root, db)
	if err != nil {
		return e, err
	}
	base := pstate.NewBase(plain.Reader(), nil)
	st, err := state.NewWithReader(root, db, base)
	if err == nil {
		err = base.Attach(st)
	}
	if err != nil {
		return e, err
	}
	block := &Block{
		Config: &config, Signer: p.signer, State: st, GasPool: core.NewGasPool(b.gas), Size: b.start, DAFootprintGasScalar: b.scalar,
		Header:     &types.Header{Number: big.NewInt(1), Time: 1, GasLimit: b.gas, BlobGasUsed: new(uint64)},
		RPCContext: context.Background(),
	}
	limits := Limits{MaxBlobs: func() int { return b.blobs }, MaxSize: b.size}
	if b.da > 0 {
		limits.MaxDABlockSize = new(big.Int).SetUint64(b.da)
	}
	var sources [2]*queueSource
	scripts := make(map[*txpool.LazyTransaction]*offered)
	for i := range sources {
		sources[i] = &queueSource{queues: slices.Clone(all[i]), lazies: make(map[*offered]*txpool.LazyTransaction)}
		for _, o := range slices.Concat(all[i]...) {
			lazy := &txpool.LazyTransaction{Hash: o.tx.Hash(), Tx: o.tx, Gas: o.gas, BlobGas: uint64(o.blobs) * params.BlobTxBlobGasPerBlob, DABytes: new(big.Int).SetUint64(o.da)}
			if o.noDA {
				lazy.DABytes = nil
			}
			if o.evicted {
				lazy.Tx, lazy.Pool = nil, nowhere{}
			}
			sources[i].lazies[o], scripts[lazy] = lazy, o
		}
	}
	ledger := pstate.NewLedger(base)
	r := &run{stream: newStream(p.signer, sources[0], sources[1]), ledger: ledger, course: new(course), positions: make([]position, 64)}
	r.admission = newAdmission(block, limits, ledger)

	hopeless := make(map[blockstm.TxIndex]bool)
	tail, more := blockstm.TxIndex(0), true
	for head := blockstm.TxIndex(0); ; head++ {
		for more && int(tail-head) < ahead {
			if _, more = r.Next(tail); more {
				// Workers ask at any time before the commit; the answer must stay right.
				hopeless[tail] = r.admission.hopeless(r.position(tail).candidate)
				tail++
			}
		}
		if head == tail {
			break
		}
		at := r.position(head)
		c := at.candidate
		if at.outcome = (outcome{skipped: true}); !hopeless[head] {
			o := scripts[c.lazy]
			c.message = &core.Message{GasLimit: o.gas}
			at.outcome = outcome{err: o.err, gasUsed: o.used, gasReturned: o.gas - o.used,
				receipt: &types.Receipt{TxHash: o.tx.Hash(), GasUsed: o.used, BlobGasUsed: uint64(o.blobs) * params.BlobTxBlobGasPerBlob}}
		}
		if c.tx == nil && !hopeless[head] {
			return e, fmt.Errorf("candidate %d, which is evicted, is to be executed", head)
		}
		on, err := r.Commit(head)
		if err != nil {
			return e, fmt.Errorf("candidate %d: %w", head, err)
		}
		if !on {
			break
		}
	}
	e = ending{gasLeft: block.GasPool.Gas(), gasUsed: block.Header.GasUsed, blobGas: *block.Header.BlobGasUsed, size: block.Size, da: r.admission.daBytes}
	for i, tx := range block.Txs {
		e.included = append(e.included, tx.Hash())
		e.sum += block.Receipts[i].CumulativeGasUsed
		if block.Receipts[i].TransactionIndex != uint(i) {
			return e, fmt.Errorf("receipt %d says it is number %d", i, block.Receipts[i].TransactionIndex)
		}
	}
	return e, nil
}

// FuzzAdmission compares the builder's decisions, with candidates drawn ahead and some
// given up before their turn, with upstream's loop over the same numbers.
func FuzzAdmission(f *testing.F) {
	p := newFuzzPool(f)
	ok := []byte{0, 9, 10, 200, 50, 0xf0}
	f.Add([]byte{0, 200, 0, 200, 3, 40, 0, 0, 0, 9, 10, 200, 50, 0xf0, 1, 8, 10, 0, 50, 0xf0}, uint8(4))
	f.Add(append([]byte{1, 100, 0, 255, 3, 0, 0, 0}, slices.Concat(ok, []byte{0x41, 9, 0, 0, 0, 0xf0}, []byte{0x41, 9, 0, 0, 0, 0xf0}, []byte{0x42, 3, 0, 0, 0, 0xf1}, ok)...), uint8(1))
	f.Add(append([]byte{2, 40, 60, 60, 0, 0, 0, 0}, slices.Concat(ok, ok, []byte{0, 9, 100, 200, 50, 0x10}, []byte{3, 9, 100, 200, 50, 0x02}, ok, ok)...), uint8(16))
	f.Fuzz(func(t *testing.T, data []byte, ahead uint8) {
		if len(data) > 8+6*60 {
			t.Skip("too long to be interesting")
		}
		b, all := p.decode(data)
		window := 1 + int(ahead%32)
		got, err := p.fill(b, all, window)
		if err != nil {
			t.Fatal(err)
		}
		model := lists{slices.Clone(all[0]), slices.Clone(all[1])}
		want := modelFill(model, b)
		if !slices.Equal(got.included, want.included) {
			t.Errorf("%d transactions included, want %d:\n%v\n%v", len(got.included), len(want.included), got.included, want.included)
		}
		got.included, want.included = nil, nil
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with %+v and %d ahead:\ngot  %+v\nwant %+v", b, window, got, want)
		}
	})
}
