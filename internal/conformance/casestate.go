package conformance

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/tests"
	"github.com/holiman/uint256"
)

// Suites of cases.
const (
	suiteState  = "state tests"                   // one transaction a block
	suiteMerged = "state tests sharing one block" // all transactions of a test and fork
	suiteBlocks = "block fixtures"
)

// mergedSize bounds the transactions of a block that several cases share. Few cases are
// repeated until there are as many as mergedMin.
const (
	mergedSize = 48
	mergedMin  = 6
)

// stateFile runs all cases of one file of state tests.
func (r *Runner) stateFile(name string, data []byte) error {
	found, err := decodeStateTests(data)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errOther
	}
	for _, test := range slices.Sorted(maps.Keys(found)) {
		t := found[test]
		id := name
		if len(found) > 1 {
			id += " " + test
		}
		for _, fork := range slices.Sorted(maps.Keys(t.Post)) {
			r.stateFork(id, fork, t)
		}
	}
	return nil
}

// stateFork runs the cases of one test under one fork.
func (r *Runner) stateFork(name, fork string, t *stateTest) {
	posts := t.Post[fork]
	if reason := skipped(name, fork, r.opts.Slow); reason != "" {
		for i := range posts {
			r.report.add(result{suite: suiteState, fork: fork, name: fmt.Sprintf("%s %s/%d", name, fork, i), skip: reason})
		}
		return
	}
	config, _, err := tests.GetChainConfig(fork)
	if err != nil {
		return // skipped says so above
	}
	pre, err := newPreState(t.Pre)
	if err != nil {
		r.report.add(result{suite: suiteState, fork: fork, name: name, err: err})
		return
	}
	for i := range posts {
		id := fmt.Sprintf("%s %s/%d", name, fork, i)
		r.each(suiteState, fork, id, func(workers int) (*outcome, error) { return runState(t, id, &posts[i], config, pre, workers) })
	}
	if r.opts.Single || r.opts.Sequential {
		return
	}
	merged, err := t.merge(posts, config)
	if err != nil {
		r.report.add(result{suite: suiteMerged, fork: fork, name: name + " " + fork, err: err})
		return
	}
	if merged == nil {
		return
	}
	want, err := merged.run(Sequential)
	if err != nil {
		r.report.add(result{suite: suiteMerged, fork: fork, name: name + " " + fork, err: err})
		return
	}
	r.each(suiteMerged, fork, name+" "+fork, func(workers int) (*outcome, error) {
		got, err := merged.disturbed(fmt.Sprint(name, fork, workers)).run(workers)
		if err != nil {
			return nil, err
		}
		return got, got.same(want)
	})
}

// skipped returns why cases are not run: because unpatched op-geth's runner does not run
// them. It is empty for all others. Slow cases can be run nevertheless.
func skipped(name, fork string, slow bool) string {
	switch {
	case slow:
	case strings.Contains(name, "stTimeConsuming/"), strings.Contains(name, "vmPerformance/loop"):
		return "takes too long: op-geth's runner leaves it out"
	case strings.Contains(name, "stStaticCall/static_Call1MB"):
		return "needs a gigabyte: op-geth's runner leaves it out"
	}
	if strings.Contains(name, "stEOF/") {
		return "EOF was never activated: op-geth's runner leaves it out"
	}
	config, eips, err := tests.GetChainConfig(fork)
	switch {
	case err != nil:
		return "op-geth does not know the fork " + fork
	case len(eips) > 0:
		return "op-geth's builder has no forks with single EIPs added"
	case config.VerkleTime != nil || config.AmsterdamTime != nil:
		return "the parallel builder leaves " + fork + " to the sequential path"
	}
	return ""
}

// runState runs one case; with several workers its execution may be thrown away and
// repeated, as there is nothing else for them to get wrong in a single transaction. The outcome is nil if no transaction got as far as the builder.
func runState(t *stateTest, name string, post *postState, config *params.ChainConfig, pre *preState, workers int) (*outcome, error) {
	header := t.header(config)
	signer := types.MakeSigner(config, header.Number, header.Time)
	tx, err := t.transaction(post, signer)
	if errors.Is(err, errNotExpressible) && post.Exception != "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	from, err := types.Sender(signer, tx)
	if err != nil && post.Exception == "" {
		return nil, err
	}
	j := &job{
		pre: pre, config: config, chain: &chain{config, testHash}, header: header, signer: signer,
		txs: []*types.Transaction{tx}, from: []common.Address{from},
	}
	if workers > 1 {
		j = j.disturbed(fmt.Sprint(name, workers))
	}
	got, err := j.run(workers)
	if err != nil {
		return nil, err
	}
	return got, t.check(post, got)
}

// check compares the outcome with what the test expects.
func (t *stateTest) check(post *postState, got *outcome) error {
	rejected := len(got.Txs) == 0
	switch {
	case rejected && post.Exception == "":
		return errors.New("the transaction was rejected, it is valid")
	case !rejected && post.Exception != "":
		return fmt.Errorf("the transaction was included, it must be rejected: %s", post.Exception)
	}
	empties := got.Config.IsEIP158(got.Header.Number)
	if !rejected || !empties {
		// A reward of nothing, which brings an absent coinbase into being before EIP-158.
		got.State.AddBalance(got.Coinbase, new(uint256.Int), tracing.BalanceIncreaseRewardMineBlock)
	}
	if root := got.State.IntermediateRoot(empties); root != common.Hash(post.Hash) && !(rejected && post.Hash == (common.UnprefixedHash{})) {
		return fmt.Errorf("state root %s, want %x", root, post.Hash)
	}
	if rejected {
		return nil
	}
	logs, err := got.logsHash()
	if err == nil && logs != common.Hash(post.Logs) {
		err = fmt.Errorf("logs hash %s, want %x", logs, post.Logs)
	}
	return err
}

// merge puts the cases into one block, or returns nil if none can be. The sender sends
// every second one, in a row, copies of the sender the others, so that there is both
// order to keep and work to share. Two cases that are to be rejected go along.
func (t *stateTest) merge(posts []postState, config *params.ChainConfig) (*job, error) {
	key, err := t.key()
	if err != nil {
		return nil, nil
	}
	header := t.header(config)
	j := &job{
		config: config, chain: &chain{config, testHash}, header: header,
		signer: types.MakeSigner(config, header.Number, header.Time),
	}
	var good, bad []*postState
	for i := range posts {
		if posts[i].Exception == "" {
			good = append(good, &posts[i])
		} else if len(bad) < 2 {
			bad = append(bad, &posts[i])
		}
	}
	good = good[:min(len(good), mergedSize)]
	if len(good) == 0 {
		return nil, nil
	}
	for i := 0; len(good) < mergedMin; i++ {
		good = append(good, good[i])
	}
	if len(bad) > 0 {
		good = append(slices.Insert(slices.Clone(good), len(good)/2, bad[0]), bad[len(bad)-1])
	}
	alloc, gas, nonce := maps.Clone(t.Pre), uint64(0), uint64(t.Tx.Nonce)
	sender := crypto.PubkeyToAddress(key.PublicKey)
	for i, post := range good {
		by, at := key, nonce
		if i%2 == 0 {
			if by, err = copyOf(key, i); err != nil {
				return nil, err
			}
			alloc[crypto.PubkeyToAddress(by.PublicKey)] = types.Account{Balance: t.Pre[sender].Balance}
			at = 0
		}
		tx, err := t.signed(post, j.signer, by, at)
		if err != nil {
			continue // not expressible, or only in its encoded form
		}
		if gas+tx.Gas() < gas || gas+tx.Gas() > 1<<62 {
			continue
		}
		gas += tx.Gas()
		if i%2 == 1 {
			nonce++
		}
		j.txs = append(j.txs, tx)
		j.from = append(j.from, crypto.PubkeyToAddress(by.PublicKey))
	}
	if len(j.txs) < 2 {
		return nil, nil
	}
	header.GasLimit = max(header.GasLimit, gas)
	j.pre, err = newPreState(alloc)
	return j, err
}

// copyOf derives the i-th key from a key.
func copyOf(key *ecdsa.PrivateKey, i int) (*ecdsa.PrivateKey, error) {
	return crypto.ToECDSA(crypto.Keccak256(crypto.FromECDSA(key), big.NewInt(int64(i)).Bytes()))
}
