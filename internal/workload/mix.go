package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Kind is a kind of transaction.
type Kind string

const (
	Transfer       Kind = "transfer"        // ether, every sender to a recipient of his own
	TransferHot    Kind = "transfer-hot"    // ether, all to one recipient
	TransferSender Kind = "transfer-sender" // ether, all from one sender
	TransferRing   Kind = "transfer-ring"   // ether, every account to the next
	ERC20          Kind = "erc20"           // one token, every sender to a recipient of his own
	ERC20Hot       Kind = "erc20-hot"       // one token, all to one recipient
	Swap           Kind = "swap"            // on constant-product pools, all equally often
	SwapHot        Kind = "swap-hot"        // on one pool
	SwapZipf       Kind = "swap-zipf"       // on pools, few of them often and most seldom
	Mint           Kind = "mint"            // NFTs numbered by one counter
	Create         Kind = "create"          // deploys a contract
	DeployCall     Kind = "deploy-call"     // deploys a contract, and another sender calls it: two transactions
	Compute        Kind = "compute"         // hashes
	Store          Kind = "store"           // reads and writes many slots of the sender's own
	Revert         Kind = "revert"          // works, then reverts
	OutOfGas       Kind = "outofgas"        // runs out of gas
	Underfunded    Kind = "underfunded"     // by a sender who cannot pay
	Gap            Kind = "gap"             // one nonce too high, then, some while later, the missing one
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		Transfer, TransferHot, TransferSender, TransferRing, ERC20, ERC20Hot, Swap, SwapHot, SwapZipf,
		Mint, Create, DeployCall, Compute, Store, Revert, OutOfGas, Underfunded, Gap,
	}
}

// Share is the weight of a kind within a mix.
type Share struct {
	Kind   Kind
	Weight int
}

// Mix is a weighted set of kinds.
type Mix []Share

// ErrInvalidMix is returned (wrapped) for the text of a mix that is none.
var ErrInvalidMix = errors.New("invalid mix")

// Only returns the mix of one kind.
func Only(kind Kind) Mix { return Mix{{kind, 1}} }

// DevnetMix is what the local network runs by default: something of everything that a
// builder has to deal with, shares in percent.
func DevnetMix() Mix {
	return Mix{
		{Transfer, 35}, {ERC20, 25}, {Swap, 15}, {SwapHot, 10}, {Mint, 3},
		{Revert, 5}, {OutOfGas, 2}, {Gap, 4}, {Underfunded, 1},
	}
}

// BaseMix has the shape of a busy general-purpose chain such as Base: token transfers and
// swaps, few pools with most of the trade, some hot recipients, some failures; shares in
// percent. The shares are chosen, not measured.
func BaseMix() Mix {
	return Mix{
		{SwapZipf, 36}, {ERC20, 28}, {Transfer, 12}, {TransferHot, 4}, {ERC20Hot, 3}, {Mint, 4},
		{Compute, 3}, {Store, 3}, {Revert, 4}, {OutOfGas, 1}, {Create, 1}, {DeployCall, 1},
	}
}

// ParseMix reads a mix: "devnet", "base", a kind, or a list such as "transfer=3,swap=1".
func ParseMix(text string) (Mix, error) {
	switch text {
	case "devnet":
		return DevnetMix(), nil
	case "base":
		return BaseMix(), nil
	}
	var mix Mix
	for _, item := range strings.Split(text, ",") {
		name, number, weighted := strings.Cut(strings.TrimSpace(item), "=")
		weight := 1
		if weighted {
			var err error
			if weight, err = strconv.Atoi(number); err != nil {
				return nil, fmt.Errorf("%w: weight %q of %q is not a number", ErrInvalidMix, number, name)
			}
		}
		mix = append(mix, Share{Kind(name), weight})
	}
	return mix, mix.validate()
}

// validate reports what is wrong with a mix.
func (m Mix) validate() error {
	if len(m) == 0 {
		return fmt.Errorf("%w: it is empty", ErrInvalidMix)
	}
	for i, share := range m {
		if !slices.Contains(Kinds(), share.Kind) {
			return fmt.Errorf("%w: unknown kind %q, allowed are devnet, base, and lists of %v with weights, such as transfer=3,swap=1", ErrInvalidMix, share.Kind, Kinds())
		}
		if share.Weight < 1 || share.Weight > 1_000_000 {
			return fmt.Errorf("%w: weight of %q is %d, allowed are 1 to 1000000", ErrInvalidMix, share.Kind, share.Weight)
		}
		if slices.ContainsFunc(m[:i], func(s Share) bool { return s.Kind == share.Kind }) {
			return fmt.Errorf("%w: %q is in it twice", ErrInvalidMix, share.Kind)
		}
	}
	return nil
}

// String returns the text that ParseMix reads.
func (m Mix) String() string {
	items := make([]string, len(m))
	for i, share := range m {
		items[i] = fmt.Sprintf("%s=%d", share.Kind, share.Weight)
	}
	return strings.Join(items, ",")
}

// has reports whether one of the kinds is in the mix.
func (m Mix) has(kinds ...Kind) bool {
	return slices.ContainsFunc(m, func(s Share) bool { return slices.Contains(kinds, s.Kind) })
}

// draw picks a kind.
func (m Mix) draw(rng *rand.Rand) Kind {
	total := 0
	for _, share := range m {
		total += share.Weight
	}
	n := rng.IntN(total)
	for _, share := range m {
		if n -= share.Weight; n < 0 {
			return share.Kind
		}
	}
	return m[len(m)-1].Kind
}
