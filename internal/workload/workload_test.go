package workload

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
)

const testSeed = 42

func newGenerator(t *testing.T, opts Options) *Generator {
	t.Helper()
	opts.ChainID = opchain.DefaultChainID
	g, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func loadTemplate(t *testing.T) *opchain.Template {
	t.Helper()
	template, err := opchain.LoadTemplate()
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// executor runs transactions one after the other on the state of a generator's genesis.
type executor struct {
	db     *state.StateDB
	evm    *vm.EVM
	header *types.Header
	gas    *core.GasPool
	signer types.Signer
	count  int
}

func newExecutor(t *testing.T, template *opchain.Template, g *Generator) *executor {
	t.Helper()
	alloc, err := g.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	genesis, err := template.Genesis(opchain.Options{Alloc: alloc, Compact: true})
	if err != nil {
		t.Fatal(err)
	}
	chain, err := opchain.NewLocal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	bc := chain.BlockChain()
	db, err := bc.State()
	if err != nil {
		t.Fatal(err)
	}
	header := types.CopyHeader(bc.CurrentBlock())
	header.Number.Add(header.Number, common.Big1)
	header.Time += 2
	coinbase := opchain.SequencerFeeVault()
	evm := vm.NewEVM(core.NewEVMBlockContext(header, bc, &coinbase, bc.Config(), db), db, bc.Config(), vm.Config{})
	return &executor{db: db, evm: evm, header: header, gas: core.NewGasPool(1 << 60), signer: types.LatestSigner(bc.Config())}
}

// run executes a transaction and returns its result, or why it cannot be in a block.
func (e *executor) run(tx *types.Transaction) (*core.ExecutionResult, error) {
	msg, err := core.TransactionToMessage(tx, e.signer, e.header.BaseFee)
	if err != nil {
		return nil, err
	}
	snapshot := e.db.Snapshot()
	e.db.SetTxContext(tx.Hash(), e.count)
	result, err := core.ApplyMessage(e.evm, msg, e.gas)
	if err != nil {
		e.db.RevertToSnapshot(snapshot)
		return nil, err
	}
	e.db.Finalise(true)
	e.count++
	return result, nil
}

// checkOutcomes runs transactions in their order and compares what becomes of each with
// what was promised. It returns the results of those that were executed.
func checkOutcomes(t *testing.T, e *executor, txs []Tx) map[common.Hash]*core.ExecutionResult {
	t.Helper()
	results := make(map[common.Hash]*core.ExecutionResult)
	waiting := make(map[common.Address]Tx)
	for i, tx := range txs {
		result, err := e.run(tx.Transaction)
		switch tx.Want {
		case Succeeds, Fails:
			if err != nil {
				t.Fatalf("seed %d: transaction %d (%s) should be included: %v", testSeed, i, tx.Kind, err)
			}
			if (tx.Want == Fails) != result.Failed() {
				t.Fatalf("seed %d: transaction %d (%s) %s by promise, but its error is %v, gas used %d of %d", testSeed, i, tx.Kind, tx.Want, result.Err, result.UsedGas, tx.Gas())
			}
			results[tx.Hash()] = result
		case Waits:
			if !errors.Is(err, core.ErrNonceTooHigh) {
				t.Fatalf("seed %d: transaction %d (%s) should have too high a nonce: %v", testSeed, i, tx.Kind, err)
			}
			waiting[tx.From] = tx
			continue
		case Refused:
			if !errors.Is(err, core.ErrInsufficientFunds) {
				t.Fatalf("seed %d: transaction %d (%s) should be short of funds: %v", testSeed, i, tx.Kind, err)
			}
			continue
		}
		if held, ok := waiting[tx.From]; ok {
			delete(waiting, tx.From)
			if result, err := e.run(held.Transaction); err != nil || result.Failed() {
				t.Fatalf("seed %d: transaction %d (%s) fills a gap, but the one after it does not succeed: %v", testSeed, i, tx.Kind, err)
			}
		}
	}
	return results
}

func TestEveryKindExecutesAsPromised(t *testing.T) {
	template := loadTemplate(t)
	for _, kind := range Kinds() {
		for _, accounts := range []int{1, 7, 40} {
			g := newGenerator(t, Options{Seed: testSeed, Mix: Only(kind), Accounts: accounts, Pools: 13})
			txs, err := g.Take(120)
			if err != nil {
				t.Fatal(err)
			}
			results := checkOutcomes(t, newExecutor(t, template, g), txs)
			most := 0.0
			for i, tx := range txs {
				if tx.Kind != kind {
					t.Errorf("%s: transaction %d is of kind %s", kind, i, tx.Kind)
				}
				if result := results[tx.Hash()]; result != nil && tx.Want == Succeeds {
					most = max(most, float64(result.UsedGas)/float64(tx.Gas()))
				}
			}
			// Too generous a limit would leave blocks half empty: admission goes by limits.
			if len(results) > 0 && txs[0].Want == Succeeds && most < 0.5 {
				t.Errorf("%s, %d accounts: no transaction uses more than %.2f of its gas limit", kind, accounts, most)
			}
		}
	}
}

func TestMixesExecuteAsPromised(t *testing.T) {
	template := loadTemplate(t)
	for _, name := range []string{"devnet", "base", "transfer=1,deploy-call=2,gap=1"} {
		mix, err := ParseMix(name)
		if err != nil {
			t.Fatal(err)
		}
		g := newGenerator(t, Options{Seed: testSeed, Mix: mix, Accounts: 50})
		txs, err := g.Take(1500)
		if err != nil {
			t.Fatal(err)
		}
		checkOutcomes(t, newExecutor(t, template, g), txs)

		kinds := make(map[Kind]int)
		for _, tx := range txs {
			kinds[tx.Kind]++
		}
		for _, share := range mix {
			if kinds[share.Kind] == 0 {
				t.Errorf("mix %s: no %s among %d transactions", name, share.Kind, len(txs))
			}
		}
	}
}

func TestTransactionsHaveTheEffectsTheirKindNames(t *testing.T) {
	template := loadTemplate(t)
	const n = 30
	balance := func(e *executor, addr common.Address) uint64 { return e.db.GetBalance(addr).Uint64() }
	tokens := func(e *executor, addr common.Address) uint64 {
		return e.db.GetState(TokenAddress(0), mapSlot(addr, 0)).Big().Uint64()
	}
	for _, test := range []struct {
		kind  Kind
		check func(g *Generator, e *executor) bool
	}{
		{Transfer, func(g *Generator, e *executor) bool { return balance(e, g.recipients[3]) == 1+n/10 }},
		{TransferHot, func(g *Generator, e *executor) bool { return balance(e, g.hot) == 1+n }},
		{TransferSender, func(g *Generator, e *executor) bool { return e.db.GetNonce(g.accounts[0].Address) == n }},
		{ERC20, func(g *Generator, e *executor) bool { return tokens(e, g.recipients[9]) == 1+n/10 }},
		{ERC20Hot, func(g *Generator, e *executor) bool { return tokens(e, g.hot) == 1+n }},
		{SwapHot, func(g *Generator, e *executor) bool {
			return e.db.GetState(PoolAddress(0), common.Hash{31: 2}) != e.db.GetCommittedState(PoolAddress(1), common.Hash{31: 2})
		}},
		{Mint, func(g *Generator, e *executor) bool {
			return e.db.GetState(CollectionAddress(), common.Hash{}).Big().Uint64() == n
		}},
		{Compute, func(g *Generator, e *executor) bool {
			return e.db.GetState(WorkerAddress(), mapSlot(g.accounts[0].Address, 0)) != (common.Hash{})
		}},
		{Revert, func(g *Generator, e *executor) bool {
			return e.db.GetState(WorkerAddress(), mapSlot(g.accounts[0].Address, 0)) == (common.Hash{})
		}},
	} {
		g := newGenerator(t, Options{Seed: testSeed, Mix: Only(test.kind), Accounts: 10, Pools: 2})
		txs, err := g.Take(n)
		if err != nil {
			t.Fatal(err)
		}
		e := newExecutor(t, template, g)
		checkOutcomes(t, e, txs)
		if !test.check(g, e) {
			t.Errorf("%s: seed %d: %d transactions did not have the effect", test.kind, testSeed, n)
		}
	}
}

func TestSwapsKeepTheReservesEqualToTheTokensOfThePool(t *testing.T) {
	template := loadTemplate(t)
	const pools = 14
	g := newGenerator(t, Options{Seed: testSeed, Mix: Only(SwapZipf), Accounts: 10, Pools: pools})
	txs, err := g.Take(400)
	if err != nil {
		t.Fatal(err)
	}
	e := newExecutor(t, template, g)
	checkOutcomes(t, e, txs)
	traded := 0
	for p := range pools {
		word := e.db.GetState(PoolAddress(p), common.Hash{31: 2})
		a, b := poolTokens(p)
		if a == b {
			t.Fatalf("pool %d trades token %d for itself", p, a)
		}
		for _, side := range []struct {
			token   int
			reserve []byte
		}{{a, word[16:]}, {b, word[:16]}} {
			held := e.db.GetState(TokenAddress(side.token), mapSlot(PoolAddress(p), 0))
			if held != common.BytesToHash(side.reserve) {
				t.Errorf("seed %d: pool %d keeps %x of token %d in its books and has %x", testSeed, p, side.reserve, side.token, held)
			}
			if held != reserve() {
				traded++
			}
		}
	}
	if traded < 8 {
		t.Errorf("seed %d: only %d reserves moved", testSeed, traded)
	}
}

func TestTheSameSeedGivesTheSameTransactions(t *testing.T) {
	for _, tips := range []TipOrder{DescendingTips, ShuffledTips} {
		take := func(seed uint64) []byte {
			g := newGenerator(t, Options{Seed: seed, Mix: BaseMix(), Accounts: 20, Tips: tips})
			txs, err := g.Take(200)
			if err != nil {
				t.Fatal(err)
			}
			var all bytes.Buffer
			for _, tx := range txs {
				all.Write(tx.Hash().Bytes())
			}
			return all.Bytes()
		}
		if !bytes.Equal(take(1), take(1)) {
			t.Error("seed 1 gave different transactions")
		}
		if bytes.Equal(take(1), take(2)) {
			t.Error("seeds 1 and 2 gave the same transactions")
		}
	}
}

func TestTipsNeverTieAndFeesCoverThem(t *testing.T) {
	for _, tips := range []TipOrder{DescendingTips, ShuffledTips} {
		g := newGenerator(t, Options{Seed: testSeed, Mix: Only(Transfer), Accounts: 3, Tips: tips})
		txs, err := g.Take(3000)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for i, tx := range txs {
			if seen[tx.GasTipCap().String()] {
				t.Fatalf("tip of transaction %d is not its own", i)
			}
			seen[tx.GasTipCap().String()] = true
			if tips == DescendingTips && i > 0 && tx.GasTipCap().Cmp(txs[i-1].GasTipCap()) >= 0 {
				t.Fatalf("tip of transaction %d is not below the one before", i)
			}
			if room := new(big.Int).Sub(tx.GasFeeCap(), tx.GasTipCap()); room.Cmp(big.NewInt(100*params.GWei)) < 0 {
				t.Fatalf("transaction %d leaves %s wei to the base fee", i, room)
			}
		}
	}
}

func TestMixesAreReadAndRefused(t *testing.T) {
	for _, text := range []string{"devnet", "base", "swap", "transfer=3,swap=1"} {
		mix, err := ParseMix(text)
		if err != nil {
			t.Errorf("ParseMix(%q): %v", text, err)
			continue
		}
		again, err := ParseMix(mix.String())
		if err != nil || again.String() != mix.String() {
			t.Errorf("ParseMix(%q) gives %q, which gives %q, %v", text, mix, again, err)
		}
	}
	for _, text := range []string{"", "nonsense", "swap=", "swap=x", "swap=0", "swap=-1", "swap=1,swap=2", "swap,,"} {
		if mix, err := ParseMix(text); !errors.Is(err, ErrInvalidMix) {
			t.Errorf("ParseMix(%q) gives %v, %v", text, mix, err)
		}
	}
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	for _, opts := range []Options{
		{},
		{ChainID: 1, Accounts: -1},
		{ChainID: 1, Accounts: MaxAccounts + 1},
		{ChainID: 1, Pools: -1},
		{ChainID: 1, Mix: Mix{}},
		{ChainID: 1, Mix: Mix{{"nonsense", 1}}},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("New(%+v) gave no error", opts)
		}
	}
}
