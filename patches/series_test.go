package patches

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxAdded  = 300 // lines that the series may add to op-geth's own packages
	seamLines = 180 // lines that a file may have that the series adds
)

// patch is one patch of the series.
type patch struct {
	name    string
	message string
	diff    []string
}

func readSeries(t *testing.T) []patch {
	t.Helper()
	files, err := filepath.Glob("*.patch")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there are no patches")
	}
	var series []patch
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		message, diff, ok := strings.Cut(string(text), "\n\ndiff --git ")
		if !ok {
			t.Fatalf("%s has no diff", file)
		}
		p := patch{name: file, message: message}
		for lines := bufio.NewScanner(strings.NewReader("diff --git " + diff)); lines.Scan(); {
			p.diff = append(p.diff, lines.Text())
		}
		series = append(series, p)
	}
	return series
}

func TestSeriesStaysSmallAndRemovesNothing(t *testing.T) {
	total := 0
	for _, p := range readSeries(t) {
		file, fresh, inFile := "", false, 0
		// Within a run of changed lines, what is removed must be replaced.
		removed, added := 0, 0
		settle := func() {
			if removed > added {
				t.Errorf("%s removes %d lines of %s and puts %d in their place", p.name, removed, file, added)
			}
			removed, added = 0, 0
		}
		for _, line := range p.diff {
			switch {
			case strings.HasPrefix(line, "diff --git "):
				settle()
				file, fresh, inFile = line[strings.LastIndex(line, " b/")+3:], false, 0
			case strings.HasPrefix(line, "new file"):
				fresh = true
			case strings.HasPrefix(line, "deleted file"), strings.HasPrefix(line, "rename "):
				t.Errorf("%s: %s %s", p.name, line, file)
			case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
			case strings.HasPrefix(line, "-"):
				removed++
			case strings.HasPrefix(line, "+"):
				added++
				total++
				if inFile++; fresh && inFile == seamLines+1 {
					t.Errorf("%s: %s has more than %d lines: move logic into our packages", p.name, file, seamLines)
				}
			default:
				settle()
			}
		}
		settle()
	}
	if total >= maxAdded {
		t.Errorf("the series adds %d lines, it must stay below %d: move logic into our packages", total, maxAdded)
	}
	t.Logf("the series adds %d lines", total)
}

func TestEveryPatchSaysWhyItExistsAndWhenItMayGo(t *testing.T) {
	subject := regexp.MustCompile(`(?m)^Subject: \[PATCH\] [a-z/,* ]+: `)
	for _, p := range readSeries(t) {
		if !subject.MatchString(p.message) {
			t.Errorf("%s: the subject does not name a package and what changes in it", p.name)
		}
		message := strings.Join(strings.Fields(p.message), " ")
		for _, want := range []string{"Why a patch: ", "Unnecessary once "} {
			if !strings.Contains(message, want) {
				t.Errorf("%s: the message has no %q", p.name, want)
			}
		}
	}
}

func TestEveryHunkHasOneLineOfContext(t *testing.T) {
	for _, p := range readSeries(t) {
		context := 0
		for _, line := range append(p.diff, "@@ end") {
			switch {
			case strings.HasPrefix(line, "@@"):
				context = 0
			case strings.HasPrefix(line, " "):
				// Two changes may share a hunk with up to two lines between them.
				if context++; context > 2 {
					t.Errorf("%s has more than one line of context at %q: export it with 'make patches'", p.name, line)
				}
			default:
				context = 0
			}
		}
	}
}

func TestPatchesNameNoMachine(t *testing.T) {
	here, err := filepath.Abs("../..") // where the checkout lies
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range readSeries(t) {
		text, err := os.ReadFile(p.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{here + "/", "/home/", "localhost"} {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%s says %s", p.name, word)
			}
		}
	}
}
