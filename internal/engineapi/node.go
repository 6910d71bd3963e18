package engineapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// startTimeout is how long geth may take until its endpoints are open.
	startTimeout = 60 * time.Second

	// stopTimeout is how long geth may take to stop before it is killed.
	stopTimeout = 30 * time.Second
)

// ErrExited is returned (wrapped) when the process ended without having been asked to.
var ErrExited = errors.New("geth exited")

// Config says how to run geth.
type Config struct {
	Binary  string        // path of geth
	Datadir string        // its data directory, which exists
	Genesis *core.Genesis // to initialise the data directory with; nil: it is already
	Init    []string      // further arguments of the initialisation
	Args    []string      // further arguments; they override those that Start gives
	Log     io.Writer     // gets the log as geth writes it; may be nil
	OnLog   func(Record)  // called for each line of the log, one at a time; may be nil
}

// Node is a running geth. Its ports are chosen by the system and open on the loopback
// interface only; it looks for no peers.
type Node struct {
	engine *Client
	rpc    *rpc.Client
	http   string // URL of the public endpoint
	auth   string // URL of the authenticated endpoint

	process *os.Process
	cancel  context.CancelFunc // asks the process to stop
	tail    logTail
	exited  chan struct{} // closed when the process is gone
	err     error         // why, set before exited is closed
}

// Start runs geth until Stop is called or ctx ends, either of which stops it cleanly,
// or kills it if it does not obey. When Start fails no process is left.
func Start(ctx context.Context, config Config) (*Node, error) {
	if config.Genesis != nil {
		if err := initialise(ctx, config); err != nil {
			return nil, err
		}
	}
	secret, secretFile, err := loadSecret(config.Datadir)
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--datadir", config.Datadir,
		"--log.format", "json",
		"--authrpc.addr", "127.0.0.1", "--authrpc.port", "0", "--authrpc.jwtsecret", secretFile,
		"--http", "--http.addr", "127.0.0.1", "--http.port", "0",
		"--port", "0", "--nodiscover", "--maxpeers", "0", "--nat", "none",
		"--ipcdisable",
		"--syncmode", "full",
	}, config.Args...)

	ctx, cancel := context.WithCancel(ctx)
	n := &Node{cancel: cancel, exited: make(chan struct{})}
	endpoints, err := n.run(Command(ctx, config.Binary, args), config)
	if err != nil {
		cancel()
		return nil, err
	}
	if err := n.connect(ctx, endpoints, secret); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	return n, nil
}

// initialise runs "geth init".
func initialise(ctx context.Context, config Config) error {
	genesis, err := json.Marshal(config.Genesis)
	if err != nil {
		return fmt.Errorf("encoding the genesis: %w", err)
	}
	file := filepath.Join(config.Datadir, "genesis.json")
	if err := os.WriteFile(file, genesis, 0o644); err != nil {
		return fmt.Errorf("writing the genesis: %w", err)
	}
	args := append([]string{"init", "--datadir", config.Datadir}, append(slices.Clone(config.Init), file)...)
	if out, err := Command(ctx, config.Binary, args).CombinedOutput(); err != nil {
		return fmt.Errorf("%s init: %w: %s", config.Binary, err, out)
	}
	return nil
}

// SecretFile is where the data directory of a node has the secret of its Engine API. It
// stays the same from one start to the next.
func SecretFile(datadir string) string { return filepath.Join(datadir, "jwt.hex") }

// loadSecret reads the secret that authenticates the Engine API, or makes it.
func loadSecret(dir string) (secret [32]byte, file string, err error) {
	file = SecretFile(dir)
	switch text, err := os.ReadFile(file); {
	case err == nil:
		if decoded, err := hex.DecodeString(string(text)); err != nil || copy(secret[:], decoded) != len(secret) || len(decoded) != len(secret) {
			return secret, "", fmt.Errorf("%s holds %d characters, allowed are %d bytes in hex", file, len(text), len(secret))
		}
		return secret, file, nil
	case !errors.Is(err, os.ErrNotExist):
		return secret, "", fmt.Errorf("reading the JWT secret: %w", err)
	}
	if _, err := rand.Read(secret[:]); err != nil {
		return secret, "", fmt.Errorf("making the JWT secret: %w", err)
	}
	if err := os.WriteFile(file, []byte(hex.EncodeToString(secret[:])), 0o600); err != nil {
		return secret, "", fmt.Errorf("writing the JWT secret: %w", err)
	}
	return secret, file, nil
}

// Command prepares a process to be interrupted when ctx ends, and killed if that does not
// help or if this process is killed.
func Command(ctx context.Context, binary string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	// geth reads settings from GETH_… variables, op-node and op-batcher from OP_…; they
	// should have those of their arguments only.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GETH") || strings.HasPrefix(v, "OP_")
	})
	detach(cmd)
	return cmd
}

// endpoints are the addresses at which geth listens.
type endpoints struct{ http, auth string }

// run starts the process and the goroutine that waits for it.
func (n *Node) run(cmd *exec.Cmd, config Config) (<-chan endpoints, error) {
	stderr, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", config.Binary, err)
	}
	cmd.Stderr = write
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", config.Binary, err), stderr.Close(), write.Close())
	}
	write.Close()
	n.process = cmd.Process

	found := make(chan endpoints, 1)
	logged := make(chan error, 1)
	go func() {
		var open endpoints
		err := follow(stderr, config.Log, &n.tail, func(r Record) {
			if r.Message == "HTTP server started" {
				if r.Text("auth") == "true" {
					open.auth = "http://" + r.Text("endpoint")
				} else {
					open.http = "http://" + r.Text("endpoint")
				}
				if open.auth != "" && open.http != "" {
					found <- open
				}
			}
			if config.OnLog != nil {
				config.OnLog(r)
			}
		})
		_, _ = io.Copy(io.Discard, stderr) // after an error: geth must not block on a full pipe
		logged <- errors.Join(err, stderr.Close())
	}()
	go func() {
		err := cmd.Wait()
		n.err = errors.Join(err, <-logged)
		close(n.exited)
	}()
	return found, nil
}

// connect waits for the endpoints and dials them.
func (n *Node) connect(ctx context.Context, found <-chan endpoints, secret [32]byte) error {
	select {
	case open := <-found:
		n.http, n.auth = open.http, open.auth
	case <-n.exited:
		return n.exitError()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(startTimeout):
		return fmt.Errorf("geth did not open its endpoints within %v; the end of its log:\n%s", startTimeout, &n.tail)
	}
	var err error
	if n.engine, err = Dial(ctx, n.auth, secret); err != nil {
		return err
	}
	if n.rpc, err = rpc.DialContext(ctx, n.http); err != nil {
		return fmt.Errorf("RPC at %s: %w", n.http, err)
	}
	return nil
}

// Auth returns the URL of the Engine API.
func (n *Node) Auth() string { return n.auth }

// Engine returns the connection to the Engine API.
func (n *Node) Engine() *Client { return n.engine }

// RPC returns the connection to the public API.
func (n *Node) RPC() *rpc.Client { return n.rpc }

// HTTP returns the URL of the public API.
func (n *Node) HTTP() string { return n.http }

// Exited is closed when the process is gone.
func (n *Node) Exited() <-chan struct{} { return n.exited }

// exitError tells why the process is gone.
func (n *Node) exitError() error {
	return fmt.Errorf("%w: %w; the end of its log:\n%s", ErrExited, n.err, &n.tail)
}

// Stop interrupts geth and waits until it is gone. It fails where geth had to be killed,
// had crashed, or ended with an exit code other than 0. It may be called repeatedly.
func (n *Node) Stop() error {
	select {
	case <-n.exited: // by itself, or stopped before
	default:
		n.cancel()
	}
	<-n.exited
	n.closeClients()
	if n.err == nil || stoppedAsAsked(n.err) {
		return nil
	}
	return n.exitError()
}

// Kill kills geth, as a crash would, and waits until it is gone.
func (n *Node) Kill() error {
	if err := n.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing geth: %w", err)
	}
	<-n.exited
	n.cancel()
	n.closeClients()
	return nil
}

func (n *Node) closeClients() {
	if n.engine != nil {
		n.engine.Close()
	}
	if n.rpc != nil {
		n.rpc.Close()
	}
}

// stoppedAsAsked reports whether the process ended because its context did: in good order,
// or by the interrupt itself, which geth does not handle yet while it starts.
func stoppedAsAsked(err error) bool {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		return ok && status.Signaled() && status.Signal() == syscall.SIGINT
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
