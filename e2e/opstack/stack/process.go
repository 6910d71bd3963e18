package stack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
)

// ErrExited is returned (wrapped) when a process of the stack ended without having been
// asked to.
var ErrExited = errors.New("exited by itself")

// process is a program that runs until it is stopped and writes a log: op-node,
// op-batcher.
type process struct {
	name    string
	logFile string
	cancel  context.CancelFunc
	asked   atomic.Bool   // whether it was asked to stop
	exited  chan struct{} // closed when it is gone
	err     error         // why, set before exited is closed
}

// startProcess runs a program, with its output in dir/name.log.
func startProcess(ctx context.Context, dir, name, binary string, args []string) (*process, error) {
	p := &process{name: name, logFile: logFile(dir, name), exited: make(chan struct{})}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	ctx, p.cancel = context.WithCancel(ctx)
	cmd := engineapi.Command(ctx, binary, args)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		p.cancel()
		return nil, errors.Join(fmt.Errorf("starting %s: %w", name, err), log.Close())
	}
	go func() {
		p.err = errors.Join(cmd.Wait(), log.Close())
		close(p.exited)
	}()
	return p, nil
}

// stop interrupts the process and waits until it is gone. It fails where the process had
// to be killed. It may be called repeatedly.
func (p *process) stop() error {
	select {
	case <-p.exited:
		if !p.asked.Load() {
			return p.exitError()
		}
	default:
		p.asked.Store(true)
		p.cancel()
	}
	<-p.exited
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return fmt.Errorf("%s did not stop and was killed, log in %s", p.name, p.logFile)
		}
	}
	return nil // whatever code it uses for having been interrupted
}

// exitError tells that the process is gone.
func (p *process) exitError() error {
	if p.err == nil {
		return fmt.Errorf("%s %w, log in %s", p.name, ErrExited, p.logFile)
	}
	return fmt.Errorf("%s %w: %w, log in %s", p.name, ErrExited, p.err, p.logFile)
}

// Ports below those that systems give to outgoing connections: one that is free while its
// process restarts is not taken by chance.
const lowPort, highPort = 20_000, 32_000

// freePorts returns n loopback ports that were free a moment ago. A process that is
// restarted keeps its port, so that those that talk to it find it again.
func freePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		port := lowPort + rand.IntN(highPort-lowPort)
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			if tries == 1000 {
				return nil, fmt.Errorf("finding a free port between %d and %d: %w", lowPort, highPort, err)
			}
			continue
		}
		defer listener.Close() // all stay open until the last is found: none is given twice
		ports = append(ports, port)
	}
	return ports, nil
}
