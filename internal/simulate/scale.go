package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Scale says what would be if some things took longer or shorter: by name, the factor. It
// is for finding out what an improvement would be worth before making it.
type Scale map[string]float64

// ErrScale is returned (wrapped) for a scale that cannot be read.
var ErrScale = errors.New("not a scale")

// scales returns the names that a Scale can have.
func scales() []string {
	return []string{"draw", "execute", "validate", "commit", "lock", "register", "wake", "signal"}
}

// ParseScale reads a list such as "commit=0.5,lock=2".
func ParseScale(text string) (Scale, error) {
	if text == "" {
		return nil, nil
	}
	s := make(Scale)
	for _, part := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		factor, err := strconv.ParseFloat(value, 64)
		if err != nil || factor < 0 || factor > 1000 || !slices.Contains(scales(), name) {
			return nil, fmt.Errorf("%w: %q, allowed are NAME=FACTOR with the names %s and factors from 0 to 1000", ErrScale, part, strings.Join(scales(), ", "))
		}
		s[name] = factor
	}
	return s, nil
}

func (s Scale) of(name string, d time.Duration) time.Duration {
	factor, given := s[name]
	if !given {
		return d
	}
	return time.Duration(factor * float64(d))
}

// Scaled returns the machine with other costs.
func (m Machine) Scaled(s Scale) Machine {
	m.Section, m.Contended = s.of("lock", m.Section), s.of("lock", m.Contended)
	m.Handover = s.of("register", m.Handover)
	m.Wake, m.Signal = s.of("wake", m.Wake), s.of("signal", m.Signal)
	return m
}

// Scaled returns the block with other durations.
func (b *Block) Scaled(s Scale) *Block {
	if len(s) == 0 {
		return b
	}
	scaled := &Block{Txs: slices.Clone(b.Txs), Registers: b.Registers, Hints: b.Hints}
	for i := range scaled.Txs {
		tx := &scaled.Txs[i]
		tx.Draw, tx.Execute = s.of("draw", tx.Draw), s.of("execute", tx.Execute)
		tx.Validate, tx.Commit = s.of("validate", tx.Validate), s.of("commit", tx.Commit)
	}
	return scaled
}
