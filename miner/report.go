package miner

import (
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

const (
	// MaxReports is how many builds a Recorder remembers.
	MaxReports = 128

	// defaultReports is how many of them are given to who does not say how many.
	defaultReports = 10
)

// Report is what one build was like, as miner_parallelStats gives it. Times are in
// milliseconds.
type Report struct {
	Number     uint64       `json:"number"`
	ParentHash common.Hash  `json:"parentHash"`
	Hash       *common.Hash `json:"hash"` // null: not sealed, or not yet
	Start      time.Time    `json:"start"`

	Parallel bool   `json:"parallel"` // filled in parallel, at least in part
	Reason   Reason `json:"reason"`   // why it, or the rest of it, was filled sequentially; "": it was not
	Workers  int    `json:"workers"`
	Offered  int    `json:"offered"` // transactions that the pool had for it
	Txs      int    `json:"txs"`     // in the block, forced ones included
	Gas      uint64 `json:"gas"`

	Committed     int            `json:"committed"` // by the parallel path
	Dropped       int            `json:"dropped"`
	DroppedBy     map[string]int `json:"droppedBy"` // by reason
	Executions    int            `json:"executions"`
	Reexecutions  int            `json:"reexecutions"`
	Aborts        int            `json:"aborts"`
	Blocked       int            `json:"blocked"`
	HeadShare     float64        `json:"headShare"`
	MeanDepth     float64        `json:"meanDepth"`
	ByWorker      []int          `json:"byWorker"`
	Utilisation   float64        `json:"utilisation"`
	Speedup       float64        `json:"speedup"` // estimate, see Stats.Speedup
	FillMS        float64        `json:"fillMs"`
	CommitMS      float64        `json:"commitMs"`
	WaitMS        float64        `json:"waitMs"`
	SealMS        float64        `json:"sealMs"`
	InterruptedMS float64        `json:"interruptedMs"` // from the interrupt to the end of filling, at most; 0: not interrupted
}

// note takes over what the parallel runs did.
func (p *Report) note(s *Stats) {
	p.Committed, p.Dropped, p.DroppedBy = s.Committed, s.Dropped, s.Drops.ByReason()
	p.Executions, p.Reexecutions = s.Executions, s.Reexecutions
	p.Aborts, p.Blocked = s.Aborts, s.Blocked
	p.HeadShare, p.MeanDepth = s.HeadShare(), s.MeanDepth()
	p.ByWorker = append([]int{}, s.ByWorker...)
	p.Utilisation, p.Speedup = s.Utilisation(), s.Speedup()
	p.CommitMS, p.WaitMS = milliseconds(s.Committing), milliseconds(s.Waited)
	p.InterruptedMS = milliseconds(s.InterruptLatency)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Recorder remembers the last builds of a miner, none to begin with. It is safe for
// concurrent use.
type Recorder struct {
	mu      sync.Mutex // guards what follows
	reports []*Report  // the last ones, oldest first; none is changed once it is here
	lesson  *Lesson    // of the last build, for the next one; nil: there is none
}

// recall returns the lesson of an earlier build on the state of a root, nil if there is
// none. That of another root will not be asked for again.
func (r *Recorder) recall(root common.Hash) *Lesson {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lesson != nil && r.lesson.root != root {
		r.lesson = nil
	}
	return r.lesson
}

// learn remembers a lesson, which may be nil, unless it is about a lesser part of the same
// slot's transactions than the one at hand.
func (r *Recorder) learn(l *Lesson) {
	if l == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.lesson; old == nil || old.root != l.root || len(old.hashes) <= len(l.hashes) {
		r.lesson = l
	}
}

// forget forgets the lesson.
func (r *Recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lesson = nil
}

// put remembers a copy of the report, in place of an earlier one if that is still here,
// and returns the copy.
func (r *Recorder) put(earlier *Report, report Report) *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	if earlier == nil {
		if len(r.reports) == MaxReports {
			r.reports = append(r.reports[:0], r.reports[1:]...)
		}
		r.reports = append(r.reports, &report)
		return &report
	}
	for i, p := range r.reports {
		if p == earlier {
			r.reports[i] = &report
		}
	}
	return &report
}

// Last returns the last builds, the latest first: as many as asked for, 1 to MaxReports,
// or some if count is nil. There may be fewer.
func (r *Recorder) Last(count *int) ([]*Report, error) {
	n := defaultReports
	if count != nil {
		n = *count
	}
	if n < 1 || n > MaxReports {
		return nil, fmt.Errorf("count is %d, allowed are 1 to %d", n, MaxReports)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	last := make([]*Report, 0, n)
	for i := len(r.reports) - 1; i >= 0 && len(last) < n; i-- {
		last = append(last, r.reports[i])
	}
	return last, nil
}
