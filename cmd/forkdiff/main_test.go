package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newTree makes a small repository with an upstream commit and one patch.
func newTree(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=tester", "-c", "user.email=tester@op-geth-parallel.invalid"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	write("a.go", "package a\n\nfunc f() {\n\tone()\n}\n")
	git("add", "-A")
	git("commit", "-q", "-m", "op-geth v1.2.3")
	git("tag", "upstream")
	write("a.go", "package a\n\nfunc f() {\n\ttwo(\"<b>\")\n}\n")
	write("b.go", "package a\n")
	git("add", "-A")
	git("commit", "-q", "-m", "a: two\n\nSays\nmore.\n\nWhy a patch: f is\nunexported. Unnecessary once it is not.")
	return dir
}

func TestTheDifferenceIsReadByIntent(t *testing.T) {
	f, err := readFork(&settings{tree: newTree(t), base: "upstream", context: 1})
	if err != nil {
		t.Fatal(err)
	}
	if f.Upstream != "op-geth v1.2.3" || f.Added != 2 || f.Removed != 1 || len(f.Patches) != 1 || len(f.Files) != 2 {
		t.Fatalf("got %+v", f)
	}
	p := f.Patches[0]
	if p.Subject != "a: two" || len(p.Text) != 1 || p.Text[0] != "Says more." || p.Why != "f is unexported." || p.Unnecessary != "it is not." {
		t.Errorf("the message reads %+v", p)
	}
	if f.Files[0].New || !f.Files[1].New {
		t.Errorf("which file is new: %+v", f.Files)
	}
	want := []line{{"", 3, 3, "func f() {"}, {"del", 4, 0, "\tone()"}, {"add", 0, 4, "\ttwo(\"<b>\")"}, {"", 5, 5, "}"}}
	got := f.Files[0].Hunks[0].Lines
	if len(got) != len(want) {
		t.Fatalf("the change has %d lines, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestThePageHoldsEveryIntentAndNoMarkupOfTheCode(t *testing.T) {
	out := filepath.Join(t.TempDir(), "page.html")
	var stdout, stderr bytes.Buffer
	if code := realMain([]string{"-tree", newTree(t), "-out", out}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	page, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"difference to op-geth v1.2.3", ">a: two<", "f is unexported.", "it is not.", "two(&#34;&lt;b&gt;&#34;)", "core/blockstm"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if strings.Contains(string(page), "<b>") {
		t.Error("code got into the page as markup")
	}
}
