package patches

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// checkout is a copy of what the scripts need, with nothing built, in which they can run
// without touching the developer's tree.
type checkout struct {
	dir string
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	if testing.Short() {
		t.Skip("lays op-geth out several times")
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	c := &checkout{dir: t.TempDir()}
	copyFile := func(path string) {
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(c.dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, path), text, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	files := []string{"go.mod", "go.sum", "params/version.go"}
	for _, pattern := range []string{"build/*.sh", "patches/*.patch"} {
		matches, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range matches {
			files = append(files, strings.TrimPrefix(match, "../"))
		}
	}
	for _, file := range files {
		copyFile(file)
	}
	c.git(t, ".", "init", "-q")
	return c
}

// script runs a script and returns what it printed, and whether it succeeded.
func (c *checkout) script(t *testing.T, name string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.Command(filepath.Join(c.dir, "build", name+".sh"), args...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

// must runs a script that is to succeed.
func (c *checkout) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, ok := c.script(t, name, args...)
	if !ok {
		t.Fatalf("%s %v failed:\n%s", name, args, out)
	}
	return out
}

func (c *checkout) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=tester", "-c", "user.email=tester@op-geth-parallel.invalid"}, args...)...)
	cmd.Dir = filepath.Join(c.dir, dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// edit replaces text in a file of the checkout, which must hold it.
func (c *checkout) edit(t *testing.T, file, old, new string) {
	t.Helper()
	path := filepath.Join(c.dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not hold %q", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// series reads the patches of a folder, by name.
func (c *checkout) series(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	matches, err := filepath.Glob(filepath.Join(c.dir, dir, "*.patch"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range matches {
		text, err := os.ReadFile(match)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(match)] = string(text)
	}
	return files
}

func (c *checkout) exists(path string) bool {
	_, err := os.Stat(filepath.Join(c.dir, path))
	return !errors.Is(err, fs.ErrNotExist)
}

// sameSeries compares two series.
func sameSeries(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %s differs; it is now\n%s", what, name, got[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: there is a new %s", what, name)
		}
	}
}

func TestTreeAndPatchesKeepTheirPromises(t *testing.T) {
	c := newCheckout(t)
	committed := c.series(t, "patches")
	c.must(t, "tree")
	head := c.git(t, "build/op-geth", "rev-parse", "HEAD")

	t.Run("exporting an unchanged tree changes nothing", func(t *testing.T) {
		c.must(t, "patches")
		sameSeries(t, "after exporting", c.series(t, "patches"), committed)
	})

	t.Run("an up-to-date tree is left alone, quickly", func(t *testing.T) {
		began := time.Now()
		if out := c.must(t, "tree"); out != "" {
			t.Errorf("it says:\n%s", out)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if now := c.git(t, "build/op-geth", "rev-parse", "HEAD"); now != head {
			t.Errorf("the head moved from %sto %s", head, now)
		}
	})

	t.Run("the user's git configuration has no say", func(t *testing.T) {
		home := t.TempDir()
		config := "[diff]\n\tnoprefix = true\n\tcontext = 7\n\talgorithm = patience\n[format]\n\tsignature = me\n\tnumbered = true\n[core]\n\tabbrev = 7\n[commit]\n\tgpgsign = true\n"
		if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("HOME", home)
		t.Setenv("GIT_AUTHOR_NAME", "somebody")
		if err := os.Remove(filepath.Join(c.dir, "build/op-geth.stamp")); err != nil {
			t.Fatal(err)
		}
		c.must(t, "tree")
		if now := c.git(t, "build/op-geth", "rev-parse", "HEAD"); now != head {
			t.Errorf("applying again gives head %swant %s", now, head)
		}
		c.must(t, "patches")
		sameSeries(t, "with the user's configuration", c.series(t, "patches"), committed)
	})

	t.Run("uncommitted work in the tree survives", func(t *testing.T) {
		const file = "build/op-geth/miner/parallel.go"
		c.edit(t, file, "package miner\n", "package miner\n\n// work\n")
		if out, ok := c.script(t, "patches"); ok || !strings.Contains(out, "miner/parallel.go") {
			t.Errorf("exporting does not refuse and name the file:\n%s", out)
		}
		c.edit(t, "patches/"+firstOf(committed), "\nWhy a patch:", "\nMore.\n\nWhy a patch:")
		if out, ok := c.script(t, "tree"); ok || !strings.Contains(out, "miner/parallel.go") || !strings.Contains(out, "make patches") {
			t.Errorf("laying out over it does not refuse, name the file and say what to do:\n%s", out)
		}
		c.edit(t, file, "// work\n", "// work\n") // still there
		c.edit(t, "patches/"+firstOf(committed), "\nMore.\n\nWhy a patch:", "\nWhy a patch:")
	})

	t.Run("committed work in the tree is exported, and survives until then", func(t *testing.T) {
		c.git(t, "build/op-geth", "commit", "-q", "-a", "-m", "miner: work\n\nWhy a patch: a test. Unnecessary once tested.")
		c.edit(t, "patches/"+firstOf(committed), "\nWhy a patch:", "\nMore.\n\nWhy a patch:")
		if out, ok := c.script(t, "tree"); ok || !strings.Contains(out, "not exported") {
			t.Errorf("laying out over it does not refuse:\n%s", out)
		}
		c.must(t, "patches")
		now := c.series(t, "patches")
		if len(now) != len(committed)+1 {
			t.Fatalf("there are %d patches, want %d", len(now), len(committed)+1)
		}
		work := c.git(t, "build/op-geth", "rev-parse", "HEAD^{tree}")
		if err := os.RemoveAll(filepath.Join(c.dir, "build/op-geth")); err != nil {
			t.Fatal(err)
		}
		c.must(t, "tree")
		if again := c.git(t, "build/op-geth", "rev-parse", "HEAD^{tree}"); again != work {
			t.Errorf("the exported series gives tree %swant %s", again, work)
		}
	})

	t.Run("a patch that does not apply is named", func(t *testing.T) {
		name := firstOf(committed)
		c.edit(t, "patches/"+name, someContext, "\n \tRecommit: 3 * time.Second,\n")
		if out, ok := c.script(t, "tree"); ok || !strings.Contains(out, name+" does not apply") {
			t.Errorf("it says:\n%s", out)
		}
	})
}

// someContext is a line of context in the first patch, which a test changes to have it
// not apply.
const someContext = "\n \tRecommit: 2 * time.Second,\n"

// pinned returns the op-geth release that go.mod pins.
func pinned(t *testing.T) string {
	t.Helper()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`/op-geth (v\S+)\n`).FindSubmatch(mod)
	if version == nil {
		t.Fatal("go.mod pins no op-geth")
	}
	return string(version[1])
}

func firstOf(series map[string]string) string {
	first := ""
	for name := range series {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

func TestUpgradeToThePinnedReleaseGivesTheSameSeries(t *testing.T) {
	c := newCheckout(t)
	committed := c.series(t, "patches")
	version := pinned(t)
	out := c.must(t, "upgrade", version)
	if !strings.Contains(out, "the series applies to op-geth "+version) || !strings.Contains(out, "go mod edit") {
		t.Errorf("it does not say what to do next:\n%s", out)
	}
	sameSeries(t, "after the upgrade", c.series(t, "build/upgrade-"+version+"/patches"), committed)
	if c.exists("build/op-geth") {
		t.Error("upgrading touched the tree")
	}
}

func TestUpgradeStopsAtAConflictAndGoesOnAfterIt(t *testing.T) {
	c := newCheckout(t)
	version := pinned(t)
	const name = "0003-eth-add-miner_setParallelThreads.patch" // the one on which none after it builds
	c.edit(t, "patches/"+name, "\n \t\t}),\n+", "\n \t\t}}),\n+")

	out, ok := c.script(t, "upgrade", version)
	if ok || !strings.Contains(out, "patches/"+name+" does not apply to op-geth "+version) || !strings.Contains(out, "git am --continue") {
		t.Fatalf("it does not stop with the patch's name and what to do:\n%s", out)
	}
	if out, ok := c.script(t, "upgrade", version); ok || !strings.Contains(out, "patches/"+name) {
		t.Errorf("the second run does not say the same:\n%s", out)
	}
	c.git(t, "build/upgrade-"+version+"/op-geth", "am", "--skip")
	want := c.series(t, "patches")
	delete(want, name)
	c.must(t, "upgrade", version)
	got := c.series(t, "build/upgrade-"+version+"/patches")
	if len(got) != len(want) {
		t.Errorf("%d patches are exported after one was skipped, want %d", len(got), len(want))
	}
}

func TestUpgradeAsksForARelease(t *testing.T) {
	c := newCheckout(t)
	for _, args := range [][]string{nil, {""}, {"1.2.3"}} {
		if out, ok := c.script(t, "upgrade", args...); ok || !strings.Contains(out, "make upgrade VERSION=") {
			t.Errorf("upgrade %q says:\n%s", args, out)
		}
	}
	if out, ok := c.script(t, "upgrade", "v0.0.0-nonsense"); ok {
		t.Errorf("a release that does not exist:\n%s", out)
	}
}
