// Package stack runs an OP Stack on this machine, of the real programs: geth with the
// developer's genesis as L1, a geth and an op-node that sequence, op-batcher, which posts batches to L1,
// and, if asked for, another geth and op-node that derive the chain from L1 and from
// nothing else.
//
// The programs are not built here: build/optimism.sh builds op-node and op-batcher. All
// endpoints are on the loopback interface, at ports chosen at random, and each process
// writes a log of its own.
package stack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
	"golang.org/x/sync/errgroup"
)

const (
	loopback = "127.0.0.1"

	// headStart is how long after L1's block L2's genesis is: about as long as its nodes
	// take to start. op-node waits for it, or catches up.
	headStart = 12 * time.Second

	// startTimeout is how long a program may take until it answers.
	startTimeout = 60 * time.Second

	// developerKey is the key of the account that the developer genesis endows; it is public.
	developerKey = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"
)

// batcherAddress is the account that posts batches.
func batcherAddress() common.Address {
	return common.HexToAddress("0x71562b71999873DB5b286dF957af199Ec94617F7")
}

// Config says what to run.
type Config struct {
	Dir string // holds everything that the processes write; exists and is empty

	L1        string   // geth for L1
	Geth      string   // geth that sequences
	GethArgs  []string // its further arguments
	Archive   bool     // it writes the state of every block to disk, and loses none by a crash
	Follower  string   // geth that derives from L1; empty: none
	OpNode    string
	OpBatcher string

	BlockTime time.Duration // of L2, whole seconds
	Jovian    uint64        // the first block of Jovian; at least 1: op-node does the upgrade
	GasLimit  uint64
	Alloc     types.GenesisAlloc // accounts besides the predeploys

	OnLog func(engineapi.Record) // called for each line of the sequencing geth's log; may be nil
}

// Stack is a running OP Stack.
type Stack struct {
	config  Config
	l1      *l1
	batcher *process

	sequencer *Node
	follower  *Node // nil: none
}

// Start runs the stack until Stop is called. When Start fails no process is left.
func Start(ctx context.Context, config Config) (_ *Stack, err error) {
	if config.Jovian < 1 || config.BlockTime < time.Second || config.BlockTime%time.Second != 0 {
		return nil, fmt.Errorf("block time %v and Jovian from block %d, allowed are whole seconds and 1 or more", config.BlockTime, config.Jovian)
	}
	s := &Stack{config: config}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	var head *types.Header
	if s.l1, head, err = startL1(ctx, config.Dir, config.L1); err != nil {
		return nil, err
	}
	start := head.Time + uint64(headStart.Seconds())
	jovian := start + config.Jovian*uint64(config.BlockTime.Seconds())
	genesis, err := isthmusGenesis(&config, start, jovian)
	if err != nil {
		return nil, err
	}
	if err := writeJSON(s.file("rollup.json"), newRollupConfig(&config, head, genesis)); err != nil {
		return nil, err
	}
	if err := writeJSON(s.file("l1.json"), s.l1.config); err != nil {
		return nil, err
	}
	var nodes errgroup.Group
	if config.Follower != "" {
		nodes.Go(func() (err error) {
			s.follower, err = s.startNode(ctx, "follower", config.Follower, genesis, false, nil, nil, nil)
			return err
		})
	}
	nodes.Go(func() (err error) {
		sequencing := []string{"--sequencer.enabled", "--sequencer.l1-confs", "0"}
		s.sequencer, err = s.startNode(ctx, "sequencer", config.Geth, genesis, config.Archive, config.GethArgs, sequencing, config.OnLog)
		return err
	})
	if err := nodes.Wait(); err != nil {
		return nil, err
	}
	return s, s.startBatcher(ctx)
}

func (s *Stack) file(name string) string { return filepath.Join(s.config.Dir, name) }

func logFile(dir, name string) string { return filepath.Join(dir, name+".log") }

func url(port int) string { return "http://" + loopback + ":" + strconv.Itoa(port) }

// startBatcher starts what posts the sequencer's blocks to L1, as calldata.
func (s *Stack) startBatcher(ctx context.Context) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	if key, err := crypto.HexToECDSA(developerKey); err != nil || crypto.PubkeyToAddress(key.PublicKey) != batcherAddress() {
		return fmt.Errorf("the developer's key is not that of %s", batcherAddress())
	}
	s.batcher, err = startProcess(context.WithoutCancel(ctx), s.config.Dir, "op-batcher", s.config.OpBatcher, []string{
		"--l1-eth-rpc", url(s.l1.port),
		"--l2-eth-rpc", url(s.sequencer.rpcPort),
		"--rollup-rpc", url(s.sequencer.rollupPort),
		"--private-key", developerKey,
		"--data-availability-type", "calldata",
		"--batch-type", "1",
		"--max-channel-duration", "2",
		"--sub-safety-margin", "4",
		"--poll-interval", "500ms",
		"--max-pending-tx", "8",
		"--num-confirmations", "1",
		"--txmgr.receipt-query-interval", "500ms",
		"--rpc.addr", loopback, "--rpc.port", strconv.Itoa(ports[0]),
	})
	return err
}

// Sequencer returns the node that builds blocks.
func (s *Stack) Sequencer() *Node { return s.sequencer }

// Follower returns the node that derives the chain from L1, or nil.
func (s *Stack) Follower() *Node { return s.follower }

// Check fails if a process has ended without having been asked to.
func (s *Stack) Check() error {
	processes := []*process{s.batcher}
	for _, n := range s.nodes() {
		processes = append(processes, n.opNode)
	}
	errs := []error{s.l1.check()}
	for _, p := range processes {
		select {
		case <-p.exited:
			errs = append(errs, p.exitError())
		default:
		}
	}
	for _, n := range s.nodes() {
		errs = append(errs, n.checkGeth())
	}
	return errors.Join(errs...)
}

func (s *Stack) nodes() []*Node {
	var nodes []*Node
	for _, n := range []*Node{s.sequencer, s.follower} {
		if n != nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Stop stops all processes, those first that use the others. It may be called repeatedly.
func (s *Stack) Stop() error {
	var errs []error
	if s.batcher != nil {
		errs = append(errs, s.batcher.stop())
	}
	for _, n := range s.nodes() {
		errs = append(errs, n.stop())
	}
	if s.l1 != nil {
		errs = append(errs, s.l1.stop())
	}
	return errors.Join(errs...)
}
