package params

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestValidThreadsAreTakenAsTheyAre(t *testing.T) {
	for _, n := range []int{0, 1, 2, 8, MaxThreads} {
		if err := ValidateThreads("x", n); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		if got, err := ParseThreads("x", fmt.Sprint(n)); err != nil || got != n {
			t.Errorf("parsing %d gives %d, %v", n, got, err)
		}
	}
}

func TestInvalidThreadsAreNamedWithWhatIsAllowed(t *testing.T) {
	for _, text := range []string{"-1", "257", "-9223372036854775808", "99999999999999999999", "", " 2", "2 ", "2.0", "0x2", "two", "1e1"} {
		_, err := ParseThreads("--some.flag", text)
		if !errors.Is(err, ErrInvalidThreads) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, want := range []string{"--some.flag is ", text, "0 (all usable CPUs)", "1 (sequential)", fmt.Sprintf("2 to %d", MaxThreads)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: the error does not say %q: %v", text, want, err)
			}
		}
	}
}

func TestThreadsResolveToWorkers(t *testing.T) {
	if got := ResolveThreads(nil); got != unsetThreads {
		t.Errorf("an absent setting gives %d workers, want %d", got, unsetThreads)
	}
	for setting, want := range map[int]int{0: min(runtime.GOMAXPROCS(0), MaxThreads), 1: 1, 2: 2, MaxThreads: MaxThreads} {
		if got := ResolveThreads(&setting); got != want {
			t.Errorf("%d gives %d workers, want %d", setting, got, want)
		}
	}
}

func TestUsableCPUsAreThoseOfTheRuntime(t *testing.T) {
	before := runtime.GOMAXPROCS(3)
	defer runtime.GOMAXPROCS(before)
	if got, auto := ResolveThreads(new(int)), 3; got != auto {
		t.Errorf("with GOMAXPROCS %d, 0 gives %d workers", auto, got)
	}
}

func TestDefaultThreadsAreNotShared(t *testing.T) {
	a, b := DefaultThreads(), DefaultThreads()
	if *a != unsetThreads {
		t.Errorf("the default is %d, want %d", *a, unsetThreads)
	}
	if *a = 7; *b == 7 {
		t.Error("two defaults are one")
	}
}
