package engineapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
)

// gethBinary is the geth to test against: a built one, patched or not.
func gethBinary(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("GETH")
	if binary == "" {
		t.Skip("GETH is not set to a built geth, patched or not (make geth builds build/bin/geth)")
	}
	return binary
}

func testGenesis(t *testing.T) *core.Genesis {
	t.Helper()
	genesis, err := opchain.Genesis(opchain.Options{Compact: true})
	if err != nil {
		t.Fatal(err)
	}
	return genesis
}

func TestAPayloadOfARunningGethIsBuiltAcceptedAndKeptOverARestart(t *testing.T) {
	config := Config{Binary: gethBinary(t), Datadir: t.TempDir(), Genesis: testGenesis(t)}
	var lines atomic.Int64
	config.OnLog = func(Record) { lines.Add(1) }
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	node, err := Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Stop()
	parent := config.Genesis.ToBlock().Header()
	attrs, err := opchain.Attributes(parent, opchain.AttributesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := node.Engine().StartPayload(ctx, parent.Hash(), attrs)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	envelope, err := node.Engine().GetPayload(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	payload := envelope.ExecutionPayload

	bad := *payload
	bad.StateRoot = common.Hash{1}
	if err := node.Engine().NewPayload(ctx, &bad, *attrs.BeaconRoot); !errors.Is(err, ErrNotValid) {
		t.Errorf("a payload with another state root: got %v, want %v", err, ErrNotValid)
	}
	if err := node.Engine().NewPayload(ctx, payload, *attrs.BeaconRoot); err != nil {
		t.Fatal(err)
	}
	if err := node.Engine().SetHead(ctx, payload.BlockHash); err != nil {
		t.Fatal(err)
	}
	url := node.HTTP()
	if err := node.Stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	if _, err := http.Get(url); err == nil {
		t.Errorf("%s still answers after Stop", url)
	}
	if lines.Load() == 0 {
		t.Error("no line of the log was read")
	}

	config.Genesis = nil
	node, err = Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Stop()
	var number hexutil.Big
	if err := node.RPC().CallContext(ctx, &number, "eth_blockNumber"); err != nil {
		t.Fatal(err)
	}
	if number.ToInt().Cmp(common.Big1) != 0 {
		t.Errorf("after a restart the head is block %s, want 1", number.ToInt())
	}
	// The end of the context stops it as well.
	cancel()
	select {
	case <-node.Exited():
	case <-time.After(stopTimeout + 10*time.Second):
		t.Fatal("geth survives the end of its context")
	}
	if err := node.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestAGethThatDoesNotStartIsReportedWithTheEndOfItsLog(t *testing.T) {
	ctx := context.Background()
	_, err := Start(ctx, Config{Binary: gethBinary(t), Datadir: t.TempDir(), Args: []string{"--no-such-flag"}})
	if !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got %v, want %v with what geth said", err, ErrExited)
	}
	_, err = Start(ctx, Config{Binary: filepath.Join(t.TempDir(), "missing"), Datadir: t.TempDir()})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}

func TestLogRecordsAreRead(t *testing.T) {
	log := `{"t":"2026-01-01T00:00:00Z","lvl":"info","msg":"Filled block in parallel","number":7,"txs":100,"byworker":"60,41","elapsed":"12.5ms"}
panic: not a record
{"lvl":"warn","msg":"Other","number":"12345678901234567890","elapsed":1500}
`
	var records []Record
	var tail logTail
	if err := follow(strings.NewReader(log), io.Discard, &tail, func(r Record) { records = append(records, r) }); err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 {
		t.Fatalf("read %d records, want 2", len(records))
	}
	got := fmt.Sprint(
		records[0].Message, records[0].Number("number"), records[0].Number("absent"), records[0].Text("byworker"), records[0].Duration("elapsed"),
		records[1].Level, records[1].Number("number"), records[1].Duration("elapsed"),
	)
	want := fmt.Sprint("Filled block in parallel", uint64(7), uint64(0), "60,41", 12500*time.Microsecond, "warn", uint64(12345678901234567890), 1500*time.Nanosecond)
	if got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	if tail.String() != strings.TrimSpace(log) {
		t.Errorf("the tail is %q", tail.String())
	}
}

func TestAGenesisSurvivesItsEncoding(t *testing.T) {
	// The genesis goes to geth as JSON; what it makes of it must be the same block.
	genesis := testGenesis(t)
	genesis.Alloc[common.Address{1}] = types.Account{Balance: big.NewInt(1), Storage: map[common.Hash]common.Hash{{1}: {2}}}
	text, err := genesis.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back core.Genesis
	if err := back.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	if back.ToBlock().Hash() != genesis.ToBlock().Hash() {
		t.Errorf("the genesis is %s, and %s after encoding it", genesis.ToBlock().Hash(), back.ToBlock().Hash())
	}
}

func TestAGethThatWasKilledComesBackWithItsPortsAndItsSecret(t *testing.T) {
	config := Config{Binary: gethBinary(t), Datadir: t.TempDir(), Genesis: testGenesis(t)}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	node, err := Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Stop()
	public, auth := node.HTTP(), node.Auth()
	secret, err := os.ReadFile(SecretFile(config.Datadir))
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := node.Stop(); !errors.Is(err, ErrExited) {
		t.Errorf("stopping it after the kill: %v, want %v", err, ErrExited)
	}
	port := func(url string) string { return url[strings.LastIndex(url, ":")+1:] }
	config.Genesis = nil
	config.Args = []string{"--http.port", port(public), "--authrpc.port", port(auth)}
	again, err := Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	if again.HTTP() != public || again.Auth() != auth {
		t.Errorf("it is at %s and %s, want %s and %s", again.HTTP(), again.Auth(), public, auth)
	}
	if now, err := os.ReadFile(SecretFile(config.Datadir)); err != nil || string(now) != string(secret) {
		t.Errorf("its secret has changed: %v", err)
	}
}
