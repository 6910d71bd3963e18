package main

import (
	"strings"
	"sync"

	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
)

// buildLog is what the sequencing geth's log tells about its builds.
type buildLog struct {
	mu        sync.Mutex
	parallel  map[uint64]bool // the blocks that got transactions in parallel; guarded by mu
	head      int             // that geth last took as its head; guarded by mu
	imported  int             // transactions of the block that geth last executed; guarded by mu
	building  bool            // a payload was started and has not been filled once; guarded by mu
	fallbacks []string        // what it warned of; guarded by mu
	runs      int             // executions; guarded by mu
	reruns    int             // re-executions; guarded by mu
	started   chan struct{}   // gets a value when a payload is started, if somebody waits
}

func newBuildLog() *buildLog {
	return &buildLog{parallel: make(map[uint64]bool), started: make(chan struct{})}
}

// record takes a line of the log.
func (l *buildLog) record(r engineapi.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Message == "Starting work on payload":
		l.building = true
		select {
		case l.started <- struct{}{}:
		default:
		}
	case r.Message == "Chain head was updated":
		l.head = int(r.Number("number"))
	case r.Message == "Imported new potential chain segment":
		l.imported = int(r.Number("txs"))
	case r.Message == "Updated payload":
		l.building = false
	case r.Number("executions") > 0 && r.Number("number") > 0: // the line of a parallel fill
		if r.Number("txs") > 0 { // otherwise it was interrupted before the first
			l.parallel[r.Number("number")] = true
		}
		l.runs += int(r.Number("executions"))
		l.reruns += int(r.Number("reexecutions"))
	case strings.HasPrefix(r.Message, "Parallel block building ") && r.Level != "info":
		l.fallbacks = append(l.fallbacks, "block "+r.Text("number")+": "+r.Message+": "+r.Text("err"))
	}
}

// filling reports whether a payload was started and is not filled yet.
func (l *buildLog) filling() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.building
}

// held is the number of the block that geth last took as its head.
func (l *buildLog) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// lastTxs is how many transactions the block has that geth last executed.
func (l *buildLog) lastTxs() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.imported
}

// filled reports whether a block was filled in parallel.
func (l *buildLog) filled(number int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parallel[uint64(number)]
}

// counts returns the executions, how many were repeated, and the warnings.
func (l *buildLog) counts() (runs, reruns int, fallbacks []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs, l.reruns, append([]string{}, l.fallbacks...)
}
