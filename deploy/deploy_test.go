package deploy

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/op-geth-parallel/op-geth-parallel/params"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documentedMetrics are the rows of docs/metrics.md, as Prometheus names.
func documentedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	documented := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `(miner/parallel/[^`]*)`").FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		documented[strings.ReplaceAll(m[1], "/", "_")] = true
	}
	if len(documented) == 0 {
		t.Fatal("docs/metrics.md has no table of metrics")
	}
	return documented
}

func TestAlarmsUseMetricsThatThereAre(t *testing.T) {
	documented := documentedMetrics(t)
	for _, path := range []string{"prometheus/alerts.yml", "../docs/operations.md"} {
		names := regexp.MustCompile(`\bminer_parallel_[a-z_]+`).FindAllString(read(t, path), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", path)
		}
		for _, name := range names {
			if !documented[name] && !documented[strings.TrimSuffix(name, "_count")] {
				t.Errorf("%s names %s, which docs/metrics.md has not", path, name)
			}
		}
	}
}

func TestEveryAlarmIsExplained(t *testing.T) {
	explained := read(t, "../docs/operations.md")
	alarms := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, "prometheus/alerts.yml"), -1)
	if len(alarms) == 0 {
		t.Fatal("prometheus/alerts.yml has no alarm")
	}
	for _, alarm := range alarms {
		if !strings.Contains(explained, "| `"+alarm[1]+"` |") {
			t.Errorf("docs/operations.md does not say what to do at %s", alarm[1])
		}
	}
}

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, "../README.md", "../CONTRIBUTING.md", "../ARCHITECTURE.md") {
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), link[1])); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which there is not", path, link[1])
			}
		}
	}
}

// gethFlags are the flags that a file gives to geth, but for paths of the machine that it
// is for.
func gethFlags(t *testing.T, text string) []string {
	t.Helper()
	var flags []string
	for _, flag := range regexp.MustCompile(`--[a-z][a-z.]*(?:=\S+)?`).FindAllString(text, -1) {
		if !strings.HasPrefix(flag, "--datadir") && !strings.HasPrefix(flag, "--authrpc.jwtsecret") {
			flags = append(flags, flag)
		}
	}
	return flags
}

// section is the text from one mark to another.
func section(t *testing.T, path, from, to string) string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, path), from)
	text, _, found := strings.Cut(text, to)
	if !ok || !found {
		t.Fatalf("%s has no part from %q to %q", path, from, to)
	}
	return text
}

func TestGethTakesTheCommandLinesOfTheExamples(t *testing.T) {
	geth := os.Getenv("GETH")
	if geth == "" {
		t.Skip("needs a built geth: 'make e2e', or GETH=build/bin/geth")
	}
	for path, text := range map[string]string{
		"systemd/op-geth.service": section(t, "systemd/op-geth.service", "ExecStart=", "\nRestart="),
		"compose/compose.yml":     section(t, "compose/compose.yml", "    command:\n", "    environment:\n"),
	} {
		flags := gethFlags(t, text)
		if len(flags) < 10 {
			t.Fatalf("%s: only these flags are found: %q", path, flags)
		}
		cmd := exec.Command(geth, append(flags, "--datadir", t.TempDir(), "dumpconfig")...)
		cmd.Env = append(os.Environ(), "GETH_OP_NETWORK=op-sepolia", "GETH_MINER_PARALLEL_THREADS=4", "GETH_MINER_PARALLEL_VERIFY=true")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: geth %q: %v\n%s", path, flags, err, out)
			continue
		}
		for _, want := range []string{"ParallelThreads = 4", "ParallelVerify = true", `"miner"`, "DisableTxPoolGossip = true"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: the configuration does not say %s", path, want)
			}
		}
	}
}

func TestTheExamplesSetTheFlagsOfThisProject(t *testing.T) {
	for _, path := range []string{"systemd/op-geth.env", "compose/compose.yml"} {
		text := read(t, path)
		for _, flag := range []string{params.ThreadsFlag, params.VerifyFlag} {
			name := "GETH_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flag))
			if !strings.Contains(text, name) {
				t.Errorf("%s does not set %s", path, name)
			}
		}
	}
}
