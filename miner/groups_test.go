package miner

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// callTo is a candidate that calls an address, with data unless it is a payment.
func callTo(to common.Address, data ...byte) *candidate {
	return &candidate{tx: types.NewTx(&types.LegacyTx{To: &to, Value: new(big.Int), Data: data})}
}

// callers draws and commits candidates that call one contract, with two payments after each,
// and returns how many were to be executed after the one before. Each has followed what
// follows says.
func callers(g *groups, first, n blockstm.TxIndex, to common.Address, follows func(tx blockstm.TxIndex) blockstm.TxIndex) (hinted int) {
	for tx := 3 * first; tx < 3*(first+n); tx += 3 {
		c := callTo(to, 1)
		switch g.drawn(tx, c) {
		case blockstm.NoTx:
		case tx - 3:
			hinted++
		default:
			panic("it waits for another one than the one before")
		}
		c.group.committed(tx, follows(tx))
		g.drawn(tx+1, callTo(common.Address{9}))
		g.drawn(tx+2, callTo(common.Address{9}))
	}
	return hinted
}

func before(tx blockstm.TxIndex) blockstm.TxIndex { return tx - 3 }
func nobody(blockstm.TxIndex) blockstm.TxIndex    { return blockstm.NoTx }

func TestCallersThatFollowOneAnotherAreExecutedInTurn(t *testing.T) {
	var g groups
	if hinted := callers(&g, 0, 100, common.Address{1}, before); hinted < 90 || hinted == 100 {
		t.Errorf("%d of 100 wait for the one before, want nearly all, and the first not: nothing is known then", hinted)
	}
	if hinted := callers(&g, 100, 100, common.Address{1}, nobody); hinted > 10 {
		t.Errorf("%d of the next 100, which follow nobody, wait", hinted)
	}
}

func TestCallersThatFollowNobodyWaitForNobody(t *testing.T) {
	var g groups
	if hinted := callers(&g, 0, 100, common.Address{1}, nobody); hinted != 0 {
		t.Errorf("%d wait", hinted)
	}
	// One in three follows: more would be lost by waiting than by executing these again.
	if hinted := callers(&g, 100, 99, common.Address{1}, func(tx blockstm.TxIndex) blockstm.TxIndex {
		if tx%9 == 0 {
			return tx - 3
		}
		return blockstm.NoTx
	}); hinted > 10 {
		t.Errorf("%d of 99 wait, of which a third would have to", hinted)
	}
}

func TestCallersOfOneContractWaitForNoneOfAnother(t *testing.T) {
	var g groups
	a, b := common.Address{1}, common.Address{2}
	for tx := blockstm.TxIndex(0); tx < 150; tx += 3 {
		one, two := callTo(a, 1), callTo(b, 1)
		after, other := g.drawn(tx, one), g.drawn(tx+1, two)
		if after != blockstm.NoTx && after != tx-3 {
			t.Fatalf("%d waits for %d, which calls another contract", tx, after)
		}
		if other != blockstm.NoTx {
			t.Fatalf("%d waits for %d, though callers of its contract never follow one another", tx+1, other)
		}
		g.drawn(tx+2, callTo(common.Address{9}))
		one.group.committed(tx, tx-3)
		two.group.committed(tx+1, tx-1000)
	}
	if g.drawn(150, callTo(a, 1)) != 147 {
		t.Error("callers that follow one another do not wait")
	}
}

func TestCallersOfTheOnlyContractDoNotWait(t *testing.T) {
	var g groups
	to, hinted := common.Address{1}, 0
	for tx := blockstm.TxIndex(0); tx < 100; tx++ {
		c := callTo(to, 1)
		if g.drawn(tx, c) != blockstm.NoTx {
			hinted++
		}
		c.group.committed(tx, tx-1)
	}
	if hinted != 0 {
		t.Errorf("%d wait, though there is nothing else to do", hinted)
	}
}

func TestPaymentsAndCreationsBelongToNoGroup(t *testing.T) {
	var g groups
	payment := callTo(common.Address{1})
	creation := &candidate{tx: types.NewTx(&types.LegacyTx{Data: []byte{1}})}
	for i, c := range []*candidate{payment, creation, {}} {
		if after := g.drawn(blockstm.TxIndex(i), c); after != blockstm.NoTx || c.group != nil {
			t.Errorf("candidate %d waits for %d, in group %v", i, after, c.group)
		}
		c.group.committed(blockstm.TxIndex(i), blockstm.TxIndex(i-1)) // must not matter
	}
}
