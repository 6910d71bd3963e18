package blockstm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// locatedChaos disturbs the schedule and notes from which lines it was asked to.
type locatedChaos struct {
	seededChaos

	linesMu sync.Mutex   // guards lines
	lines   map[int]bool // of scheduler.go
}

// note notes the line of scheduler.go that asked, behind the method that asks for all.
func (c *locatedChaos) note() {
	pcs := make([]uintptr, 8)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		asks := strings.HasSuffix(frame.Function, ").pause") || strings.HasSuffix(frame.Function, ").spurious")
		if filepath.Base(frame.File) == "scheduler.go" && !asks {
			c.linesMu.Lock()
			c.lines[frame.Line] = true
			c.linesMu.Unlock()
			return
		}
		if !more {
			return
		}
	}
}

func (c *locatedChaos) Pause(worker int) { c.note(); c.seededChaos.Pause(worker) }

func (c *locatedChaos) Spurious(tx TxIndex) bool { c.note(); return c.seededChaos.Spurious(tx) }

func TestDisturbedRunsPassEveryDecisionPoint(t *testing.T) {
	source, err := os.ReadFile("scheduler.go")
	if err != nil {
		t.Fatal(err)
	}
	points := make(map[int]string)
	for i, line := range strings.Split(string(source), "\n") {
		if regexp.MustCompile(`s\.(pause|spurious)\(`).MatchString(line) {
			points[i+1] = strings.TrimSpace(line)
		}
	}
	if len(points) < 5 {
		t.Fatalf("%d decision points in scheduler.go: %v", len(points), points)
	}
	reached := make(map[int]bool)
	for seed := uint64(1); seed <= 100 && len(reached) < len(points); seed++ {
		r := rand.New(rand.NewPCG(seed, 1))
		txs, n := randomToys(r)
		chaos := &locatedChaos{seededChaos: seededChaos{r: r, rate: 2}, lines: reached}
		if _, err := NewScheduler(newToyProgram(t, txs, n), Config{Workers: 4, Chaos: chaos}).Run(context.Background()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	for line, what := range points {
		if !reached[line] {
			t.Errorf("scheduler.go:%d is never reached: %s", line, what)
		}
	}
	if t.Failed() {
		t.Log(fmt.Sprint(reached))
	}
}
