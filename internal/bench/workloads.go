package bench

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
)

// Workload is a kind of block.
type Workload struct {
	Name  string
	About string

	mix  workload.Mix // nil: make is used
	make func(w *World, accounts []*workload.Account, i int) (types.TxData, *workload.Account)
}

// Workloads returns all workloads.
func Workloads() []Workload {
	only := func(name string, kind workload.Kind, about string) Workload {
		return Workload{Name: name, About: about, mix: workload.Only(kind)}
	}
	return []Workload{
		only("transfers", workload.Transfer, "ether, every sender to a recipient of his own"),
		only("transfers-hot", workload.TransferHot, "ether, all to one recipient"),
		only("one-sender", workload.TransferSender, "ether, all from one sender"),
		only("ring", workload.TransferRing, "ether, every account to the next"),
		{Name: "vaults", About: "ether, all to the four fee vaults", make: vaultTransfer},
		only("erc20", workload.ERC20, "one token, every sender to a recipient of his own"),
		only("erc20-hot", workload.ERC20Hot, "one token, all to one recipient"),
		only("swaps", workload.Swap, "constant-product pools, all equally often"),
		only("swaps-zipf", workload.SwapZipf, "constant-product pools, Zipf distributed"),
		only("one-pool", workload.SwapHot, "one constant-product pool"),
		only("mint", workload.Mint, "NFTs numbered by one counter"),
		only("create", workload.Create, "contract creation"),
		only("compute", workload.Compute, "hashing"),
		only("storage", workload.Store, "many slots of the sender's own"),
		{Name: "base", About: "mix like that of a busy general-purpose chain such as Base, shares chosen and not measured, in percent: " + workload.BaseMix().String(), mix: workload.BaseMix()},
		{Name: "arbitrage", About: "one pool, nine of ten trades find too bad a price and revert", make: arbitrage},
	}
}

// Choices are sets of workloads with a name.
func choices() map[string][]string {
	all := make([]string, 0)
	for _, w := range Workloads() {
		all = append(all, w.Name)
	}
	return map[string][]string{
		"all":   all,
		"quick": {"transfers", "erc20", "mint"},
		"none":  nil,
	}
}

// FixtureWorkload is the name that stands for blocks of real chains.
const FixtureWorkload = "fixtures"

// ErrUnknownWorkload is returned (wrapped) for a name that no workload has.
var ErrUnknownWorkload = errors.New("unknown workload")

// ParseWorkloads reads a list of names, or "all" or "quick", and reports whether the
// fixtures are on it.
func ParseWorkloads(text string) (chosen []Workload, fixtures bool, err error) {
	known := Workloads()
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		names, isChoice := choices()[name]
		if !isChoice {
			names = []string{name}
		}
		for _, name := range names {
			at := slices.IndexFunc(known, func(w Workload) bool { return w.Name == name })
			switch {
			case name == FixtureWorkload:
				fixtures = true
			case at < 0:
				return nil, false, fmt.Errorf("%w: -workloads has %q, allowed are all, quick, none, %s and %s", ErrUnknownWorkload, name, strings.Join(choices()["all"], ", "), FixtureWorkload)
			case !slices.ContainsFunc(chosen, func(w Workload) bool { return w.Name == name }):
				chosen = append(chosen, known[at])
			}
		}
	}
	return chosen, fixtures, nil
}

// World is what all workloads of a run share: one genesis serves them all.
type World struct {
	Seed    uint64
	Senders int
	Pools   int
}

// options returns those of a workload's generator.
func (w *World) options(mix workload.Mix) workload.Options {
	return workload.Options{
		Seed:     w.Seed,
		ChainID:  opchain.DefaultChainID,
		Mix:      mix,
		Accounts: w.Senders,
		Pools:    w.Pools,
		Tips:     workload.ShuffledTips,
	}
}

// Alloc returns the accounts and contracts that the workloads need.
func (w *World) Alloc() (types.GenesisAlloc, error) {
	var everything workload.Mix
	for _, kind := range workload.Kinds() {
		everything = append(everything, workload.Share{Kind: kind, Weight: 1})
	}
	g, err := workload.New(w.options(everything))
	if err != nil {
		return nil, err
	}
	return g.Alloc()
}

// Transactions returns the workload's first n transactions.
func (w *World) Transactions(load Workload, n int) ([]*types.Transaction, error) {
	mix := load.mix
	if mix == nil {
		mix = workload.Only(workload.Transfer) // for its accounts
	}
	g, err := workload.New(w.options(mix))
	if err != nil {
		return nil, err
	}
	out := make([]*types.Transaction, n)
	if load.mix != nil {
		txs, err := g.Take(n)
		for i, tx := range txs {
			out[i] = tx.Transaction
		}
		return out, err
	}
	signer := types.LatestSignerForChainID(big.NewInt(opchain.DefaultChainID))
	for i := range out {
		data, from := load.make(w, g.Accounts(), i)
		if out[i], err = types.SignNewTx(from.Key, signer, data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fees returns the parts that the transactions of this package's own workloads share:
// tips that don't tie and follow no order.
func fees(i int) types.DynamicFeeTx {
	const step, turns = 7_919, 1 << 16 // coprime
	return types.DynamicFeeTx{
		ChainID:   big.NewInt(opchain.DefaultChainID),
		GasTipCap: big.NewInt(params.GWei + int64(i*step%turns)*1_000_000 + int64(i)),
		GasFeeCap: big.NewInt(1000 * params.GWei),
	}
}

// vaultTransfer pays into a fee vault.
func vaultTransfer(_ *World, accounts []*workload.Account, i int) (types.TxData, *workload.Account) {
	vaults := []common.Address{opchain.SequencerFeeVault(), opchain.BaseFeeVault(), opchain.L1FeeVault(), opchain.OperatorFeeVault()}
	tx := fees(i)
	tx.Nonce = uint64(i / len(accounts))
	tx.To = &vaults[i%len(vaults)]
	tx.Value = big.NewInt(1)
	tx.Gas = 100_000 // the vaults are contracts
	return &tx, accounts[i%len(accounts)]
}

// arbitrage trades on the first pool, mostly for a price that it does not get.
func arbitrage(_ *World, accounts []*workload.Account, i int) (types.TxData, *workload.Account) {
	pool := workload.PoolAddress(0)
	var direction, amount, least common.Hash
	direction[31] = byte(i & 1)
	amount = common.BigToHash(big.NewInt(params.Ether))
	if i%10 != 0 {
		least = common.BigToHash(big.NewInt(2 * params.Ether))
	}
	tx := fees(i)
	tx.Nonce = uint64(i / len(accounts))
	tx.To = &pool
	tx.Value = new(big.Int)
	tx.Gas = 100_000
	tx.Data = slices.Concat(crypto.Keccak256([]byte("swap(bool,uint256,uint256)"))[:4], direction[:], amount[:], least[:])
	return &tx, accounts[i%len(accounts)]
}
