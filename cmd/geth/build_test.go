package geth

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
)

// chain is an OP Stack chain on one node, with the test as its consensus client.
type chain struct {
	node   *instance
	engine *rpc.Client
	eth    *ethclient.Client
	keys   []*ecdsa.PrivateKey // of funded accounts
	signer types.Signer
}

const chainID = 987_654

// counter is a contract that adds one to its slot 0: PUSH1 0 SLOAD PUSH1 1 ADD PUSH1 0 SSTORE.
var (
	counter     = common.HexToAddress("0xc0c0")
	counterCode = common.FromHex("0x600054600101600055")
)

// newChain makes a datadir of a chain whose genesis funds a number of accounts and has the
// counter.
func newChain(t *testing.T, path string, accounts int) (*chain, string) {
	t.Helper()
	c := &chain{signer: types.LatestSignerForChainID(big.NewInt(chainID))}
	alloc := types.GenesisAlloc{counter: {Code: counterCode, Balance: new(big.Int)}}
	for i := range accounts {
		key, err := crypto.ToECDSA(crypto.Keccak256(fmt.Appendf(nil, "account %d", i)))
		if err != nil {
			t.Fatal(err)
		}
		c.keys = append(c.keys, key)
		alloc[crypto.PubkeyToAddress(key.PublicKey)] = types.Account{Balance: big.NewInt(params.Ether)}
	}
	genesis, err := opchain.Genesis(opchain.Options{ChainID: chainID, Alloc: alloc})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	datadir := t.TempDir()
	file := filepath.Join(datadir, "genesis.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, path, nil, "init", "--datadir", datadir, file); r.code != 0 {
		t.Fatalf("geth init ended with code %d\n%s", r.code, r.stderr)
	}
	return c, datadir
}

// on connects the chain to a node.
func (c *chain) on(t *testing.T, n *instance) *chain {
	t.Helper()
	c.node, c.engine, c.eth = n, n.engine(t), ethclient.NewClient(n.client(t))
	return c
}

// start starts a node on the chain's datadir.
func (c *chain) start(t *testing.T, path, datadir string, args ...string) *chain {
	t.Helper()
	return c.on(t, start(t, path, datadir, append([]string{"--http.api", apis, "--rollup.disabletxpoolgossip", "--syncmode", "full"}, args...)...))
}

// transfers sends a transfer of every account to an address that nothing else touches.
func (c *chain) transfers(t *testing.T) {
	t.Helper()
	c.send(t, func(i int, nonce uint64) *types.DynamicFeeTx {
		to := common.BigToAddress(big.NewInt(int64(0x10_0000*(i+1)) + int64(nonce)))
		return &types.DynamicFeeTx{To: &to, Value: big.NewInt(int64(i + 1)), Gas: params.TxGas}
	})
}

// send sends what is made for every account and its nonce.
func (c *chain) send(t *testing.T, make func(i int, nonce uint64) *types.DynamicFeeTx) {
	t.Helper()
	for i, key := range c.keys {
		nonce, err := c.eth.PendingNonceAt(t.Context(), crypto.PubkeyToAddress(key.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		data := make(i, nonce)
		data.ChainID, data.Nonce = big.NewInt(chainID), nonce
		// All tips differ, so that the order in the block is the same on every node.
		data.GasTipCap, data.GasFeeCap = big.NewInt(params.GWei+int64(i)), big.NewInt(50*params.GWei)
		tx, err := types.SignNewTx(key, c.signer, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.eth.SendTransaction(t.Context(), tx); err != nil {
			t.Fatalf("transaction %d: %v", i, err)
		}
	}
}

// call calls a method of the Engine API.
func (c *chain) call(t *testing.T, result any, method string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	if err := c.engine.CallContext(ctx, result, method, args...); err != nil {
		t.Fatalf("%s: %v\n%s", method, err, c.node.log.String())
	}
}

// build has the node build the block after its head, and takes it once it is filled.
func (c *chain) build(t *testing.T) *engine.ExecutionPayloadEnvelope {
	t.Helper()
	head, err := c.eth.HeaderByNumber(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	attrs, err := opchain.Attributes(head, opchain.AttributesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var choice engine.ForkChoiceResponse
	c.call(t, &choice, "engine_forkchoiceUpdatedV3", engine.ForkchoiceStateV1{HeadBlockHash: head.Hash()}, attrs)
	if choice.PayloadStatus.Status != engine.VALID || choice.PayloadID == nil {
		t.Fatalf("building is refused: %+v", choice)
	}
	awaitLog(t, c.node, "Updated payload id="+choice.PayloadID.String())
	payload := new(engine.ExecutionPayloadEnvelope)
	c.call(t, payload, "engine_getPayloadV4", choice.PayloadID)
	return payload
}

// importPayload has the node execute a payload, sequentially as every node does, and
// make it its head.
func (c *chain) importPayload(t *testing.T, payload *engine.ExecutionPayloadEnvelope) {
	t.Helper()
	var status engine.PayloadStatusV1
	c.call(t, &status, "engine_newPayloadV4", payload.ExecutionPayload, []common.Hash{}, payload.ParentBeaconBlockRoot, []hexutil.Bytes{})
	if status.Status != engine.VALID {
		t.Fatalf("the node refuses the block: %+v", status)
	}
	hash := payload.ExecutionPayload.BlockHash
	var choice engine.ForkChoiceResponse
	c.call(t, &choice, "engine_forkchoiceUpdatedV3", engine.ForkchoiceStateV1{HeadBlockHash: hash, SafeBlockHash: hash, FinalizedBlockHash: hash}, nil)
	if choice.PayloadStatus.Status != engine.VALID {
		t.Fatalf("the node refuses the head: %+v", choice)
	}
}

// filled is the log line of a parallel build, with what it committed and the fallbacks.
var filled = regexp.MustCompile(`Filled block in parallel +number=(\d+) txs=(\d+)`)

func TestNodeBuildsInParallelTheBlockThatUpstreamBuilds(t *testing.T) {
	t.Run("unverified", func(t *testing.T) { compareWithUpstream(t) })
	t.Run("verified", func(t *testing.T) { compareWithUpstream(t, verifyFlag) })
}

// compareWithUpstream has a node of ours, with these flags too, and one of upstream's build
// on the same chain.
func compareWithUpstream(t *testing.T, flags ...string) {
	const accounts = 60
	ours, oursDir := newChain(t, patched(t), accounts)
	theirs, theirsDir := newChain(t, upstream(t), accounts)
	ours.start(t, patched(t), oursDir, append(flags, "--miner.parallel-threads", "2")...)
	theirs.start(t, upstream(t), theirsDir)
	for round := range 3 {
		ours.transfers(t)
		theirs.transfers(t)
		a, b := theirs.build(t), ours.build(t)
		if n := len(b.ExecutionPayload.Transactions); n != accounts+1 {
			t.Errorf("round %d: the block has %d transactions, want %d\n%s", round, n, accounts+1, ours.node.log.String())
		}
		if a.ExecutionPayload.BlockHash != b.ExecutionPayload.BlockHash {
			t.Fatalf("round %d: upstream builds %s with %d transactions, we %s with %d", round, a.ExecutionPayload.BlockHash,
				len(a.ExecutionPayload.Transactions), b.ExecutionPayload.BlockHash, len(b.ExecutionPayload.Transactions))
		}
		theirs.importPayload(t, b)
		ours.importPayload(t, b)
	}
	log := ours.node.log.String()
	if m := filled.FindAllStringSubmatch(log, -1); len(m) == 0 || m[0][2] != fmt.Sprint(accounts) {
		t.Errorf("the log does not say that %d transactions were filled in parallel:\n%s", accounts, log)
	}
	if strings.Contains(log, "filling the rest sequentially") || strings.Contains(log, "filling the block sequentially") || strings.Contains(log, "Parallel block building made a wrong block") {
		t.Errorf("a build fell back to the sequential path:\n%s", log)
	}
}

func TestNodeGoesOnOnTheSameDatadir(t *testing.T) {
	path := patched(t)
	c, datadir := newChain(t, path, 30)

	// Parallel, upstream's own binary, parallel again: the datadir is the same to all.
	for i, step := range []struct {
		path string
		args []string
	}{
		{path, []string{"--miner.parallel-threads", "2"}},
		{upstream(t), nil},
		{path, []string{"--miner.parallel-threads", "0"}},
		{path, nil},
	} {
		c.start(t, step.path, datadir, step.args...)
		head, err := c.eth.BlockNumber(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if head != uint64(i) {
			t.Fatalf("step %d: the node is at block %d\n%s", i, head, c.node.log.String())
		}
		c.transfers(t)
		c.importPayload(t, c.build(t))
		block, err := c.eth.BlockByNumber(t.Context(), big.NewInt(int64(i+1)))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(block.Transactions()); n != len(c.keys)+1 {
			t.Errorf("step %d: the block has %d transactions, want %d\n%s", i, n, len(c.keys)+1, c.node.log.String())
		}
		c.node.stop(t)
	}
}

func TestThreadsSetOverRPCTakeEffectFromTheNextBlock(t *testing.T) {
	path := patched(t)
	c, datadir := newChain(t, path, 30)
	c.start(t, path, datadir)
	builds := func() int { return len(filled.FindAllString(c.node.log.String(), -1)) }

	for i, step := range []struct {
		threads  int
		parallel bool
	}{{1, false}, {2, true}, {1, false}} {
		if err := c.node.client(t).CallContext(t.Context(), nil, "miner_setParallelThreads", step.threads); err != nil {
			t.Fatal(err)
		}
		before := builds()
		c.transfers(t)
		c.importPayload(t, c.build(t))
		if got := builds() > before; got != step.parallel {
			t.Errorf("step %d, %d threads: built in parallel is %v\n%s", i, step.threads, got, c.node.log.String())
		}
	}
}
