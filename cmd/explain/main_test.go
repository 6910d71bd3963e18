package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadFlagsAreNamedWithWhatIsAllowed(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"no block", "-workloads", "-rpc"}},
		{[]string{"-workers", "2,none", "x.json"}, []string{"-workers", `"none"`, "1 to 256"}},
		{[]string{"-check", "0", "x.json"}, []string{"-check", `"0"`, "1 to 256"}},
		{[]string{"-workloads", "nothing"}, []string{"-workloads", `"nothing"`, "transfers"}},
		{[]string{"-workloads", "fixtures"}, []string{"-workloads", "name the files"}},
		{[]string{"-txs", "0", "x.json"}, []string{"-txs", "0", "1 to 200000"}},
		{[]string{"-picture", "-1", "x.json"}, []string{"-picture", "-1", "0 to 256"}},
		{[]string{"-quiet", "2h", "x.json"}, []string{"-quiet", "2h", "0 to 1h"}},
		{[]string{"-rpc", "nowhere"}, []string{"-rpc", `"nowhere"`, "http://", "geth.ipc"}},
		{[]string{"-rpc", "http://127.0.0.1:8545", "-block", "soon"}, []string{"-block", `"soon"`, "latest, a number"}},
		{[]string{"-what-if", "luck=2", "x.json"}, []string{"-what-if", "luck=2", "commit", "allowed"}},
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

func TestHelpHasExamples(t *testing.T) {
	var help bytes.Buffer
	if _, err := parse([]string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"Examples:", "-rpc", "one-pool", "-what-if"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("the help lacks %q", want)
		}
	}
}

func TestAWorkloadIsExplainedAsTextAsJSONAndAsAPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	for _, form := range []string{"text", "json"} {
		args := []string{"-workloads", "mint", "-txs", "40", "-workers", "1,2,4", "-html", page, "-what-if", "commit=0.5"}
		if form == "json" {
			args = append(args, "-json")
		}
		s, err := parse(args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var out, progress bytes.Buffer
		if err := run(t.Context(), s, &out, &progress); err != nil {
			t.Fatal(err)
		}
		if form == "json" && !json.Valid(out.Bytes()) || !strings.Contains(out.String(), "mint") {
			t.Errorf("%s: %s", form, out.String())
		}
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("<svg")) {
		t.Errorf("no drawing on the page (%v)", err)
	}
}

func TestAFileThatIsNoBlockIsNamed(t *testing.T) {
	for name, text := range map[string]string{"block.json": "{", "block.json.gz": "no gzip"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := parse([]string{path}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), s, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one that names %s", err, path)
		}
	}
}
