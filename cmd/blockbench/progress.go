package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/internal/cli"
)

// progress tells what is going on: on a terminal in a line that it overwrites, elsewhere
// line by line, but not too often.
type progress struct {
	out      io.Writer
	terminal bool
	begin    time.Time
	last     time.Time
}

// seldom is how often a line is written where it is not overwritten.
const seldom = 5 * time.Second

func newProgress(out *os.File) *progress {
	return &progress{out: out, begin: time.Now(), terminal: cli.Terminal(out)}
}

func (p *progress) show(text string) {
	at := time.Since(p.begin).Round(time.Second)
	switch {
	case p.terminal:
		fmt.Fprintf(p.out, "\r\x1b[K%4v  %s", at, text)
	case time.Since(p.last) >= seldom:
		p.last = time.Now()
		fmt.Fprintf(p.out, "%4v  %s\n", at, text)
	}
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
