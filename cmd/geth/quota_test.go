package geth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// quota makes a control group whose processes have that many CPUs' time, and returns a
// command that runs another one in it. Where this test may not do so, it is skipped.
func quota(t *testing.T, path string, cpus int) string {
	t.Helper()
	const period = 100_000 // µs
	name := fmt.Sprintf("op-geth-parallel-test-%d", os.Getpid())
	files := map[string]string{
		"/sys/fs/cgroup/cpu": fmt.Sprintf("cpu.cfs_quota_us:%d", cpus*period),   // version 1; the period is the default
		"/sys/fs/cgroup":     fmt.Sprintf("cpu.max:%d %d", cpus*period, period), // version 2
	}
	var failures error
	for _, root := range []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"} {
		file, content, _ := strings.Cut(files[root], ":")
		group := filepath.Join(root, name)
		if err := os.Mkdir(group, 0o755); err != nil {
			failures = errors.Join(failures, err)
			continue
		}
		// An ordinary directory, as the version 1 root is, has no such file in it.
		if _, err := os.Stat(filepath.Join(group, file)); err != nil {
			failures = errors.Join(failures, err, os.Remove(group))
			continue
		}
		if err := os.WriteFile(filepath.Join(group, file), []byte(content), 0); err != nil {
			failures = errors.Join(failures, err, os.Remove(group))
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the control group stays behind: %v", err)
			}
		})
		script := filepath.Join(t.TempDir(), "geth-with-quota")
		text := fmt.Sprintf("#!/bin/sh\necho $$ >%q && exec %q \"$@\"\n", filepath.Join(group, "cgroup.procs"), path)
		if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return script
	}
	t.Skipf("this test may not make a control group, which takes root and Linux: %v", failures)
	return ""
}

func TestAllUsableCPUsAreThoseOfTheQuota(t *testing.T) {
	path := patched(t)
	limited := quota(t, path, 1)
	n := start(t, limited, t.TempDir(), "--miner.parallel-threads", "0")
	awaitLog(t, n, "Parallel block building disabled")
	n.stop(t)

	if runtime.NumCPU() < 2 {
		t.Skip("this machine has no second CPU to be limited to one of")
	}
	free := start(t, path, t.TempDir(), "--miner.parallel-threads", "0")
	awaitLog(t, free, fmt.Sprintf("Parallel block building enabled threads=%d", runtime.GOMAXPROCS(0)))
}
