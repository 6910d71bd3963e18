package geth

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/params"
)

const (
	flag    = "--" + params.ThreadsFlag
	envName = "GETH_MINER_PARALLEL_THREADS"
	field   = "Eth.Miner.ParallelThreads"

	verifyFlag = "--" + params.VerifyFlag
	verifyEnv  = "GETH_MINER_PARALLEL_VERIFY"
)

var (
	versionText = regexp.MustCompile(`\d+\.\d+\.\d+-(untagged|parallel)\S*`)
	setting     = regexp.MustCompile(`(?m)^ParallelThreads = (.*)$`)
)

// badSettings are values that every way to give one must refuse.
var badSettings = []string{"-1", "257", "1.5", "two", "0x2", "99999999999999999999"}

func TestVersionSaysBothVersions(t *testing.T) {
	path := patched(t)
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`/op-geth v(\S+)\n`).FindSubmatch(mod)
	if pinned == nil {
		t.Fatal("go.mod pins no op-geth")
	}
	for _, command := range []string{"version", "--version"} {
		out := run(t, path, nil, command).stdout
		want := string(pinned[1]) + "-parallel." + params.Version
		if !strings.Contains(out, want) {
			t.Errorf("geth %s does not say %q:\n%s", command, want, out)
		}
	}
}

func TestHelpDiffersFromUpstreamOnlyByTheFlags(t *testing.T) {
	theirs, ours := upstream(t), patched(t)
	flags := regexp.MustCompile(`^\s*` + flag + ` value\s+\(default: 1\)\s+\(\$` + envName + `\)\n[^$]*\n` +
		`\s*` + verifyFlag + `\s+\(default: false\)\s+\(\$` + verifyEnv + `\)\n[^$]*$`)
	for _, args := range [][]string{{"--help"}, {"dumpconfig", "--help"}, {"console", "--help"}} {
		a := versionText.ReplaceAllString(run(t, theirs, nil, args...).stdout, "VERSION")
		b := versionText.ReplaceAllString(run(t, ours, nil, args...).stdout, "VERSION")
		added := strings.Join(addedLines(t, a, b), "\n")
		if !flags.MatchString(added) || strings.Count(added, "--") != 2 {
			t.Errorf("geth %s adds to upstream's:\n%s", strings.Join(args, " "), added)
		}
		_, miner, _ := strings.Cut(b, "MINER")
		miner, _, _ = strings.Cut(miner, "MISC")
		for _, name := range []string{flag, verifyFlag} {
			if !strings.Contains(miner, name) {
				t.Errorf("geth %s: %s is not among the MINER flags", strings.Join(args, " "), name)
			}
		}
	}
	for _, args := range [][]string{{"init", "--help"}, {"import", "--help"}, {"db", "--help"}, {"account", "--help"}} {
		a := versionText.ReplaceAllString(run(t, theirs, nil, args...).stdout, "VERSION")
		b := versionText.ReplaceAllString(run(t, ours, nil, args...).stdout, "VERSION")
		for _, line := range addedLines(t, a, b) {
			t.Errorf("geth %s adds to upstream's: %s", strings.Join(args, " "), line)
		}
	}
}

func TestDumpconfigDiffersFromUpstreamOnlyByTheSetting(t *testing.T) {
	datadir := t.TempDir()
	for _, args := range [][]string{{"dumpconfig"}, {"--sepolia", "dumpconfig"}, {"--miner.gaslimit", "7", "dumpconfig"}} {
		args = append([]string{"--datadir", datadir}, args...)
		a, b := run(t, upstream(t), nil, args...), run(t, patched(t), nil, args...)
		if added := addedLines(t, a.stdout, b.stdout); len(added) != 1 || added[0] != "ParallelThreads = 1" {
			t.Errorf("geth %s adds to upstream's: %q", strings.Join(args, " "), added)
		}
		if _, after, ok := strings.Cut(b.stdout, "[Eth.Miner]\n"); !ok || !setting.MatchString(strings.SplitN(after, "\n[", 2)[0]) {
			t.Errorf("the setting is not in [Eth.Miner]:\n%s", b.stdout)
		}
	}
}

// configured returns the setting that dumpconfig prints, "" if there is none.
func configured(t *testing.T, env []string, args ...string) string {
	t.Helper()
	r := run(t, patched(t), env, append(args, "dumpconfig")...)
	if r.code != 0 {
		t.Fatalf("geth %v with %v ended with code %d\n%s", args, env, r.code, r.stderr)
	}
	if m := setting.FindStringSubmatch(r.stdout); m != nil {
		return m[1]
	}
	return ""
}

// writeConfig writes a config file with that value for the setting.
func writeConfig(t *testing.T, value string) string {
	t.Helper()
	text := run(t, patched(t), nil, "dumpconfig").stdout
	if value == "" {
		text = strings.Replace(text, setting.FindString(text)+"\n", "", 1)
	} else {
		text = setting.ReplaceAllString(text, "ParallelThreads = "+value)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEveryWayToGiveTheSettingIsTaken(t *testing.T) {
	patched(t)
	for _, n := range []string{"0", "1", "2", "256"} {
		if got := configured(t, nil, flag, n); got != n {
			t.Errorf("%s %s gives %q", flag, n, got)
		}
		if got := configured(t, []string{envName + "=" + n}); got != n {
			t.Errorf("%s=%s gives %q", envName, n, got)
		}
		if got := configured(t, nil, "--config", writeConfig(t, n)); got != n {
			t.Errorf("ParallelThreads = %s in the config file gives %q", n, got)
		}
	}
	config := writeConfig(t, "4")
	if got := configured(t, []string{envName + "=3"}, "--config", config); got != "3" {
		t.Errorf("the environment's 3 over the config file's 4 gives %q", got)
	}
	if got := configured(t, []string{envName + "=3"}, "--config", config, flag, "2"); got != "2" {
		t.Errorf("the flag's 2 over the environment's 3 and the config file's 4 gives %q", got)
	}
}

func TestVerificationIsShownOnlyWhenItIsOn(t *testing.T) {
	path := patched(t)
	off := run(t, path, nil, "dumpconfig").stdout
	on := writeConfig(t, "2\nParallelVerify = true")
	for _, c := range []struct {
		env, args []string
		want      bool
	}{
		{nil, []string{verifyFlag}, true},
		{nil, []string{verifyFlag + "=false"}, false},
		{[]string{verifyEnv + "=true"}, nil, true},
		{[]string{verifyEnv + "=false"}, nil, false},
		{nil, []string{"--config", on}, true},
		{nil, []string{"--config", on, verifyFlag + "=false"}, false},
		{[]string{verifyEnv + "=false"}, []string{"--config", on}, false},
	} {
		r := run(t, path, c.env, append(c.args, "dumpconfig")...)
		if r.code != 0 {
			t.Fatalf("geth %v with %v ended with code %d\n%s", c.args, c.env, r.code, r.stderr)
		}
		got := setting.ReplaceAllString(r.stdout, "ParallelThreads = 1")
		want := off
		if c.want {
			want = setting.ReplaceAllString(off, "ParallelThreads = 1\nParallelVerify = true")
		}
		if got != want {
			t.Errorf("geth %v with %v prints %q more than without, verification is to be %v", c.args, c.env, addedLines(t, off, got), c.want)
		}
	}
	if r := run(t, path, nil, "--datadir", t.TempDir(), verifyFlag+"=maybe"); r.code == 0 || !strings.Contains(r.stderr, params.VerifyFlag) || !strings.Contains(r.stderr, "maybe") {
		t.Errorf("%s=maybe: code %d\n%s", verifyFlag, r.code, r.stderr)
	}
}

func TestConfigFileOfUpstreamStaysSequential(t *testing.T) {
	text := run(t, upstream(t), nil, "dumpconfig").stdout
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, patched(t), nil, "--config", file, "dumpconfig")
	if r.code != 0 || r.stdout != text {
		t.Errorf("upstream's config file comes back with code %d and %q more", r.code, addedLines(t, text, r.stdout))
	}
	n := start(t, patched(t), t.TempDir(), "--config", file)
	if log := n.log.String(); !strings.Contains(log, "Parallel block building disabled") {
		t.Errorf("the node does not say that it builds sequentially:\n%s", log)
	}
}

func TestBadSettingsAreStartUpErrors(t *testing.T) {
	path := patched(t)
	allowed := []string{"0 (all usable CPUs)", "1 (sequential)", fmt.Sprintf("2 to %d", params.MaxThreads)}
	check := func(r result, source, value string) {
		t.Helper()
		if r.code == 0 {
			t.Errorf("%s %s: exit code 0", source, value)
		}
		lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
		last := lines[len(lines)-1]
		for _, want := range append([]string{source, value}, allowed...) {
			if !strings.Contains(last, want) {
				t.Errorf("%s %s: the error does not say %q:\n%s", source, value, want, last)
			}
		}
	}
	for _, value := range append(badSettings, "") {
		check(run(t, path, nil, "--datadir", t.TempDir(), flag+"="+value), flag, value)
		check(run(t, path, []string{envName + "=" + value}, "--datadir", t.TempDir()), flag, value)
	}
	for _, value := range []string{"-1", "257"} {
		check(run(t, path, nil, "--datadir", t.TempDir(), "--ipcdisable", "--nodiscover", "--nat", "none", "--port", "0",
			"--authrpc.port", "0", "--config", writeConfig(t, value)), field, value)
	}
	for _, value := range []string{"1.5", `"two"`, "true", "99999999999999999999"} {
		r := run(t, path, nil, "--config", writeConfig(t, value), "dumpconfig")
		if r.code == 0 || !strings.Contains(r.stderr, "ParallelThreads") {
			t.Errorf("ParallelThreads = %s in the config file: code %d\n%s", value, r.code, r.stderr)
		}
	}
}

func TestStartUpLogSaysWhatWasChosen(t *testing.T) {
	path := patched(t)
	all := "Parallel block building disabled"
	if cpus := runtime.NumCPU(); cpus > 1 {
		all = fmt.Sprintf("Parallel block building enabled threads=%d", cpus)
	}
	for args, want := range map[string]string{
		"":                        "Parallel block building disabled",
		flag + "=1":               "Parallel block building disabled",
		flag + "=3":               "Parallel block building enabled threads=3 verify=false",
		flag + "=3 " + verifyFlag: "Parallel block building enabled threads=3 verify=true",
		flag + "=0":               all,
	} {
		n := start(t, path, t.TempDir(), strings.Fields(args)...)
		log := regexp.MustCompile(` +`).ReplaceAllString(n.log.String(), " ")
		if strings.Count(log, "Parallel block building") != 1 || !strings.Contains(log, want) {
			t.Errorf("geth %s does not log %q, once:\n%s", args, want, log)
		}
		began := time.Now()
		n.stop(t)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("geth %s took %v to stop", args, took)
		}
	}
}
