package miner

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	pstate "github.com/op-geth-parallel/op-geth-parallel/core/state"
)

// Unsteady is what a Request.Chaos implements if it wants to delay executions between two
// looks at the state too. Few transactions are so long that another worker gets in between
// by itself.
type Unsteady interface {
	blockstm.Chaos
	// Moment may delay the worker.
	Moment(worker int)
}

// steady returns what a worker's EVM runs on: its view or, in tests, the view with delays.
func steady(view *pstate.View, chaos blockstm.Chaos, worker int) vm.StateDB {
	if u, ok := chaos.(Unsteady); ok {
		return &unsteadyView{View: view, moment: func() { u.Moment(worker) }}
	}
	return view
}

// unsteadyView is a view whose reads come late. What it does not name has nothing to do
// with the state that workers share.
type unsteadyView struct {
	*pstate.View
	moment func()
}

// canTransfer is pstate.CanTransfer for views with and without delays.
func canTransfer(db vm.StateDB, addr common.Address, amount *uint256.Int) bool {
	if u, ok := db.(*unsteadyView); ok {
		u.moment()
		return pstate.CanTransfer(u.View, addr, amount)
	}
	return pstate.CanTransfer(db, addr, amount)
}

// GetBalance implements vm.StateDB.
func (u *unsteadyView) GetBalance(addr common.Address) *uint256.Int {
	u.moment()
	return u.View.GetBalance(addr)
}

// AddBalance implements vm.StateDB.
func (u *unsteadyView) AddBalance(addr common.Address, amount *uint256.Int, reason tracing.BalanceChangeReason) uint256.Int {
	u.moment()
	return u.View.AddBalance(addr, amount, reason)
}

// SubBalance implements vm.StateDB.
func (u *unsteadyView) SubBalance(addr common.Address, amount *uint256.Int, reason tracing.BalanceChangeReason) uint256.Int {
	u.moment()
	return u.View.SubBalance(addr, amount, reason)
}

// GetNonce implements vm.StateDB.
func (u *unsteadyView) GetNonce(addr common.Address) uint64 {
	u.moment()
	return u.View.GetNonce(addr)
}

// GetCode implements vm.StateDB.
func (u *unsteadyView) GetCode(addr common.Address) []byte {
	u.moment()
	return u.View.GetCode(addr)
}

// GetCodeHash implements vm.StateDB.
func (u *unsteadyView) GetCodeHash(addr common.Address) common.Hash {
	u.moment()
	return u.View.GetCodeHash(addr)
}

// GetCodeSize implements vm.StateDB.
func (u *unsteadyView) GetCodeSize(addr common.Address) int {
	u.moment()
	return u.View.GetCodeSize(addr)
}

// GetState implements vm.StateDB.
func (u *unsteadyView) GetState(addr common.Address, key common.Hash) common.Hash {
	u.moment()
	return u.View.GetState(addr, key)
}

// GetStateAndCommittedState implements vm.StateDB.
func (u *unsteadyView) GetStateAndCommittedState(addr common.Address, key common.Hash) (common.Hash, common.Hash) {
	u.moment()
	return u.View.GetStateAndCommittedState(addr, key)
}

// GetStorageRoot implements vm.StateDB.
func (u *unsteadyView) GetStorageRoot(addr common.Address) common.Hash {
	u.moment()
	return u.View.GetStorageRoot(addr)
}

// Exist implements vm.StateDB.
func (u *unsteadyView) Exist(addr common.Address) bool {
	u.moment()
	return u.View.Exist(addr)
}

// Empty implements vm.StateDB.
func (u *unsteadyView) Empty(addr common.Address) bool {
	u.moment()
	return u.View.Empty(addr)
}

// AddLog implements vm.StateDB.
func (u *unsteadyView) AddLog(log *types.Log) {
	u.moment()
	u.View.AddLog(log)
}
