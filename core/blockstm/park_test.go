package blockstm

import (
	"context"
	"sync"
	"testing"
	"time"
)

// slowStream is a program whose second batch is drawn until the run has been cancelled,
// while the last transaction of the first one is still being executed.
type slowStream struct {
	cancelRun context.CancelFunc
	cancelled chan struct{} // closed by Cancel
	once      sync.Once
	drawing   chan struct{} // closed when the second batch is being drawn
	executed  func() int    // transactions executed
}

func (p *slowStream) Next(tx TxIndex) (TxIndex, bool) {
	if tx < drawBatch {
		return NoTx, true
	}
	close(p.drawing)
	p.cancelRun()
	<-p.cancelled
	// Come back when the other worker is gone.
	for p.executed() < drawBatch {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	return NoTx, false
}

func (p *slowStream) Execute(_ int, version Version, _ bool) Execution {
	if version.Tx < drawBatch-1 {
		return Execution{Blocked: NoTx, Readers: NoTx}
	}
	<-p.drawing
	<-p.cancelled
	return Execution{Blocked: NoTx, Readers: NoTx}
}

func (p *slowStream) Validate(TxIndex) bool           { return true }
func (p *slowStream) Abort(TxIndex)                   {}
func (p *slowStream) Commit(tx TxIndex) (bool, error) { return tx < drawBatch-1, nil }
func (p *slowStream) Cancel()                         { p.once.Do(func() { close(p.cancelled) }) }

// A run was cancelled while one worker drew. It came back, found nothing to do and waited
// for a signal, of which there are none after the end.
func TestAWorkerThatDrewWhileTheRunWasCancelledDoesNotWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &slowStream{cancelRun: cancel, cancelled: make(chan struct{}), drawing: make(chan struct{})}
	s := NewScheduler(p, Config{Workers: 2})
	s.looking = maxLooking // nobody looks again: they wait at once
	s.low = 1              // the second batch is drawn when the first one is at work
	p.executed = func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.stats.Executions
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the run does not end")
	}
}
