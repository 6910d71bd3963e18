package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// fork is the whole difference.
type fork struct {
	Upstream string    `json:"upstream"` // what the tree is based on, such as "op-geth v1.101702.3"
	Added    int       `json:"added"`
	Removed  int       `json:"removed"`
	Patches  []patch   `json:"patches"`
	Files    []file    `json:"files"` // the sum of the patches
	Packages []ownPack `json:"packages"`
}

// patch is one intent.
type patch struct {
	Subject     string   `json:"subject"`
	Text        []string `json:"text"` // paragraphs of the message
	Why         string   `json:"why"`
	Unnecessary string   `json:"unnecessary"`
	Added       int      `json:"added"`
	Removed     int      `json:"removed"`
	Files       []file   `json:"files"`
}

// file is the change of one file.
type file struct {
	Path    string `json:"path"`
	New     bool   `json:"new"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Hunks   []hunk `json:"hunks"`
}

// hunk is a change with lines around it.
type hunk struct {
	Where string `json:"where"` // the function it is in, if git knows
	Lines []line `json:"lines"`
}

// line is a line of a hunk. A number is 0 where the side has no such line.
type line struct {
	Kind string `json:"kind"` // "add", "del" or "" for a line that is on both sides
	Old  int    `json:"old"`
	New  int    `json:"new"`
	Text string `json:"text"`
}

// ownPack is a package of ours, which lives beside op-geth.
type ownPack struct {
	Path     string `json:"path"`
	Synopsis string `json:"synopsis"`
}

// git runs git in the tree.
func (s *settings) git(args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", s.tree}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// readFork reads the series from the patched tree.
func readFork(s *settings) (*fork, error) {
	subject, err := s.git("log", "-1", "--format=%s", s.base)
	if err != nil {
		return nil, err
	}
	f := &fork{Upstream: strings.TrimSpace(subject)}
	commits, err := s.git("rev-list", "--reverse", s.base+"..HEAD")
	if err != nil {
		return nil, err
	}
	for _, commit := range strings.Fields(commits) {
		message, err := s.git("log", "-1", "--format=%B", commit)
		if err != nil {
			return nil, err
		}
		p := readMessage(message)
		if p.Files, err = s.diff(commit+"^", commit); err != nil {
			return nil, err
		}
		for _, file := range p.Files {
			p.Added += file.Added
			p.Removed += file.Removed
		}
		f.Patches = append(f.Patches, p)
	}
	if f.Files, err = s.diff(s.base, "HEAD"); err != nil {
		return nil, err
	}
	for _, file := range f.Files {
		f.Added += file.Added
		f.Removed += file.Removed
	}
	f.Packages, err = ownPackages()
	return f, err
}

// diff returns what changed from one revision to another.
func (s *settings) diff(from, to string) ([]file, error) {
	text, err := s.git("-c", "core.quotePath=false", "diff", "--no-color", "--no-ext-diff", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/",
		"--diff-algorithm=histogram", "-U"+strconv.Itoa(s.context), from, to)
	if err != nil {
		return nil, err
	}
	return readDiff(text)
}

// readMessage takes a patch's message apart.
func readMessage(message string) patch {
	var p patch
	paragraphs := strings.Split(strings.TrimSpace(message), "\n\n")
	p.Subject = paragraphs[0]
	for _, text := range paragraphs[1:] {
		text = strings.Join(strings.Fields(text), " ")
		why, ok := strings.CutPrefix(text, "Why a patch: ")
		if !ok {
			p.Text = append(p.Text, text)
			continue
		}
		why, until, _ := strings.Cut(why, "Unnecessary once ")
		p.Why, p.Unnecessary = strings.TrimSpace(why), until
	}
	return p
}

// readDiff reads a unified diff as git prints it.
func readDiff(text string) ([]file, error) {
	var (
		files      []file
		f          *file
		h          *hunk
		old, fresh int // numbers of the next line on either side
	)
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		l := lines.Text()
		switch {
		case strings.HasPrefix(l, "diff --git "):
			_, name, ok := strings.Cut(l, " b/")
			if !ok {
				return nil, fmt.Errorf("the diff has a line that is not git's: %q", l)
			}
			files = append(files, file{Path: name})
			f, h = &files[len(files)-1], nil
		case f == nil:
			return nil, fmt.Errorf("the diff starts with %q, not with a file", l)
		case strings.HasPrefix(l, "@@ "):
			var span, from, to string
			if span, l, _ = strings.Cut(l[3:], " @@"); span != "" {
				from, to, _ = strings.Cut(span, " ")
			}
			old, fresh = start(from), start(to)
			f.Hunks = append(f.Hunks, hunk{Where: strings.TrimSpace(l)})
			h = &f.Hunks[len(f.Hunks)-1]
		case h == nil: // between the file's name and its first change
			f.New = f.New || strings.HasPrefix(l, "new file")
		case strings.HasPrefix(l, "+"):
			h.Lines = append(h.Lines, line{Kind: "add", New: fresh, Text: l[1:]})
			fresh++
			f.Added++
		case strings.HasPrefix(l, "-"):
			h.Lines = append(h.Lines, line{Kind: "del", Old: old, Text: l[1:]})
			old++
			f.Removed++
		case strings.HasPrefix(l, " "):
			h.Lines = append(h.Lines, line{Old: old, New: fresh, Text: l[1:]})
			old++
			fresh++
		}
	}
	return files, lines.Err()
}

// start reads the first line number of a range such as "-158,2".
func start(span string) int {
	number, _, _ := strings.Cut(strings.TrimLeft(span, "+-"), ",")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}

// ownPackages lists the packages that are ours.
func ownPackages() ([]ownPack, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Path}}").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	prefix := strings.TrimSpace(string(module)) + "/"
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}\t{{.Doc}}", prefix+"...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []ownPack
	for text := range strings.Lines(string(out)) {
		name, synopsis, _ := strings.Cut(strings.TrimSpace(text), "\t")
		packages = append(packages, ownPack{Path: strings.TrimPrefix(name, prefix), Synopsis: synopsis})
	}
	return packages, nil
}
