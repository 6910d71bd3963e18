package bench

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
)

// Schedule is what each worker did when, filling one block.
type Schedule struct {
	Workload string  `json:"workload"`
	Workers  int     `json:"workers"`
	EndMS    float64 `json:"end_ms"`
	Steps    []Step  `json:"steps"`
}

// Step is a stretch of a worker's time.
type Step struct {
	Worker int     `json:"worker"`
	What   string  `json:"what"` // run, check or commit; simulated also draw, again and blocked
	FromMS float64 `json:"from_ms"`
	ToMS   float64 `json:"to_ms"`
}

// recorder is a blockstm.Chaos that disturbs nothing. It notes when a worker passes the
// scheduler's decision points: once around its loop these are before it takes something
// to execute, before and after the execution, and before it commits.
type recorder struct {
	begin time.Time

	mu     sync.Mutex
	passes [][]pass // by worker; guarded by mu
}

// pass is a decision point of a worker's loop passed, which the line that has it names.
type pass struct {
	at   time.Duration
	line int
}

// The points of the loop, in the order of their lines.
const (
	beforeTake = iota
	beforeRun
	afterRun
	beforeCommit
	loopPoints // how many there are
)

func newRecorder(workers int) *recorder {
	return &recorder{begin: time.Now(), passes: make([][]pass, workers)}
}

// Spurious implements blockstm.Chaos.
func (r *recorder) Spurious(blockstm.TxIndex) bool { return false }

// Pause implements blockstm.Chaos.
func (r *recorder) Pause(worker int) {
	at := time.Since(r.begin)
	var callers [4]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for range 2 { // the scheduler's pause, and what called it
		frame, _ := frames.Next()
		if strings.HasSuffix(frame.Function, ".work") {
			r.mu.Lock()
			r.passes[worker] = append(r.passes[worker], pass{at, frame.Line})
			r.mu.Unlock()
		}
	}
}

// schedule returns what was recorded, or nil if it cannot be made sense of: the number
// of executions must come out.
func (r *recorder) schedule(executions int) *Schedule {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []int
	for _, passes := range r.passes {
		for _, p := range passes {
			if !slices.Contains(lines, p.line) {
				lines = append(lines, p.line)
			}
		}
	}
	slices.Sort(lines)
	if len(lines) != loopPoints {
		return nil
	}
	ms := func(d time.Duration) float64 { return 1000 * seconds(d) }
	s := &Schedule{Workers: len(r.passes)}
	runs := 0
	for worker, passes := range r.passes {
		for i := 1; i < len(passes); i++ {
			what := ""
			switch slices.Index(lines, passes[i-1].line) {
			case beforeRun:
				what = "run"
				runs++
			case afterRun:
				what = "check"
			case beforeCommit:
				what = "commit"
			}
			s.EndMS = max(s.EndMS, ms(passes[i].at))
			if what != "" {
				s.Steps = append(s.Steps, Step{worker, what, ms(passes[i-1].at), ms(passes[i].at)})
			}
		}
	}
	if runs != executions {
		return nil
	}
	return s
}

// Lane is a worker's row in the plot.
type Lane struct {
	Worker int
	Spans  []Bar
}

// laneWidth is the width of the plot, and laneLeft where it begins, pixels.
const (
	laneWidth = 1120
	laneLeft  = 25
)

// lanes lays the schedule out. Stretches too short to be seen are joined with the one
// before if they are of a kind.
func (s *Schedule) lanes() []Lane {
	if s == nil || s.EndMS == 0 {
		return nil
	}
	lanes := make([]Lane, s.Workers)
	scale := laneWidth / s.EndMS
	for i := range lanes {
		lanes[i].Worker = i
	}
	for _, step := range s.Steps {
		spans := &lanes[step.Worker].Spans
		bar := Bar{X: laneLeft + step.FromMS*scale, Width: (step.ToMS - step.FromMS) * scale, Class: step.What}
		if n := len(*spans); n > 0 && bar.Width < 0.3 {
			if last := &(*spans)[n-1]; bar.X-last.X-last.Width < 0.3 && (last.Width < 0.6 || last.Class == bar.Class) {
				last.Width = bar.X + bar.Width - last.X
				continue
			}
		}
		*spans = append(*spans, bar)
	}
	return lanes
}
