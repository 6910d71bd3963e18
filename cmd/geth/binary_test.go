package geth

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	startLimit = 60 * time.Second // for a node to open its ports
	// geth catches signals only when all its services have started, which can be a second
	// after its ports are open, and says nothing of it: the log indexer starts last.
	signalDelay = 300 * time.Millisecond
	stopLimit   = 60 * time.Second // for a node to end when told to
	runLimit    = 60 * time.Second // for a command that does not stay
)

// patched returns the path of the binary under test, upstream that of op-geth's own.
func patched(t *testing.T) string  { return binary(t, "GETH") }
func upstream(t *testing.T) string { return binary(t, "GETH_UPSTREAM") }

func binary(t *testing.T, env string) string {
	t.Helper()
	path := os.Getenv(env)
	if path == "" {
		t.Skipf("%s does not say where the binary is; 'make e2e' builds it and runs this test", env)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return path
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command to its end, with env added to a clean environment.
func run(t *testing.T, path string, env []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(cleanEnv(t), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(runLimit, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%v did not end within %v\n%s", cmd.Args, runLimit, stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// cleanEnv is the test's environment without settings of geth, and with a home that holds
// none: the same one for all of a test.
func cleanEnv(t *testing.T) []string {
	env := []string{"HOME=" + filepath.Dir(t.TempDir())}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GETH") && !strings.HasPrefix(v, "HOME=") {
			env = append(env, v)
		}
	}
	return env
}

// instance is a running node, whose ports are on loopback and chosen free.
type instance struct {
	path, datadir string
	cmd           *exec.Cmd
	log           logBuffer
	exited        chan error
	http, auth    string // endpoints
}

// logBuffer collects what a node prints.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var (
	httpStarted = regexp.MustCompile(`HTTP server started\s+endpoint=(\S+) auth=false`)
	authStarted = regexp.MustCompile(`HTTP server started\s+endpoint=(\S+) auth=true`)
)

// start starts a node on datadir and waits until its ports are open. The test's end
// stops it.
func start(t *testing.T, path, datadir string, args ...string) *instance {
	t.Helper()
	secret := filepath.Join(datadir, "jwt.hex")
	if err := os.WriteFile(secret, []byte(fmt.Sprintf("%x", jwtSecret)), 0o600); err != nil {
		t.Fatal(err)
	}
	n := &instance{path: path, datadir: datadir, exited: make(chan error, 1)}
	n.cmd = exec.Command(path, append([]string{
		"--datadir", datadir, "--ipcdisable", "--nodiscover", "--maxpeers", "0", "--nat", "none",
		"--port", "0", "--authrpc.port", "0", "--authrpc.jwtsecret", secret,
		"--http", "--http.port", "0", "--log.format", "terminal",
	}, args...)...)
	n.cmd.Env = cleanEnv(t)
	n.cmd.Stdout, n.cmd.Stderr = &n.log, &n.log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { n.exited <- n.cmd.Wait() }()
	t.Cleanup(func() { n.stop(t) })

	for deadline := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		log := n.log.String()
		http, auth := httpStarted.FindStringSubmatch(log), authStarted.FindStringSubmatch(log)
		if http != nil && auth != nil && strings.Contains(log, "Started log indexer") {
			time.Sleep(signalDelay)
			n.http, n.auth = "http://"+http[1], "http://"+auth[1]
			return n
		}
		select {
		case err := <-n.exited:
			n.exited <- err
			t.Fatalf("%v ended before its ports were open: %v\n%s", n.cmd.Args, err, log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v opened no ports within %v\n%s", n.cmd.Args, startLimit, log)
		}
	}
}

// stop interrupts the node and waits for its orderly end.
func (n *instance) stop(t *testing.T) {
	t.Helper()
	if n.exited == nil {
		return
	}
	n.cmd.Process.Signal(syscall.SIGINT)
	select {
	case err := <-n.exited:
		if err != nil {
			t.Errorf("node ended with %v\n%s", err, n.log.String())
		}
	case <-time.After(stopLimit):
		n.cmd.Process.Kill()
		<-n.exited
		t.Errorf("node did not stop within %v\n%s", stopLimit, n.log.String())
	}
	n.exited = nil
}

// jwtSecret is shared by the nodes and the tests that play their consensus client.
var jwtSecret = [32]byte{0: 0xc1, 31: 0x1e}

// client connects to the node's public endpoint, engine to the authenticated one.
func (n *instance) client(t *testing.T) *rpc.Client {
	return dial(t, n.http)
}

func (n *instance) engine(t *testing.T) *rpc.Client {
	return dial(t, n.auth, rpc.WithHTTPAuth(node.NewJWTAuth(jwtSecret)))
}

func dial(t *testing.T, url string, opts ...rpc.ClientOption) *rpc.Client {
	t.Helper()
	client, err := rpc.DialOptions(t.Context(), url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// addedLines returns the lines of b that are not in a, in order. It fails the test when
// a has a line that b lacks, or has in another order.
func addedLines(t *testing.T, a, b string) []string {
	t.Helper()
	want, added := strings.Split(a, "\n"), []string(nil)
	for _, line := range strings.Split(b, "\n") {
		if len(want) > 0 && want[0] == line {
			want = want[1:]
		} else {
			added = append(added, line)
		}
	}
	if len(want) > 0 {
		t.Fatalf("%d lines from %q on are upstream's but not ours", len(want), want[0])
	}
	return added
}
