package geth

import (
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
	settings "github.com/op-geth-parallel/op-geth-parallel/params"
)

// spinners sends a transaction of every account that runs in a circle until its gas is
// spent.
func (c *chain) spinners(t *testing.T) {
	t.Helper()
	for i, key := range c.keys {
		nonce, err := c.eth.PendingNonceAt(t.Context(), crypto.PubkeyToAddress(key.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		tx, err := types.SignNewTx(key, c.signer, &types.DynamicFeeTx{
			ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 16_000_000, Data: []byte{0x5b, 0x5f, 0x56}, // jumpdest push0 jump
			GasTipCap: big.NewInt(params.GWei + int64(i)), GasFeeCap: big.NewInt(20 * params.GWei),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.eth.SendTransaction(t.Context(), tx); err != nil {
			t.Fatalf("transaction %d: %v", i, err)
		}
	}
}

func TestNodeThatIsToldToEndInTheMiddleOfABuildEndsAndGoesOnLater(t *testing.T) {
	path := patched(t)
	for name, flags := range map[string][]string{
		"parallel": {"--miner.parallel-threads", "2"},
		"verified": {"--miner.parallel-threads", "2", verifyFlag},
	} {
		t.Run(name, func(t *testing.T) {
			c, datadir := newChain(t, path, 60)
			c.start(t, path, datadir, flags...)
			c.importPayload(t, c.build(t))
			c.spinners(t)

			head, err := c.eth.HeaderByNumber(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			attrs, err := opchain.Attributes(head, opchain.AttributesOptions{GasLimit: 2_000_000_000})
			if err != nil {
				t.Fatal(err)
			}
			var choice engine.ForkChoiceResponse
			c.call(t, &choice, "engine_forkchoiceUpdatedV3", engine.ForkchoiceStateV1{HeadBlockHash: head.Hash()}, attrs)
			if choice.PayloadID == nil {
				t.Fatalf("building is refused: %+v", choice)
			}
			time.Sleep(100 * time.Millisecond)
			if strings.Contains(strings.Join(strings.Fields(c.node.log.String()), " "), "Updated payload id="+choice.PayloadID.String()) {
				t.Fatalf("the build is over before the node is told to end\n%s", c.node.log.String())
			}
			began := time.Now()
			if err := c.node.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-c.node.exited:
				c.node.exited = nil
				if err != nil {
					t.Errorf("the node ended with %v\n%s", err, c.node.log.String())
				}
			case <-time.After(stopLimit):
				t.Fatalf("the node did not end within %v\n%s", stopLimit, c.node.log.String())
			}
			t.Logf("ended %v after it was told to", time.Since(began).Round(time.Millisecond))
			// The build goes on for a moment over a database that is closed, as upstream's does,
			// which logs errors; but nobody gets its block, and it counts as nobody's fault.
			if bad := regexp.MustCompile(`(?m)^(CRIT|panic|fatal|goroutine \d).*|.*made a wrong block.*`).FindString(c.node.log.String()); bad != "" {
				t.Errorf("the node ended with %q\n%s", bad, c.node.log.String())
			}
			if _, err := os.Stat(filepath.Join(datadir, "geth", settings.DumpDir)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("there are dumps of blocks that nobody got (%v)\n%s", err, c.node.log.String())
			}

			c.start(t, path, datadir, flags...)
			if again, err := c.eth.HeaderByNumber(t.Context(), nil); err != nil || again.Hash() != head.Hash() {
				t.Fatalf("the node comes back at %v (%v), want block %d\n%s", again, err, head.Number, c.node.log.String())
			}
			c.transfers(t)
			payload := c.build(t)
			c.importPayload(t, payload)
			if n := len(payload.ExecutionPayload.Transactions); n < len(c.keys)+1 {
				t.Errorf("the next block has %d transactions, want %d or more\n%s", n, len(c.keys)+1, c.node.log.String())
			}
		})
	}
}
