package workload

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// Gas limits, somewhat above what is used, as wallets set them. Admission to a block
// goes by these.
const (
	gasTransfer = 21_000
	gasERC20    = 50_000
	gasSwap     = 100_000
	gasMint     = 120_000
	gasFailing  = 60_000
	gasPerRound = 250    // of Worker.compute
	gasPerSlot  = 25_000 // of Worker.store
	gasCall     = 60_000 // of Worker, besides
)

// generate appends the transaction, or the two, of a kind to g.next.
func (g *Generator) generate(kind Kind) error {
	switch kind {
	case Transfer:
		from, i := g.sender()
		return g.transfer(kind, from, g.recipients[i], big.NewInt(1))
	case TransferHot:
		from, _ := g.sender()
		return g.transfer(kind, from, g.hot, big.NewInt(1))
	case TransferSender:
		return g.transfer(kind, g.accounts[0], g.recipients[g.count%len(g.recipients)], big.NewInt(1))
	case TransferRing:
		from, i := g.sender()
		return g.transfer(kind, from, g.accounts[(i+1)%len(g.accounts)].Address, big.NewInt(1))
	case ERC20, ERC20Hot:
		from, i := g.sender()
		to := g.hot
		if kind == ERC20 {
			to = g.recipients[i]
		}
		data := call("transfer(address,uint256)", common.BytesToHash(to[:]), number(1))
		return g.invoke(kind, from, TokenAddress(0), data, gasERC20, Succeeds)
	case Swap:
		return g.swap(kind, g.rng.IntN(g.opts.Pools))
	case SwapHot:
		return g.swap(kind, 0)
	case SwapZipf:
		return g.swap(kind, int(g.zipf.Uint64()))
	case Mint:
		from, _ := g.sender()
		return g.invoke(kind, from, CollectionAddress(), call("mint()"), gasMint, Succeeds)
	case Create:
		from, _ := g.sender()
		return g.create(kind, from, g.token)
	case DeployCall:
		return g.deployCall()
	case Compute:
		from, _ := g.sender()
		rounds := uint64(g.opts.Rounds)
		return g.invoke(kind, from, WorkerAddress(), call("compute(uint256)", number(rounds)), gasCall+rounds*gasPerRound, Succeeds)
	case Store:
		from, _ := g.sender()
		slots := uint64(g.opts.Slots)
		first := g.rng.Uint64N(8) * slots / 2 // overlaps with what the sender stored before, or not
		return g.invoke(kind, from, WorkerAddress(), call("store(uint256,uint256)", number(first), number(slots)), gasCall+slots*gasPerSlot, Succeeds)
	case Revert:
		from, _ := g.sender()
		return g.invoke(kind, from, WorkerAddress(), call("fail(uint256)", number(10)), gasFailing+10*gasPerRound, Fails)
	case OutOfGas:
		from, _ := g.sender()
		return g.invoke(kind, from, WorkerAddress(), call("compute(uint256)", number(1_000_000)), gasFailing, Fails)
	case Underfunded:
		from := g.poor[g.poorTurn%len(g.poor)]
		g.poorTurn++
		return g.sign(kind, from, 0, &g.hot, big.NewInt(params.Ether), nil, gasTransfer, Refused)
	case Gap:
		return g.gap()
	}
	return fmt.Errorf("%w: unknown kind %q", ErrInvalidMix, kind)
}

// transfer sends ether.
func (g *Generator) transfer(kind Kind, from *Account, to common.Address, value *big.Int) error {
	defer func() { from.nonce++ }()
	return g.sign(kind, from, from.nonce, &to, value, nil, gasTransfer, Succeeds)
}

// invoke calls a contract.
func (g *Generator) invoke(kind Kind, from *Account, to common.Address, data []byte, gas uint64, want Outcome) error {
	defer func() { from.nonce++ }()
	return g.sign(kind, from, from.nonce, &to, new(big.Int), data, gas, want)
}

// swap trades on a pool, in either direction.
func (g *Generator) swap(kind Kind, pool int) error {
	from, _ := g.sender()
	amount := 1 + g.rng.Uint64N(params.Ether)
	data := call("swap(bool,uint256,uint256)", number(g.rng.Uint64N(2)), number(amount), number(0))
	return g.invoke(kind, from, PoolAddress(pool), data, gasSwap, Succeeds)
}

// create deploys a contract.
func (g *Generator) create(kind Kind, from *Account, runtime []byte) error {
	data := initCode(runtime)
	gas := uint64(80_000) + uint64(len(data))*(params.TxDataNonZeroGasEIP2028+params.CreateDataGas)
	defer func() { from.nonce++ }()
	return g.sign(kind, from, from.nonce, nil, new(big.Int), data, gas, Succeeds)
}

// deployCall deploys a contract and has the next sender call it.
func (g *Generator) deployCall() error {
	deployer, _ := g.sender()
	addr := crypto.CreateAddress(deployer.Address, deployer.nonce)
	if err := g.create(DeployCall, deployer, g.worker); err != nil {
		return err
	}
	caller, _ := g.sender()
	return g.invoke(DeployCall, caller, addr, call("compute(uint256)", number(10)), gasCall+10*gasPerRound, Succeeds)
}

// gap sends the transaction after next of a sender, or the one that is missing since.
func (g *Generator) gap() error {
	from := g.gaps[g.gapTurn%len(g.gaps)]
	g.gapTurn++
	if from.waiting = !from.waiting; from.waiting {
		return g.sign(Gap, from, from.nonce+1, &g.hot, big.NewInt(1), nil, gasTransfer, Waits)
	}
	defer func() { from.nonce += 2 }()
	return g.sign(Gap, from, from.nonce, &g.hot, big.NewInt(1), nil, gasTransfer, Succeeds)
}

// sign appends a transaction to g.next.
func (g *Generator) sign(kind Kind, from *Account, nonce uint64, to *common.Address, value *big.Int, data []byte, gas uint64, want Outcome) error {
	tx, err := types.SignNewTx(from.Key, g.signer, &types.DynamicFeeTx{
		ChainID:   g.signer.ChainID(),
		Nonce:     nonce,
		To:        to,
		Value:     value,
		Data:      data,
		Gas:       gas,
		GasTipCap: g.tip(),
		GasFeeCap: g.opts.FeeCap,
	})
	if err != nil {
		return fmt.Errorf("signing transaction %d, %s: %w", g.count, kind, err)
	}
	g.count++
	g.next = append(g.next, Tx{Transaction: tx, Kind: kind, From: from.Address, Want: want})
	return nil
}
