package engineapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// Record is a line of geth's log.
type Record struct {
	Level   string
	Message string

	fields map[string]json.RawMessage
}

// ParseRecord reads a line written with --log.format json. It reports false for a line
// that is none, such as one of a panic.
func ParseRecord(line []byte) (Record, bool) {
	var r Record
	if err := json.Unmarshal(line, &r.fields); err != nil {
		return Record{}, false
	}
	r.Level, r.Message = r.Text("lvl"), r.Text("msg")
	return r, r.Message != ""
}

// Text returns a field as text, or "" if it is absent.
func (r Record) Text(field string) string {
	raw := r.fields[field]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// Number returns a field as a number, or 0 if it is absent or none.
func (r Record) Number(field string) uint64 {
	n, err := strconv.ParseUint(r.Text(field), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Duration returns a field as a duration, or 0 if it is absent or none. Where geth logs a
// bare number it is one of nanoseconds.
func (r Record) Duration(field string) time.Duration {
	text := r.Text(field)
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n)
}

// logTail keeps the last lines of a log, for error messages.
type logTail struct {
	mu    sync.Mutex
	lines [][]byte // guarded by mu
}

const tailLines = 12

func (t *logTail) add(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = t.lines[1:]
	}
	t.lines = append(t.lines, bytes.Clone(line))
}

func (t *logTail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.Join(t.lines, []byte("\n")))
}

// follow passes on each line of a log until it ends.
func follow(log io.Reader, raw io.Writer, tail *logTail, onRecord func(Record)) error {
	lines := bufio.NewScanner(log)
	lines.Buffer(make([]byte, 0, 1<<16), 1<<24)
	for lines.Scan() {
		tail.add(lines.Bytes())
		if raw != nil {
			if _, err := fmt.Fprintf(raw, "%s\n", lines.Bytes()); err != nil {
				return fmt.Errorf("writing geth's log: %w", err)
			}
		}
		if record, ok := ParseRecord(lines.Bytes()); ok {
			onRecord(record)
		}
	}
	return lines.Err()
}
