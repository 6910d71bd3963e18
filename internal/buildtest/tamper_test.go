//go:build patched

package buildtest

import (
	"context"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/tracers"
	geth "github.com/ethereum/go-ethereum/miner"
	"github.com/ethereum/go-ethereum/params"
)

// tampered is a node that hands the miner a parent state which misbehaves, as often as
// told and truly from then on. It uses that op-geth's miner asks its backend for the
// state to build on, on OP Stack chains.
type tampered struct {
	*Node
	tamper func(state.Reader) state.Reader
	times  int32
	asked  atomic.Int32
}

// StateAtBlock implements op-geth's miner.BackendWithHistoricalState.
func (b *tampered) StateAtBlock(_ context.Context, block *types.Block, _ uint64, _ *state.StateDB, _, _ bool) (*state.StateDB, tracers.StateReleaseFunc, error) {
	release := func() {}
	db, err := b.chain.StateAt(block.Root())
	if err != nil || b.asked.Add(1) > b.times {
		return db, release, err
	}
	db, err = state.NewWithReader(block.Root(), db.Database(), b.tamper(db.Reader()))
	return db, release, err
}

// miner returns op-geth's miner on the node. It must be closed by the caller.
func (b *tampered) miner(threads int, configure func(*geth.Config)) *geth.Miner {
	cfg := geth.Config{
		GasCeil:  b.Scenario.GasLimit,
		GasPrice: big.NewInt(1),
		Recommit: 20 * time.Millisecond,
	}
	setThreads(&cfg, threads, b.MinTxs)
	if configure != nil {
		configure(&cfg)
	}
	return geth.New(b, cfg, b.engine)
}

// firstPayload returns what the miner's first build makes: a later one replaces it only
// if it is worth more.
func (b *tampered) firstPayload(t *testing.T, m *geth.Miner) *engine.ExecutionPayloadEnvelope {
	t.Helper()
	payload, err := m.BuildPayload(context.Background(), b.args(), false)
	if err != nil {
		t.Fatal(err)
	}
	payload.WaitFull() // should the first build be done already, the next one wakes us
	env := payload.Resolve()
	if env == nil {
		t.Fatal("no payload")
	}
	return env
}

// watchedReader calls a function before it reads an account, or code, if there is one.
type watchedReader struct {
	state.Reader
	account, code func(common.Address)
}

// Account implements state.StateReader.
func (r watchedReader) Account(addr common.Address) (*types.StateAccount, error) {
	if r.account != nil {
		r.account(addr)
	}
	return r.Reader.Account(addr)
}

// Code implements state.ContractCodeReader.
func (r watchedReader) Code(addr common.Address, hash common.Hash) []byte {
	if r.code != nil {
		r.code(addr)
	}
	return r.Reader.Code(addr, hash)
}

// conditionalScenario has transfers and, in the middle of them, one whose precondition
// is about an account that nothing else in the block touches.
func conditionalScenario(t *testing.T) (s *Scenario, about common.Address) {
	t.Helper()
	w := NewWorld("conditional-on-a-stranger", "Jovian", caseSeed())
	about = w.Fresh()
	root := types.EmptyRootHash
	for i := range 60 {
		to := w.Fresh()
		send := Send{From: w.Rich(), To: &to, Value: big.NewInt(1), Gas: params.TxGas, Tip: gweis(100 - i)}
		if i == 30 {
			send.Conditional = &types.TransactionConditional{KnownAccounts: types.KnownAccounts{about: {StorageRoot: &root}}}
		}
		w.Send(send)
	}
	s, err := w.Scenario(60, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s, about
}
