package main

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/engineapi"
)

// buildStats is what geth's log tells about the build of a block.
type buildStats struct {
	Build time.Duration // preparing, filling and sealing, of the payload last updated

	// The rest is of the last parallel filling; zero when there was none.
	Fill         time.Duration
	Executions   int
	Reexecutions int
	ByWorker     []int
	Fallback     string // why filling went on sequentially; "" if it did not
}

// buildLog collects the build statistics from geth's log.
type buildLog struct {
	mu    sync.Mutex
	stats map[uint64]buildStats // by block number; guarded by mu
}

func newBuildLog() *buildLog { return &buildLog{stats: make(map[uint64]buildStats)} }

// record takes a line of the log.
func (l *buildLog) record(r engineapi.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number := r.Number("number")
	s := l.stats[number]
	switch r.Message {
	case "Updated payload":
		s.Build = r.Duration("elapsed")
	case "Filled block in parallel":
		s.Fill = r.Duration("elapsed")
		s.Executions = int(r.Number("executions"))
		s.Reexecutions = int(r.Number("reexecutions"))
		s.ByWorker = workers(r.Text("workers"))
		s.Fallback = ""
	case "Parallel block building stopped, filling the rest sequentially",
		"Parallel block building not possible, filling the block sequentially",
		"Parallel block building failed",
		"Parallel block building panicked",
		"Parallel block building made a wrong block":
		s.Fallback = r.Text("err")
	default:
		return
	}
	l.stats[number] = s
}

// take returns what is known of a block's build and forgets it. The log is read beside
// what geth answers, so the line may still be on its way.
func (l *buildLog) take(number uint64) buildStats {
	const patience = 20
	for i := 0; ; i++ {
		l.mu.Lock()
		s := l.stats[number]
		if s.Build > 0 || i == patience {
			delete(l.stats, number)
			l.mu.Unlock()
			return s
		}
		l.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
}

// workers reads a list such as [2501,2499].
func workers(text string) []int {
	var counts []int
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("[], ", r) }) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil
		}
		counts = append(counts, n)
	}
	return counts
}
