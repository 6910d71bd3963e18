package geth

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// apis are the namespaces that the tests open on the public endpoint.
const apis = "admin,debug,eth,miner,net,txpool,web3"

func TestRPCModulesAreUpstreams(t *testing.T) {
	for _, args := range [][]string{nil, {"--http.api", apis}} {
		theirs, ours := start(t, upstream(t), t.TempDir(), args...), start(t, patched(t), t.TempDir(), args...)
		for name, pair := range map[string][2]*rpc.Client{
			"public":        {theirs.client(t), ours.client(t)},
			"authenticated": {theirs.engine(t), ours.engine(t)},
		} {
			var modules [2]map[string]string
			for i, client := range pair {
				if err := client.CallContext(t.Context(), &modules[i], "rpc_modules"); err != nil {
					t.Fatal(err)
				}
			}
			if len(modules[0]) == 0 || !maps.Equal(modules[0], modules[1]) {
				t.Errorf("%s endpoint with %q: upstream has modules %v, we have %v", name, args, modules[0], modules[1])
			}
			// The method is reachable where upstream's setters of the miner are, and nowhere else.
			setter := pair[1].CallContext(t.Context(), nil, "miner_setGasLimit", "0x1c9c380")
			method := pair[1].CallContext(t.Context(), nil, "miner_setParallelThreads", 1)
			if (setter == nil) != (method == nil) {
				t.Errorf("%s endpoint with %q: miner_setGasLimit gives %v, miner_setParallelThreads %v", name, args, setter, method)
			}
			if err := pair[0].CallContext(t.Context(), nil, "miner_setParallelThreads", 1); !isCode(err, -32601) {
				t.Errorf("%s endpoint with %q: upstream answers miner_setParallelThreads with %v", name, args, err)
			}
		}
		theirs.stop(t)
		ours.stop(t)
	}
}

// isCode reports whether err is an RPC error with that code.
func isCode(err error, code int) bool {
	var rpcErr rpc.Error
	return errors.As(err, &rpcErr) && rpcErr.ErrorCode() == code
}

func TestThreadsAreSetOverRPC(t *testing.T) {
	n := start(t, patched(t), t.TempDir(), "--http.api", apis)
	client := n.client(t)
	for _, threads := range []int{2, 0, 1, params.MaxThreads} {
		var ok bool
		if err := client.CallContext(t.Context(), &ok, "miner_setParallelThreads", threads); err != nil || !ok {
			t.Errorf("setting %d gives %v, %v", threads, ok, err)
		}
	}
	awaitLog(t, n, fmt.Sprintf("Parallel block building enabled threads=%d", params.MaxThreads))
	for _, threads := range []int{-1, params.MaxThreads + 1} {
		err := client.CallContext(t.Context(), nil, "miner_setParallelThreads", threads)
		if err == nil {
			t.Errorf("%d is taken", threads)
			continue
		}
		for _, want := range []string{fmt.Sprint(threads), "threads", "0 (all usable CPUs)", "1 (sequential)", fmt.Sprintf("2 to %d", params.MaxThreads)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%d: the error does not say %q: %v", threads, want, err)
			}
		}
	}
	for _, args := range [][]any{{}, {"two"}, {1.5}, {1, 2}} {
		if err := client.CallContext(t.Context(), nil, "miner_setParallelThreads", args...); !isCode(err, -32602) {
			t.Errorf("parameters %v: %v, want an invalid-parameters error", args, err)
		}
	}
}

// awaitLog waits until the node's log holds a text, whatever the spacing.
func awaitLog(t *testing.T, n *instance, text string) {
	t.Helper()
	for deadline := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		if strings.Contains(strings.Join(strings.Fields(n.log.String()), " "), text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q:\n%s", text, n.log.String())
		}
	}
}

func TestConsoleKnowsTheMethod(t *testing.T) {
	n := start(t, patched(t), t.TempDir(), "--http.api", apis)
	r := run(t, n.path, nil, "attach", "--exec", "miner.setParallelThreads(2)", n.http)
	if r.code != 0 || strings.TrimSpace(r.stdout) != "true" {
		t.Errorf("the console gives %q, code %d\n%s", r.stdout, r.code, r.stderr)
	}
	awaitLog(t, n, "Parallel block building enabled threads=2")
	r = run(t, n.path, nil, "attach", "--exec", "miner.setParallelThreads(-1)", n.http)
	if !strings.Contains(r.stdout+r.stderr, "threads is -1, allowed are") {
		t.Errorf("the console gives %q for -1\n%s", r.stdout, r.stderr)
	}
}
