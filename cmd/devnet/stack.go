package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/op-geth-parallel/op-geth-parallel/e2e/opstack/stack"
	"github.com/op-geth-parallel/op-geth-parallel/internal/sender"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// stackJovian is the first block of Jovian on the real stack: op-node upgrades to it.
const stackJovian = 2

// checkStack checks what goes together with -stack.
func (s *settings) checkStack() error {
	if !s.stack {
		return nil
	}
	if s.compare || s.backlog > 0 || s.replay != "" {
		return errors.New("-stack is set with -compare, -backlog or -replay, allowed is none of them: it is op-node that says when a block is built")
	}
	if s.blockTime%time.Second != 0 {
		return fmt.Errorf("-block-time is %v with -stack, allowed are whole seconds", s.blockTime)
	}
	for _, f := range []struct{ name, value string }{{"-l1", s.l1}, {"-op-node", s.opNode}, {"-op-batcher", s.opBatcher}} {
		if info, err := os.Stat(f.value); err != nil || info.IsDir() {
			return fmt.Errorf("%s is %q, allowed is the path of a built program (make devnet STACK=opnode builds them all)", f.name, f.value)
		}
	}
	return nil
}

// stacked makes one run on the real OP Stack.
func stacked(ctx context.Context, s *settings, out io.Writer) (err error) {
	if err := prepareDatadir(s.datadir); err != nil {
		return err
	}
	r, gen, alloc, err := newRun(s, s.threads, "stack", out)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return fmt.Errorf("-datadir: %w", err)
	}
	var args []string
	if s.threads != params.SequentialThreads {
		args = append(args, "--"+params.ThreadsFlag, fmt.Sprint(s.threads))
	}
	fmt.Fprintf(out, "starting L1, %s, %s, op-node and op-batcher, logs in %s\n", s.geth, threadsText(s.threads), r.dir)
	running, err := stack.Start(ctx, stack.Config{
		Dir:       dir,
		L1:        s.l1,
		Geth:      s.geth,
		GethArgs:  args,
		OpNode:    s.opNode,
		OpBatcher: s.opBatcher,
		BlockTime: s.blockTime,
		Jovian:    stackJovian,
		GasLimit:  s.gasLimit,
		Alloc:     alloc,
		OnLog:     r.log.record,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.Stop()) }()
	fmt.Fprintf(out, "geth answers at %s\n", running.Sequencer().URL())
	if r.rpc, err = running.Sequencer().RPC(); err != nil {
		return err
	}
	r.sender = sender.New(r.rpc, gen)
	stop, err := r.startStream(ctx)
	if err != nil {
		return err
	}
	r.report.Stack = true
	err = r.watch(ctx, running)
	err = errors.Join(err, stop(), r.finish(context.WithoutCancel(ctx)))
	r.report.print(out)
	return errors.Join(err, writeJSON(s.json, r.report))
}

// watch reports the blocks that op-node has built.
func (r *run) watch(ctx context.Context, running *stack.Stack) error {
	const interval = 100 * time.Millisecond
	r.report.printHead(r.out)
	client := ethclient.NewClient(r.rpc)
	for number := int64(1); number <= int64(r.settings.blocks) || r.settings.keep; {
		if err := running.Check(); err != nil {
			return err
		}
		latest, err := client.BlockNumber(ctx)
		for ; err == nil && number <= int64(latest); number++ {
			err = r.watchBlock(ctx, client, number)
		}
		if status, statusErr := running.Sequencer().Status(ctx); statusErr == nil {
			r.report.SafeHead = status.Safe.Number
		}
		switch {
		case ctx.Err() != nil && number > int64(r.settings.blocks):
			return nil // the Ctrl-C that -keep waits for
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
	return nil
}

// watchBlock reports a block.
func (r *run) watchBlock(ctx context.Context, client *ethclient.Client, number int64) error {
	block, err := client.BlockByNumber(ctx, big.NewInt(number))
	if err != nil {
		return fmt.Errorf("block %d: %w", number, err)
	}
	return r.account(ctx, block, 0, 0)
}
