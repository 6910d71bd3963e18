package main

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestBadFlagsAreNamedWithWhatIsAllowed(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"-workers", "2,none"}, []string{"-workers", `"none"`, "1 to 256"}},
		{[]string{"-workers", "0"}, []string{"-workers", `"0"`, "1 to 256"}},
		{[]string{"-workloads", "nothing"}, []string{"-workloads", `"nothing"`, "transfers"}},
		{[]string{"-workloads", "fixtures"}, []string{"-blocks"}},
		{[]string{"-txs", "0"}, []string{"-txs", "0", "1 to 200000"}},
		{[]string{"-rounds", "-1"}, []string{"-rounds", "-1", "1 to 1000"}},
		{[]string{"-state", "lukewarm"}, []string{"-state", `"lukewarm"`, "memory warm cold"}},
		{[]string{"-sides", "left"}, []string{"-sides", `"left"`, "both"}},
		{[]string{"-read-latency", "2s"}, []string{"-read-latency", "2s", "0 to 1s"}},
		{[]string{"-quiet", "-1s"}, []string{"-quiet", "-1s", "0 to 1h"}},
		{[]string{"-features", "luck"}, []string{"-features", `"luck"`, "window"}},
		{[]string{"-features", "all", "-growth", "10"}, []string{"-growth", "10", "-features"}},
		{[]string{"-features", "all", "-state", "cold"}, []string{"-state", `"cold"`, "warm"}},
		{[]string{"extra"}, []string{`"extra"`}},
	} {
		_, err := parse(c.args, io.Discard)
		if err == nil {
			t.Errorf("%v: no error", c.args)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v: error %q does not say %s", c.args, err, part)
			}
		}
	}
}

func TestFlagsReachTheRun(t *testing.T) {
	s, err := parse([]string{"-workloads", "quick", "-workers", "2, 4", "-txs", "10", "-read-latency", "50us", "-html", "x.html"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Workers) != 2 || s.Workers[1] != 4 || s.Txs != 10 || s.Senders != 10 || s.Latency != 50*time.Microsecond || !s.Schedule || len(s.Workloads) < 3 {
		t.Errorf("%+v", s)
	}
}

func TestTheQuickChoiceRunsOnOneNumberOfWorkers(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, 4},
		{[]string{"-workloads", "quick"}, 1},
		{[]string{"-workloads", "quick", "-workers", "1,2"}, 2},
		{[]string{"-workloads", "erc20"}, 4},
	} {
		s, err := parse(c.args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Workers) != c.want {
			t.Errorf("%v: workers %v, want %d numbers", c.args, s.Workers, c.want)
		}
	}
}

func TestEveryProfileIsWritten(t *testing.T) {
	dir := t.TempDir()
	paths := profilePaths{dir + "/cpu", dir + "/mem", dir + "/mutex", dir + "/block"}
	before := runtime.MemProfileRate
	p, err := newProfiles(paths)
	if err != nil {
		t.Fatal(err)
	}
	stop := p.measure()
	<-time.After(time.Millisecond)
	stop()
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	runtime.MemProfileRate = before
	for _, path := range []string{paths.cpu, paths.mem, paths.mutex, paths.block} {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}
