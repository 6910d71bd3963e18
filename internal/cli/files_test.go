package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileThatCanBeWrittenIsLeftAsItWas(t *testing.T) {
	dir := t.TempDir()
	fresh, kept := filepath.Join(dir, "fresh"), filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", fresh, kept, os.DevNull} {
		if err := Output("-json", path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a file was left behind")
	}
	if text, err := os.ReadFile(kept); err != nil || string(text) != "text" {
		t.Errorf("a file was changed: %q, %v", text, err)
	}
}

func TestAFileThatCannotBeUsedIsNamedWithItsFlagAndWhy(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none", "x.json")
	for _, test := range []struct {
		err   error
		words []string
	}{
		{Output("-json", missing), []string{`-json is "` + missing + `"`, "allowed is a file that can be written: no such file"}},
		{Output("-html", dir), []string{"-html", dir, "it is a directory"}},
		{Input("-replay", missing, "a block", false), []string{"-replay", missing, "allowed is a block: no such file"}},
		{Input("-replay", dir, "a block", false), []string{"-replay", dir, "it is a directory"}},
	} {
		for _, word := range test.words {
			if test.err == nil || !strings.Contains(test.err.Error(), word) {
				t.Errorf("error %v, want one that says %q", test.err, word)
			}
		}
		if test.err != nil && strings.Count(test.err.Error(), dir) > 1 {
			t.Errorf("the path is named twice: %v", test.err)
		}
	}
	if err := Input("-tests", dir, "a folder", true); err != nil {
		t.Errorf("a directory where one is allowed: %v", err)
	}
}
