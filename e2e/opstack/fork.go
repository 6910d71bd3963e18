package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/op-geth-parallel/op-geth-parallel/e2e/opstack/stack"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// errFork is returned (wrapped) where the fork was not crossed as it should be.
var errFork = errors.New("crossing the fork")

// checkFork checks the blocks around the fork: that headers are of Jovian from the fork
// on, that the first one holds op-node's upgrade and nothing of the pool, that both nodes
// then have another L1Block, and that blocks before and after it were built under load,
// and in parallel.
func (r *run) checkFork(ctx context.Context) error {
	at := r.settings.forkAt
	head, _ := r.chain.head()
	for number := 1; number <= head; number++ {
		if jovian := r.chain.at(number).Jovian; jovian != (number >= at) {
			return fmt.Errorf("%w: Jovian begins with block %d, but that of block %d being of it is %v", errFork, at, number, jovian)
		}
	}
	b := r.chain.at(at)
	if b.Deposits < 2 || b.Txs > 0 {
		return fmt.Errorf("%w: block %d has %d deposits and %d other transactions, expected are the upgrade's deposits alone", errFork, at, b.Deposits, b.Txs)
	}
	r.report.Fork = &forkReport{Block: at, Hash: b.Hash, Deposits: b.Deposits}
	for _, n := range []*stack.Node{r.stack.Sequencer(), r.stack.Follower()} {
		upgraded, err := n.Upgraded(ctx)
		if err != nil {
			return err
		}
		if !upgraded {
			return fmt.Errorf("%w: the L1Block at %s is still that of Isthmus", errFork, n.URL())
		}
	}
	for number := at - 1; number > 0; number-- {
		r.report.Fork.Before += r.loaded(number)
	}
	for number := at + 1; number <= head; number++ {
		r.report.Fork.After += r.loaded(number)
	}
	if r.report.Fork.Before == 0 || r.report.Fork.After == 0 {
		return fmt.Errorf("%w: of the blocks with transactions, %d before the fork and %d after it were filled as they should be; with a later -fork-at the load has time to begin", errFork, r.report.Fork.Before, r.report.Fork.After)
	}
	return nil
}

// loaded is 1 for a block that holds transactions and was filled in parallel, if that was
// asked for, and 0 otherwise.
func (r *run) loaded(number int) int {
	if r.chain.at(number).Txs > 0 && (r.settings.threads == params.SequentialThreads || r.log.filled(number)) {
		return 1
	}
	return 0
}
