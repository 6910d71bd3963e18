package workload

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

// Outcome is what becomes of a transaction that is offered after those generated before
// it, to a block with room for it.
type Outcome int

const (
	Succeeds Outcome = iota // it is included with status 1
	Fails                   // it is included with status 0
	Waits                   // its nonce is too high until a later transaction of the generator is in; then it succeeds
	Refused                 // its sender cannot pay for it
)

func (o Outcome) String() string {
	switch o {
	case Succeeds:
		return "succeeds"
	case Fails:
		return "fails"
	case Waits:
		return "waits"
	case Refused:
		return "refused"
	}
	return fmt.Sprintf("outcome %d", int(o))
}

// Tx is a signed transaction and what will become of it.
type Tx struct {
	*types.Transaction
	Kind Kind
	From common.Address
	Want Outcome
}

// TipOrder is how tips follow the order of generation.
type TipOrder int

const (
	DescendingTips TipOrder = iota // each a wei below the one before
	ShuffledTips                   // seeded, within 20 gwei; no two of a million in a row alike
)

// Limits of the sizes that Options may ask for.
const (
	MaxAccounts = 1_000_000
	MaxPools    = 10_000
	MaxWork     = 100_000
)

// Options choose a generator. The zero value of a field stands for its default.
type Options struct {
	Seed     uint64
	ChainID  uint64 // required
	Mix      Mix    // default DevnetMix
	Accounts int    // senders, used in turn; default 1000
	Pools    int    // default 16
	Rounds   int    // hashes of a Compute; default 200
	Slots    int    // slots of a Store; default 20
	Tips     TipOrder
	FeeCap   *big.Int // wei a gas; default 1000 gwei
}

func (o *Options) setDefaults() error {
	if o.ChainID == 0 {
		return fmt.Errorf("chain id is 0, allowed are positive numbers")
	}
	if o.Mix == nil {
		o.Mix = DevnetMix()
	}
	if err := o.Mix.validate(); err != nil {
		return err
	}
	for _, size := range []struct {
		name         string
		value        *int
		preset, most int
	}{
		{"accounts", &o.Accounts, 1000, MaxAccounts},
		{"pools", &o.Pools, 16, MaxPools},
		{"rounds", &o.Rounds, 200, MaxWork},
		{"slots", &o.Slots, 20, MaxWork},
	} {
		if *size.value == 0 {
			*size.value = size.preset
		}
		if *size.value < 1 || *size.value > size.most {
			return fmt.Errorf("number of %s is %d, allowed are 1 to %d", size.name, *size.value, size.most)
		}
	}
	if o.FeeCap == nil {
		o.FeeCap = big.NewInt(1000 * params.GWei)
	}
	return nil
}

// Generator makes transactions. It is used by one goroutine at a time.
type Generator struct {
	opts   Options
	signer types.Signer
	rng    *rand.Rand
	zipf   *rand.Zipf

	accounts   []*Account       // the senders, taken in turn
	recipients []common.Address // one for each sender
	hot        common.Address   // the recipient of the hot kinds
	gaps       []*Account       // the senders of Gap
	poor       []*Account       // the senders of Underfunded

	token, worker []byte // runtime codes that are deployed

	turn, gapTurn, poorTurn int  // how often a sender was taken from each list
	count                   int  // transactions made
	next                    []Tx // made already, to be returned first
}

// New returns a generator.
func New(opts Options) (*Generator, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	g := &Generator{
		opts:   opts,
		signer: types.LatestSignerForChainID(new(big.Int).SetUint64(opts.ChainID)),
		rng:    rand.New(rand.NewPCG(opts.Seed, 0x776f726b6c6f6164)),
		hot:    deriveAddress(opts.Seed, "hot recipient", 0),
	}
	g.zipf = rand.NewZipf(g.rng, 1.2, 1, uint64(opts.Pools-1))
	var err error
	if g.accounts, err = deriveAccounts(opts.Seed, "account", opts.Accounts); err != nil {
		return nil, err
	}
	if opts.Mix.has(Gap) {
		if g.gaps, err = deriveAccounts(opts.Seed, "gap", max(1, opts.Accounts/20)); err != nil {
			return nil, err
		}
	}
	if opts.Mix.has(Underfunded) {
		if g.poor, err = deriveAccounts(opts.Seed, "poor", max(1, opts.Accounts/20)); err != nil {
			return nil, err
		}
	}
	for i := range g.accounts {
		g.recipients = append(g.recipients, deriveAddress(opts.Seed, "recipient", i))
	}
	if g.token, err = runtimeCode("Token"); err != nil {
		return nil, err
	}
	if g.worker, err = runtimeCode("Worker"); err != nil {
		return nil, err
	}
	return g, nil
}

// Alloc returns the accounts and contracts that the genesis needs for this generator.
func (g *Generator) Alloc() (types.GenesisAlloc, error) {
	alloc := make(types.GenesisAlloc)
	traders := make([]common.Address, len(g.accounts))
	for i, account := range g.accounts {
		traders[i] = account.Address
		alloc[account.Address] = funded()
		alloc[g.recipients[i]] = dust()
	}
	for _, account := range g.gaps {
		alloc[account.Address] = funded()
	}
	for _, account := range g.poor {
		alloc[account.Address] = poor()
	}
	alloc[g.hot] = dust()

	mix := g.opts.Mix
	if mix.has(Swap, SwapHot, SwapZipf) {
		if err := allocTokens(alloc, traders, slices.Concat(g.recipients, []common.Address{g.hot}), tokens, g.opts.Pools); err != nil {
			return nil, err
		}
		if err := allocPools(alloc, g.opts.Pools); err != nil {
			return nil, err
		}
	} else if mix.has(ERC20, ERC20Hot) {
		if err := allocTokens(alloc, traders, slices.Concat(g.recipients, []common.Address{g.hot}), 1, 0); err != nil {
			return nil, err
		}
	}
	if mix.has(Mint) {
		if err := allocContract(alloc, "Collection", CollectionAddress()); err != nil {
			return nil, err
		}
	}
	if mix.has(Compute, Store, Revert, OutOfGas) {
		if err := allocContract(alloc, "Worker", WorkerAddress()); err != nil {
			return nil, err
		}
	}
	return alloc, nil
}

// Accounts returns the senders, without those of Gap and Underfunded.
func (g *Generator) Accounts() []*Account { return g.accounts }

// Take returns the next n transactions.
func (g *Generator) Take(n int) ([]Tx, error) {
	txs := make([]Tx, n)
	for i := range txs {
		var err error
		if txs[i], err = g.Next(); err != nil {
			return nil, err
		}
	}
	return txs, nil
}

// Next returns the next transaction. There is no last one.
func (g *Generator) Next() (Tx, error) {
	if len(g.next) == 0 {
		if err := g.generate(g.opts.Mix.draw(g.rng)); err != nil {
			return Tx{}, err
		}
	}
	tx := g.next[0]
	g.next = g.next[1:]
	return tx, nil
}

// sender returns the next sender and his number.
func (g *Generator) sender() (*Account, int) {
	i := g.turn % len(g.accounts)
	g.turn++
	return g.accounts[i], i
}

// tip returns the tip of the next transaction.
func (g *Generator) tip() *big.Int {
	i := int64(g.count)
	if g.opts.Tips == ShuffledTips {
		const serials = 1 << 20
		return big.NewInt(params.GWei + g.rng.Int64N(1<<14)*serials + i%serials)
	}
	return big.NewInt(10*params.GWei - i)
}
