package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
)

// BlockRef is a block of L2 as op-node names it.
type BlockRef struct {
	Hash   common.Hash `json:"hash"`
	Number uint64      `json:"number"`
	Time   uint64      `json:"timestamp"`
}

// SyncStatus is what op-node knows of the chain.
type SyncStatus struct {
	HeadL1 struct {
		Number uint64 `json:"number"`
	} `json:"head_l1"`
	Unsafe    BlockRef `json:"unsafe_l2"`
	Safe      BlockRef `json:"safe_l2"`
	Finalized BlockRef `json:"finalized_l2"`
}

// Node is a geth of L2 and the op-node that drives it.
type Node struct {
	name       string
	rpcPort    int // of geth
	authPort   int // of geth
	rollupPort int // of op-node

	config engineapi.Config
	log    *os.File
	opNode *process
	rollup *rpc.Client

	mu   sync.Mutex
	geth *engineapi.Node // nil while it is down; guarded by mu
}

// startNode starts geth, on a genesis, and op-node.
func (s *Stack) startNode(ctx context.Context, name, binary string, genesis *core.Genesis, archive bool, gethArgs, opNodeArgs []string, onLog func(engineapi.Record)) (_ *Node, err error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	n := &Node{name: name, rpcPort: ports[0], authPort: ports[1], rollupPort: ports[2]}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.stop())
		}
	}()
	dir := s.file(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory of the %s: %w", name, err)
	}
	if n.log, err = os.Create(logFile(s.config.Dir, name+"-geth")); err != nil {
		return nil, fmt.Errorf("log of the %s: %w", name, err)
	}
	n.config = engineapi.Config{
		Binary:  binary,
		Datadir: dir,
		Genesis: genesis,
		Args: append([]string{
			"--networkid", genesis.Config.ChainID.String(),
			"--http.port", strconv.Itoa(n.rpcPort), "--authrpc.port", strconv.Itoa(n.authPort),
			"--http.api", "eth,net,web3,txpool,debug,miner", // the batcher sets limits by miner_setMaxDASize
			"--rpc.txfeecap", "0", "--cache", "512",
			"--txpool.nolocals", "--txpool.journal", "",
			"--txpool.accountslots", "1000000", "--txpool.globalslots", "1000000",
			"--txpool.accountqueue", "1000000", "--txpool.globalqueue", "1000000",
			"--rollup.disabletxpoolgossip",
		}, gethArgs...),
		Log:   n.log,
		OnLog: onLog,
	}
	if archive {
		n.config.Init = []string{"--state.scheme", "hash"}
		n.config.Args = append(n.config.Args, "--state.scheme", "hash", "--gcmode", "archive")
	}
	if err := n.StartGeth(ctx); err != nil {
		return nil, err
	}
	n.config.Genesis = nil // it has one now
	n.opNode, err = startProcess(context.WithoutCancel(ctx), s.config.Dir, name+"-op-node", s.config.OpNode, append([]string{
		"--l1", url(s.l1.port), "--l1.beacon.ignore", "--l1.rpckind", "basic", "--l1.trustrpc",
		"--l1.http-poll-interval", "500ms", "--l1.epoch-poll-interval", "4s",
		"--l2", url(n.authPort), "--l2.jwt-secret", engineapi.SecretFile(dir), "--l2.enginekind", "geth",
		"--rollup.config", s.file("rollup.json"), "--rollup.l1-chain-config", s.file("l1.json"),
		"--p2p.disable",
		"--verifier.l1-confs", "0",
		"--rpc.addr", loopback, "--rpc.port", strconv.Itoa(n.rollupPort),
	}, opNodeArgs...))
	if err != nil {
		return nil, err
	}
	if n.rollup, err = rpc.DialContext(ctx, url(n.rollupPort)); err != nil {
		return nil, fmt.Errorf("RPC of the %s's op-node: %w", name, err)
	}
	return n, n.opNode.await(ctx, func(ctx context.Context) error {
		_, err := n.Status(ctx)
		return err
	})
}

// StartGeth starts geth again on the data that it has.
func (n *Node) StartGeth(ctx context.Context) error {
	geth, err := engineapi.Start(context.WithoutCancel(ctx), n.config)
	if err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.geth = geth
	return nil
}

// StopGeth stops geth in good order. op-node goes on without it.
func (n *Node) StopGeth() error { return n.end((*engineapi.Node).Stop) }

// KillGeth kills geth, as a crash would. op-node goes on without it.
func (n *Node) KillGeth() error { return n.end((*engineapi.Node).Kill) }

func (n *Node) end(how func(*engineapi.Node) error) error {
	n.mu.Lock()
	geth := n.geth
	n.geth = nil
	n.mu.Unlock()
	if geth == nil {
		return nil
	}
	if err := how(geth); err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	return nil
}

// ErrDown is returned by RPC while geth is down.
var ErrDown = errors.New("geth is down")

// RPC returns the connection to geth.
func (n *Node) RPC() (*rpc.Client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.geth == nil {
		return nil, fmt.Errorf("%s: %w", n.name, ErrDown)
	}
	return n.geth.RPC(), nil
}

// URL is where geth serves RPC.
func (n *Node) URL() string { return url(n.rpcPort) }

// Status asks op-node what it knows.
func (n *Node) Status(ctx context.Context) (SyncStatus, error) {
	var status SyncStatus
	if err := n.rollup.CallContext(ctx, &status, "optimism_syncStatus"); err != nil {
		return status, fmt.Errorf("optimism_syncStatus of the %s: %w", n.name, err)
	}
	return status, nil
}

// Upgraded reports whether L1Block is another one than in the genesis: whether op-node's
// upgrade to Jovian took effect.
func (n *Node) Upgraded(ctx context.Context) (bool, error) {
	client, err := n.RPC()
	if err != nil {
		return false, err
	}
	var slot common.Hash
	if err := client.CallContext(ctx, &slot, "eth_getStorageAt", types.L1BlockAddr, implementationSlot(), "latest"); err != nil {
		return false, fmt.Errorf("L1Block of the %s: %w", n.name, err)
	}
	return common.BytesToAddress(slot[:]) != registryL1Block(), nil
}

// checkGeth fails if geth ended without having been asked to.
func (n *Node) checkGeth() error {
	n.mu.Lock()
	geth := n.geth
	n.mu.Unlock()
	if geth == nil {
		return nil
	}
	select {
	case <-geth.Exited():
		return fmt.Errorf("%s: %w", n.name, geth.Stop())
	default:
		return nil
	}
}

func (n *Node) stop() error {
	var errs []error
	if n.opNode != nil {
		errs = append(errs, n.opNode.stop())
	}
	if n.rollup != nil {
		n.rollup.Close()
	}
	errs = append(errs, n.StopGeth())
	if n.log != nil {
		if err := n.log.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// await asks a program that was just started until it answers. It fails with the last
// answer where that takes too long.
func (p *process) await(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.exitError()
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer, log in %s: %w: %w", p.name, p.logFile, ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
