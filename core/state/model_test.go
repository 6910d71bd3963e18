package state

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/internal/seeds"
)

// A script is a transaction: what it does depends on what it reads, and it respects the
// order in which the EVM and the state transition call a vm.StateDB.
type script struct {
	seed   uint64
	sender common.Address
	rules  params.Rules
}

var (
	scriptAddrs = func() (addrs []common.Address) {
		for i := range 12 {
			addrs = append(addrs, common.BytesToAddress([]byte{0xaa, byte(i)}))
		}
		return append(addrs, ripemd)
	}()
	scriptKeys = []common.Hash{{1}, {2}, {3}}
)

// outcome is what a script saw, and whether it is a valid transaction.
type scriptOutcome struct {
	trace string
	valid bool
}

// run executes the script. canTransfer is the block context's function.
func (s script) run(db vm.StateDB, canTransfer vm.CanTransferFunc) (out scriptOutcome) {
	r := rand.New(rand.NewPCG(s.seed, 7))
	see := func(format string, args ...any) { out.trace += fmt.Sprintf(format+";", args...) }
	addr := func() common.Address { return scriptAddrs[r.IntN(len(scriptAddrs))] }
	key := func() common.Hash { return scriptKeys[r.IntN(len(scriptKeys))] }

	// The part before Prepare decides whether the transaction is valid.
	want := uint64(r.IntN(3))
	if nonce := db.GetNonce(s.sender); nonce > want+5 {
		see("nonce %d", nonce)
		return out
	}
	see("code %x", db.GetCode(s.sender))
	cost := uint256.NewInt(uint64(r.IntN(60)))
	if db.GetBalance(s.sender).Lt(cost) {
		see("poor")
		return out
	}
	db.SubBalance(s.sender, cost, tracing.BalanceDecreaseGasBuy)
	value := uint256.NewInt(uint64(r.IntN(30)))
	if !canTransfer(db, s.sender, value) {
		see("no value")
		return out
	}
	to := addr()
	db.Prepare(s.rules, s.sender, common.Address{0xc0}, &to, vm.ActivePrecompiles(s.rules), nil)
	db.SetNonce(s.sender, db.GetNonce(s.sender)+1, tracing.NonceChangeEoACall)

	var snapshots []int
	for range r.IntN(25) {
		a := addr()
		switch r.IntN(24) {
		case 0:
			see("balance %v", db.GetBalance(a))
		case 1:
			see("exist %v", db.Exist(a))
		case 2:
			see("empty %v", db.Empty(a))
		case 3:
			see("hash %x", db.GetCodeHash(a))
		case 4:
			see("code %x %d", db.GetCode(a), db.GetCodeSize(a))
		case 5:
			see("nonce %d", db.GetNonce(a))
		case 6:
			see("slot %x", db.GetState(a, key()))
		case 7, 8: // a transfer, as evm.Call does it
			from, amount := addr(), uint256.NewInt(uint64(r.IntN(40)))
			if !amount.IsZero() && !canTransfer(db, from, amount) {
				see("refused")
				continue
			}
			if !db.Exist(a) {
				if amount.IsZero() {
					continue
				}
				db.CreateAccount(a)
			}
			db.SubBalance(from, amount, tracing.BalanceChangeTransfer)
			db.AddBalance(a, amount, tracing.BalanceChangeTransfer)
		case 9: // a zero-value call to something that exists touches it
			if db.Exist(a) {
				db.AddBalance(a, new(uint256.Int), tracing.BalanceChangeTransfer)
			}
		case 10, 11: // only what exists has code to run
			if db.GetCodeSize(a) > 0 {
				k := key()
				current, original := db.GetStateAndCommittedState(a, k)
				see("sstore %x %x", current, original)
				db.SetState(a, k, common.BigToHash(big.NewInt(int64(r.IntN(3)))))
			}
		case 12, 13: // creation, as evm.create does it
			hash, root := db.GetCodeHash(a), db.GetStorageRoot(a)
			nonce := db.GetNonce(a)
			see("create %x %x %d", hash, root, nonce)
			if nonce != 0 || hash != (common.Hash{}) && hash != types.EmptyCodeHash || root != (common.Hash{}) && root != types.EmptyRootHash {
				continue
			}
			if !db.Exist(a) {
				db.CreateAccount(a)
			}
			db.CreateContract(a)
			db.SetNonce(a, 1, tracing.NonceChangeNewContract)
			if r.IntN(3) > 0 {
				db.SetCode(a, []byte{byte(r.IntN(3)), 1}, tracing.CodeChangeContractCreation)
			}
		case 14: // SELFDESTRUCT of a contract
			if db.GetCodeSize(a) > 0 && (!s.rules.IsCancun || db.IsNewContract(a)) {
				balance, heir := db.GetBalance(a), addr()
				if heir != a {
					db.AddBalance(heir, balance, tracing.BalanceIncreaseSelfdestruct)
				}
				db.SubBalance(a, balance, tracing.BalanceDecreaseSelfdestruct)
				db.SelfDestruct(a)
				see("destroyed %v %v", db.HasSelfDestructed(a), db.Exist(a))
			}
		case 15: // EIP-7702
			if code := db.GetCode(a); len(code) == 0 || len(code) == 23 {
				see("authority %v", db.Exist(a))
				db.SetNonce(a, db.GetNonce(a)+1, tracing.NonceChangeAuthorization)
				if r.IntN(3) == 0 {
					db.SetCode(a, nil, tracing.CodeChangeAuthorizationClear)
				} else {
					db.SetCode(a, types.AddressToDelegation(addr()), tracing.CodeChangeAuthorization)
				}
			}
		case 16:
			db.SetTransientState(a, key(), common.Hash{byte(r.IntN(3))})
		case 17:
			see("transient %x", db.GetTransientState(a, key()))
		case 18:
			db.AddRefund(uint64(r.IntN(100)))
			db.SubRefund(min(db.GetRefund(), 3))
			see("refund %d", db.GetRefund())
		case 19:
			db.AddLog(&types.Log{Address: a, Data: []byte{byte(r.IntN(9))}})
		case 20:
			db.AddAddressToAccessList(a)
			db.AddSlotToAccessList(a, key())
		case 21:
			address, slot := db.SlotInAccessList(a, key())
			see("warm %v %v %v", db.AddressInAccessList(a), address, slot)
		case 22:
			snapshots = append(snapshots, db.Snapshot())
		case 23:
			if n := len(snapshots); n > 0 {
				db.RevertToSnapshot(snapshots[n-1])
				snapshots = snapshots[:n-1]
			}
		}
	}
	// Fees.
	db.AddBalance(s.sender, uint256.NewInt(uint64(r.IntN(2))), tracing.BalanceIncreaseGasReturn)
	db.AddBalance(scriptAddrs[r.IntN(3)], uint256.NewInt(uint64(r.IntN(3))), tracing.BalanceIncreaseRewardTransactionFee)
	db.AddBalance(common.Address{0xc0}, uint256.NewInt(uint64(r.IntN(3))), tracing.BalanceIncreaseRewardTransactionFee)
	see("end %d", db.GetRefund())
	out.valid = true
	return out
}

// genesis returns the root of a random parent state and its database: accounts of all
// kinds, among them empty ones that exist and ones with storage but no code.
func randomParent(t *testing.T, r *rand.Rand) (common.Hash, state.Database) {
	db := state.NewDatabaseForTesting()
	st, err := state.New(types.EmptyRootHash, db)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range append(scriptAddrs, common.Address{0xc0}) {
		switch r.IntN(6) {
		case 0:
		case 1:
			st.CreateAccount(a) // exists though empty
			if r.IntN(4) == 0 {
				st.SetState(a, scriptKeys[0], common.Hash{9})
			}
		case 2:
			st.SetBalance(a, uint256.NewInt(uint64(r.IntN(100))), 0)
		case 3:
			st.SetNonce(a, uint64(r.IntN(3)), 0)
			st.SetBalance(a, uint256.NewInt(uint64(r.IntN(200))), 0)
		default:
			st.SetNonce(a, 1, 0)
			st.SetCode(a, []byte{0xfe, byte(r.IntN(2))}, 0)
			st.SetBalance(a, uint256.NewInt(uint64(r.IntN(100))), 0)
			for _, k := range scriptKeys {
				st.SetState(a, k, common.BigToHash(big.NewInt(int64(r.IntN(3)))))
			}
		}
	}
	root, err := st.Commit(0, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return root, db
}

// checkScripts runs random transactions one after the other on a StateDB, and out of
// order, with validation and re-execution, on Views; what each saw in the end and the
// state must be the same.
func checkScripts(t *testing.T, seed uint64, cancun bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	root, db := randomParent(t, r)
	rules := params.Rules{IsEIP2929: true, IsEIP158: true, IsBerlin: true, IsShanghai: true, IsCancun: cancun, IsPrague: cancun}

	want, err := state.New(root, db)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := state.New(root, db)
	if err != nil {
		t.Fatal(err)
	}
	got := preparedState(t, root, plain)
	if r.IntN(4) > 0 {
		got.Reader().(*Base).Bind(got.Database().(*Tries))
	}
	scripts := make([]script, 1+r.IntN(12))
	for i := range scripts {
		scripts[i] = script{seed: r.Uint64(), sender: scriptAddrs[r.IntN(len(scriptAddrs)-1)], rules: rules}
	}
	// Some run first on both, as deposits do.
	forced := r.IntN(3)
	canTransfer := func(db vm.StateDB, a common.Address, amount *uint256.Int) bool {
		return db.GetBalance(a).Cmp(amount) >= 0
	}
	runOn := func(db *state.StateDB, i int, s script) scriptOutcome {
		db.SetTxContext(common.Hash{byte(i)}, i)
		snap := db.Snapshot()
		out := s.run(db, canTransfer)
		if !out.valid {
			db.RevertToSnapshot(snap)
		}
		db.Finalise(true)
		return out
	}
	for i := range forced {
		s := script{seed: r.Uint64(), sender: scriptAddrs[r.IntN(len(scriptAddrs)-1)], rules: rules}
		runOn(want, 100+i, s)
		runOn(got, 100+i, s)
	}
	base := got.Reader().(*Base)
	if err := base.Attach(got); err != nil {
		t.Fatal(err)
	}
	ledger := NewLedger(base)

	// Speculate in random order, some more than once.
	views := []*View{NewView(base, func() {}), NewView(base, func() {})}
	footprints := make([]Footprint, len(scripts))
	outcomes := make([]scriptOutcome, len(scripts))
	incarnations := make([]blockstm.Incarnation, len(scripts))
	execute := func(i int) {
		v, tx := views[r.IntN(len(views))], blockstm.TxIndex(i)
		v.Begin(tx, &footprints[i])
		outcomes[i] = scripts[i].run(v, CanTransfer)
		blocked, err := v.Void()
		if err != nil {
			t.Fatal(err)
		}
		if blocked != blockstm.NoTx {
			outcomes[i] = scriptOutcome{trace: "blocked"}
			return
		}
		v.Seal(outcomes[i].valid)
		if outcomes[i].valid {
			outcomes[i].trace += fmt.Sprint(len(v.Logs()))
		}
		footprints[i].Publish(blockstm.Version{Tx: tx, Incarnation: incarnations[i]})
		incarnations[i]++
	}
	head := 0
	for head < len(scripts) {
		if i := head + r.IntN(len(scripts)-head); r.IntN(3) > 0 {
			if r.IntN(4) == 0 {
				footprints[i].Abort(blockstm.TxIndex(i))
			}
			execute(i)
			continue
		}
		if outcomes[head].trace == "" || outcomes[head].trace == "blocked" || !footprints[head].Valid(blockstm.TxIndex(head)) {
			execute(head)
		}
		out := runOn(want, head, scripts[head])
		if out.valid {
			out.trace += fmt.Sprint(len(want.GetLogs(common.Hash{byte(head)}, 0, common.Hash{}, 0)))
		}
		if out != outcomes[head] {
			t.Errorf("transaction %d saw\n%+v\nin parallel, and alone\n%+v", head, outcomes[head], out)
			return
		}
		if out.valid {
			ledger.Commit(blockstm.TxIndex(head), &footprints[head])
			switch r.IntN(8) {
			case 0, 1:
				ledger.Apply()
			case 2:
				checkConditional(t, r, ledger, want)
			case 3:
				if r.IntN(4) == 0 {
					ledger.Surrender()
				}
			}
		} else {
			footprints[head].Withdraw(blockstm.TxIndex(head))
		}
		head++
	}
	if r.IntN(4) == 0 {
		ledger.Surrender() // the rest of the block is sequential
		for i := range r.IntN(3) {
			s := script{seed: r.Uint64(), sender: scriptAddrs[r.IntN(len(scriptAddrs)-1)], rules: rules}
			if a, b := runOn(got, 200+i, s), runOn(want, 200+i, s); a != b {
				t.Errorf("transaction %d saw\n%+v\nafter the parallel part, and alone\n%+v", i, a, b)
			}
		}
	} else {
		ledger.Apply()
		finish(r, got, want)
	}
	compareStates(t, got, want)
	for range r.IntN(3) {
		// What RPC does with the state of the pending block.
		a, b := got, want
		if copyable {
			a, b = got.Copy(), want.Copy()
		}
		s := script{seed: r.Uint64(), sender: scriptAddrs[r.IntN(len(scriptAddrs)-1)], rules: rules}
		if x, y := runOn(a, 300, s), runOn(b, 300, s); x != y {
			t.Errorf("a transaction on a copy saw\n%+v\nin parallel, and alone\n%+v", x, y)
		}
		compareStates(t, a, b)
	}
	compareStates(t, got, want)
	if err := got.Error(); err != nil {
		t.Error(err)
	}
}

// checkConditional asks about what some accounts hold, or do not.
func checkConditional(t *testing.T, r *rand.Rand, ledger *Ledger, want *state.StateDB) {
	known := make(types.KnownAccounts)
	for range r.IntN(3) {
		addr, key := scriptAddrs[r.IntN(len(scriptAddrs))], scriptKeys[r.IntN(len(scriptKeys))]
		if r.IntN(2) == 0 {
			root := want.GetStorageRoot(addr)
			known[addr] = types.KnownAccount{StorageRoot: &root}
			continue
		}
		value := common.BigToHash(big.NewInt(int64(r.IntN(3))))
		known[addr] = types.KnownAccount{StorageSlots: map[common.Hash]common.Hash{key: value}}
	}
	c := &types.TransactionConditional{KnownAccounts: known}
	a, b := ledger.Conditional(c), want.CheckTransactionConditional(c)
	if (a == nil) != (b == nil) { // which account is looked at first is up to the map
		t.Errorf("conditional: %v, want %v", a, b)
	}
}

// finish does what may be done to a state between its last transaction and its root, such
// as paying withdrawals, and looks at some accounts.
func finish(r *rand.Rand, dbs ...*state.StateDB) {
	for range r.IntN(4) {
		addr, key, n := scriptAddrs[r.IntN(len(scriptAddrs))], scriptKeys[r.IntN(len(scriptKeys))], r.IntN(3)
		what := r.IntN(4)
		for _, db := range dbs {
			switch {
			case what == 0:
				db.AddBalance(addr, uint256.NewInt(uint64(n)), 0)
			case what == 1 && db.GetCodeSize(addr) > 0:
				db.SetState(addr, key, common.Hash{31: byte(n)})
			case what == 2:
				db.GetState(addr, key)
			}
		}
		if r.IntN(2) == 0 {
			for _, db := range dbs {
				db.Finalise(true)
			}
		}
	}
}

// compareStates compares the roots of two states, and what is in them.
func compareStates(t *testing.T, got, want *state.StateDB) {
	t.Helper()
	a, b := got.IntermediateRoot(true), want.IntermediateRoot(true)
	if a != b {
		t.Errorf("state root %v, want %v", a, b)
	}
	for _, addr := range append(scriptAddrs, common.Address{0xc0}) {
		if x, y := describe(got, addr), describe(want, addr); x != y {
			t.Errorf("%v is\n%s\nin parallel, and alone\n%s", addr, x, y)
		}
	}
}

func describe(db *state.StateDB, addr common.Address) string {
	s := fmt.Sprintf("exists %v nonce %d balance %v code %x root %x", db.Exist(addr), db.GetNonce(addr), db.GetBalance(addr), db.GetCode(addr), db.GetStorageRoot(addr))
	for _, k := range scriptKeys {
		s += fmt.Sprintf(" %x", db.GetState(addr, k))
	}
	return s
}

func TestTransactionsOnViewsSeeAndDoWhatTheyWouldAloneOnAStateDB(t *testing.T) {
	seeds.Run(t, "core/state", 1000, func(t *testing.T, seed uint64) { checkScripts(t, seed, true) })
}

func TestTheSameHoldsWhereContractsOfEarlierBlocksCanBeDestroyed(t *testing.T) {
	seeds.Run(t, "core/state", 1000, func(t *testing.T, seed uint64) { checkScripts(t, seed, false) })
}
