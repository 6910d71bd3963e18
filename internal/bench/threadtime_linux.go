package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime returns how long the calling thread has run, whatever else the machine did
// meanwhile. Differences mean something to a goroutine that is locked to its thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
