package bench

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// A benchmark shares its machine. Medians of ratios bear some of that; still, how much of
// the CPUs others took is part of a result, and one can wait for a quiet moment.

const (
	jiffy = 10 * time.Millisecond // the unit of /proc/stat

	quietProbe = 100 * time.Millisecond // how long a look at the machine takes
	quietShare = 0.10                   // of the CPUs' time taken by others is quiet
)

// usage is what the machine and this process have used of the CPUs by a moment.
type usage struct {
	at     time.Time
	busy   time.Duration // of all CPUs, by all processes and by the host; 0: not known
	own    time.Duration
	system bool // busy is known
}

func usageNow() usage {
	u := usage{at: time.Now(), own: cpuTime()}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u
	}
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	if _, err := fmt.Sscanf(string(text), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err == nil {
		u.busy, u.system = time.Duration(user+nice+system+irq+softirq+steal)*jiffy, true
	}
	return u
}

// othersSince returns which share of the CPUs' time others took since then.
func (u usage) othersSince(before usage) float64 {
	if !u.system || !before.system || !u.at.After(before.at) {
		return 0
	}
	others := (u.busy - before.busy) - (u.own - before.own)
	return max(0, seconds(others)/seconds(u.at.Sub(before.at))/float64(runtime.NumCPU()))
}

// awaitQuiet returns when others leave the machine alone, or after that long.
func awaitQuiet(most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end); {
		before := usageNow()
		time.Sleep(quietProbe)
		if usageNow().othersSince(before) <= quietShare {
			return
		}
	}
}
