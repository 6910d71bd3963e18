package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/e2e/opstack/stack"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	"github.com/op-geth-parallel/op-geth-parallel/internal/sender"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

const (
	// pollInterval is how often the nodes are looked at.
	pollInterval = 250 * time.Millisecond

	// progressInterval is how often a line of progress is printed.
	progressInterval = 10 * time.Second

	// stallTimeout is how long a node may go without a new block.
	stallTimeout = 90 * time.Second
)

// errStalled is returned (wrapped) when what is waited for does not come.
var errStalled = errors.New("no progress")

// run is one run of the whole.
type run struct {
	settings *settings
	out      io.Writer
	stack    *stack.Stack
	log      *buildLog
	sender   *sender.Sender
	chain    *chain
	report   *report

	start    time.Time
	printed  time.Time    // when the last line of progress was
	headed   bool         // whether the head of the table is printed
	stopLoad func() error // ends the load; nil once it has
}

// execute makes a run. The report is of what was done before an error, too.
func execute(ctx context.Context, s *settings, out io.Writer) (*report, error) {
	r := &run{settings: s, out: out, log: newBuildLog(), report: newReport(s), start: time.Now()}
	err := r.execute(ctx)
	r.report.Elapsed = time.Since(r.start)
	if err != nil {
		r.report.Failure, r.report.Interrupted = err.Error(), ctx.Err() != nil
	}
	return r.report, err
}

func (r *run) execute(ctx context.Context) (err error) {
	s := r.settings
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	fmt.Fprintf(r.out, "\nstate %s: data and logs in %s\n", s.state, s.dir)
	gen, err := workload.New(workload.Options{Seed: s.seed, ChainID: opchain.DefaultChainID, Mix: s.mix, Accounts: s.accounts})
	if err != nil {
		return err
	}
	alloc, err := gen.Alloc()
	if err != nil {
		return err
	}
	fmt.Fprintln(r.out, "starting L1, two nodes of L2 and op-batcher")
	r.stack, err = stack.Start(ctx, stack.Config{
		Dir:       s.dir,
		L1:        s.upstream,
		Geth:      s.geth,
		GethArgs:  s.gethArgs(),
		Archive:   s.state == stateArchive,
		Follower:  s.upstream,
		OpNode:    s.opNode,
		OpBatcher: s.opBatcher,
		BlockTime: s.blockTime,
		Jovian:    uint64(s.forkAt),
		GasLimit:  s.gasLimit,
		Alloc:     alloc,
		OnLog:     r.log.record,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stack.Stop()) }()
	fmt.Fprintf(r.out, "the sequencer answers at %s, the follower at %s\n", r.stack.Sequencer().URL(), r.stack.Follower().URL())

	sequencer, err := r.stack.Sequencer().RPC()
	if err != nil {
		return err
	}
	follower, err := r.stack.Follower().RPC()
	if err != nil {
		return err
	}
	r.sender = sender.New(sequencer, gen)
	if r.chain, err = startChain(ctx, sequencer, follower, r.sender); err != nil {
		return err
	}
	r.startLoad(ctx)
	defer func() {
		if r.stopLoad != nil {
			err = errors.Join(err, r.stopLoad())
		}
		r.account()
	}()
	for _, phase := range []func(context.Context) error{r.follow, r.crash, r.drain, r.compare} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return r.verdict()
}

// gethArgs are the sequencer's, besides those of every node.
func (s *settings) gethArgs() []string {
	var args []string
	// Sequential building is the default, and unpatched op-geth does not know the flag.
	if s.threads != params.SequentialThreads {
		args = append(args, "--"+params.ThreadsFlag, strconv.Itoa(s.threads))
	}
	return args
}

// startLoad sends transactions until stopLoad is called. While geth is down it waits; then
// it sends again what has been lost.
func (r *run) startLoad(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.load(ctx) }()
	r.stopLoad = func() error {
		cancel()
		r.stopLoad = nil
		return <-done
	}
}

func (r *run) load(ctx context.Context) error {
	for again := false; ctx.Err() == nil; {
		client, err := r.stack.Sequencer().RPC()
		if err == nil {
			r.sender.Use(client)
			if again {
				var lost int
				if lost, err = r.sender.Resend(ctx); err == nil {
					r.report.addResent(lost)
				}
			}
			if err == nil {
				err = r.sender.Stream(ctx, r.settings.rate)
			}
		}
		again = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// until looks at both nodes, and prints progress, until done says so. It fails with what
// the nodes do wrong, or where either has no new block for too long.
func (r *run) until(ctx context.Context, what string, done func() bool) error {
	var mine, theirs stall
	for {
		if err := r.look(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if done() {
			return nil
		}
		head, followed := r.chain.head()
		if mine.at(head) || theirs.at(followed) {
			return fmt.Errorf("%s: %w for %v: the sequencer is at block %d, the follower at %d", what, errStalled, stallTimeout, head, followed)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// stall notices that a node has no new block.
type stall struct {
	head  int
	since time.Time
}

// at reports whether a node has had this head for too long.
func (s *stall) at(head int) bool {
	if head != s.head || s.since.IsZero() {
		s.head, s.since = head, time.Now()
	}
	return time.Since(s.since) > stallTimeout
}

// look takes over what is new.
func (r *run) look(ctx context.Context) error {
	if err := r.stack.Check(); err != nil {
		return err
	}
	sequencer, err := r.stack.Sequencer().RPC()
	if err != nil {
		return err
	}
	if err := r.chain.watchSequencer(ctx, sequencer); err != nil {
		return err
	}
	follower, err := r.stack.Follower().RPC()
	if err != nil {
		return err
	}
	if err := r.chain.watchFollower(ctx, follower); err != nil {
		return err
	}
	return r.progress(ctx)
}

// progress prints a line from time to time, and notes the safe heads.
func (r *run) progress(ctx context.Context) error {
	if time.Since(r.printed) < progressInterval {
		return nil
	}
	r.printed = time.Now()
	status, err := r.stack.Sequencer().Status(ctx)
	if err != nil {
		return err
	}
	head, followed := r.chain.head()
	r.report.addSafe(status.Safe.Number)
	if !r.headed {
		fmt.Fprintf(r.out, progressColumns, "time", "head", "safe", "equal", "L1", "txs", "parallel", "open")
		r.headed = true
	}
	txs, parallel := r.included(head)
	fmt.Fprintf(r.out, progressColumns, time.Since(r.start).Round(time.Second), head, status.Safe.Number, followed, status.HeadL1.Number, txs, parallel, r.sender.Open())
	return nil
}

// progressColumns is the layout of a line of progress.
const progressColumns = "%7v %7v %7v %7v %6v %9v %9v %7v\n"

// included counts the transactions of the sequencer's blocks, and the blocks that it
// filled in parallel.
func (r *run) included(head int) (txs, parallel int) {
	for number := 1; number <= head; number++ {
		b := r.chain.at(number)
		txs += b.Txs
		if b.Txs > 0 && r.log.filled(number) {
			parallel++
		}
	}
	return txs, parallel
}

// follow waits until the follower has derived the blocks that are asked for, and checks
// the fork among them.
func (r *run) follow(ctx context.Context) error {
	err := r.until(ctx, "building under load", func() bool {
		_, followed := r.chain.head()
		loaded := 0
		for number := 1; number <= followed; number++ {
			if r.chain.at(number).Txs > 0 {
				loaded++
			}
		}
		return loaded >= r.settings.blocks && followed > r.settings.forkAt
	})
	if err != nil {
		return err
	}
	return r.checkFork(ctx)
}

// drain ends the load and waits until all that was sent is in blocks, and the follower has
// them.
func (r *run) drain(ctx context.Context) error {
	if err := r.stopLoad(); err != nil {
		return err
	}
	// What was on its way when the load ended, or got lost at the last kill.
	sequencer, err := r.stack.Sequencer().RPC()
	if err != nil {
		return err
	}
	r.sender.Use(sequencer)
	lost, err := r.sender.Resend(ctx)
	if err != nil {
		return err
	}
	r.report.addResent(lost)
	target := 0
	return r.until(ctx, "waiting for the rest", func() bool {
		head, followed := r.chain.head()
		if r.sender.Open() > 0 {
			target = head + 1
			return false
		}
		return followed >= target
	})
}

// compare asks both nodes for all blocks again.
func (r *run) compare(ctx context.Context) error {
	_, last := r.chain.head()
	for _, n := range []struct {
		name string
		node *stack.Node
	}{{"sequencer", r.stack.Sequencer()}, {"follower", r.stack.Follower()}} {
		client, err := n.node.RPC()
		if err != nil {
			return err
		}
		if _, err := r.chain.recheck(ctx, n.name, client, last); err != nil {
			return err
		}
	}
	status, err := r.stack.Sequencer().Status(ctx)
	if err != nil {
		return err
	}
	r.report.Rechecked = last
	r.report.addSafe(status.Safe.Number)
	r.report.L1Head = status.HeadL1.Number
	return nil
}

// account completes the report.
func (r *run) account() {
	head, followed := r.chain.head()
	r.report.Head, r.report.HeadHash = head, r.chain.at(head).Hash
	r.report.Compared = followed
	r.report.Included, r.report.Parallel = r.included(head)
	for number := 1; number <= head; number++ {
		b := r.chain.at(number)
		r.report.Failed += b.Failed
		r.report.Gas += b.Gas
		r.report.MostTxs = max(r.report.MostTxs, b.Txs)
		if b.Txs > 0 {
			r.report.Loaded++
		}
	}
	r.report.Sent, _, _, _ = r.sender.Counts()
	r.report.Open = r.sender.Open()
	r.report.Executions, r.report.Reexecutions, r.report.Fallbacks = r.log.counts()
}

// verdict fails where the run did not show what it is there to show.
func (r *run) verdict() error {
	_, _, strange, first := r.sender.Counts()
	head, _ := r.chain.head()
	_, parallel := r.included(head)
	_, _, fallbacks := r.log.counts()
	var errs []error
	if strange > 0 {
		errs = append(errs, fmt.Errorf("the pool refused %d transactions, the first: %w", strange, first))
	}
	if !r.report.safeAdvanced() {
		errs = append(errs, fmt.Errorf("%w: the safe heads were %v", errStalled, r.report.SafeHeads))
	}
	if r.settings.threads != params.SequentialThreads && parallel == 0 {
		errs = append(errs, fmt.Errorf("no block was filled in parallel"))
	}
	if len(fallbacks) > 0 {
		errs = append(errs, fmt.Errorf("parallel building failed %d times, the first: %s", len(fallbacks), fallbacks[0]))
	}
	return errors.Join(errs...)
}
