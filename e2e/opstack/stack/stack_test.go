package stack

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/op-geth-parallel/op-geth-parallel/internal/opchain"
)

func TestTheGenesisIsOfIsthmusWithTheRegistrysL1Block(t *testing.T) {
	config := &Config{BlockTime: time.Second, GasLimit: 30_000_000}
	genesis, err := isthmusGenesis(config, 1000, 1010)
	if err != nil {
		t.Fatal(err)
	}
	if c := genesis.Config; c.IsJovian(1009) || !c.IsJovian(1010) || !c.IsIsthmus(1000) {
		t.Error("it does not go from Isthmus to Jovian at 1010")
	}
	proxy := genesis.Alloc[types.L1BlockAddr]
	implementation := common.BytesToAddress(proxy.Storage[implementationSlot()].Bytes())
	if implementation != registryL1Block() {
		t.Errorf("L1Block is implemented at %s, want %s", implementation, registryL1Block())
	}
	if slot := proxy.Storage[types.OperatorFeeParamsSlot]; slot[18] != 0 || slot[19] != 0 {
		t.Errorf("there is a DA footprint's gas scalar before Jovian: %s", slot)
	}
	if len(genesis.ExtraData) != 9 {
		t.Errorf("the extra data is %x, want the nine bytes of Holocene", genesis.ExtraData)
	}
}

func TestTheRollupConfigurationNamesBothGeneses(t *testing.T) {
	config := &Config{BlockTime: 2 * time.Second, GasLimit: 30_000_000}
	genesis, err := isthmusGenesis(config, 1000, 1010)
	if err != nil {
		t.Fatal(err)
	}
	l1 := &types.Header{Number: common.Big2, Time: 1000}
	text, err := json.Marshal(newRollupConfig(config, l1, genesis))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		l1.Hash().Hex(), genesis.ToBlock().Hash().Hex(), `"block_time":2`, `"jovian_time":1010`, `"isthmus_time":0`, `"l2_time":1000`,
		`"l2_chain_id":` + strconv.Itoa(opchain.DefaultChainID), `"gasLimit":30000000`, `"eip1559Params":"0x000000fa00000006"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it lacks %s: %s", want, text)
		}
	}
}

func TestPortsAreFreeAndDistinct(t *testing.T) {
	ports, err := freePorts(5)
	if err != nil {
		t.Fatal(err)
	}
	for i, port := range ports {
		for _, other := range ports[:i] {
			if port == other {
				t.Errorf("port %d is given twice", port)
			}
		}
		if port < lowPort || port >= highPort {
			t.Errorf("port %d is none of %d to %d", port, lowPort, highPort)
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			t.Errorf("port %d: %v", port, err)
			continue
		}
		listener.Close()
	}
}

func TestAProcessThatEndsByItselfIsAnErrorAndOneThatIsStoppedIsNot(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("there is no sleep")
	}
	stopped, err := startProcess(context.Background(), t.TempDir(), "stopped", sleep, []string{"60"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stopped.stop(); err != nil {
			t.Errorf("stopping it: %v", err)
		}
	}
	dir := t.TempDir()
	ended, err := startProcess(context.Background(), dir, "ended", sleep, []string{"nonsense"})
	if err != nil {
		t.Fatal(err)
	}
	<-ended.exited
	for range 2 {
		if err := ended.stop(); !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), ended.logFile) {
			t.Errorf("stopping it: %v, want %v and the name of its log", err, ErrExited)
		}
	}
	if text, err := os.ReadFile(ended.logFile); err != nil || !strings.Contains(string(text), "nonsense") {
		t.Errorf("its log is %q, %v", text, err)
	}
}

func TestAConfigurationThatOpNodeCannotRunIsRefused(t *testing.T) {
	for _, config := range []Config{
		{BlockTime: time.Second, Jovian: 0},
		{BlockTime: 500 * time.Millisecond, Jovian: 1},
		{BlockTime: 1500 * time.Millisecond, Jovian: 1},
	} {
		if s, err := Start(context.Background(), config); err == nil {
			t.Errorf("%+v: no error", config)
			s.Stop()
		}
	}
}

func TestNoProcessIsLeftOfAStackThatDoesNotStart(t *testing.T) {
	geth := os.Getenv("GETH")
	if geth == "" {
		t.Skip("GETH is not set to a built geth, patched or not (make geth builds build/bin/geth)")
	}
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	mute := filepath.Join(dir, "mute") // an op-node that never answers
	script := "#!/bin/sh\necho $$ >" + pidFile + "\nexec sleep 600\n"
	if err := os.WriteFile(mute, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if text, err := os.ReadFile(pidFile); err == nil && len(text) > 0 {
				cancel() // as Ctrl-C does
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	s, err := Start(ctx, Config{Dir: dir, L1: geth, Geth: geth, OpNode: mute, BlockTime: time.Second, Jovian: 1, GasLimit: 30_000_000})
	if err == nil {
		s.Stop()
		t.Fatal("no error")
	}
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "op-node.log") {
		t.Errorf("the error is %v, want %v and the name of the log", err, context.Canceled)
	}
	// The programs name files of the directory in their arguments; the mute one is asked for itself.
	if out, err := exec.Command("ps", "-eo", "args").Output(); err != nil {
		t.Logf("no list of processes: %v", err)
	} else if strings.Contains(string(out), dir) {
		t.Errorf("a process is left:\n%s", out)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}
