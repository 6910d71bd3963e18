package main

import (
	"io"
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
