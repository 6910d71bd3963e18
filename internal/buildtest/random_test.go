package buildtest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var planFlag = flag.String("plan", "", "try the block that this file describes instead of random ones")

// shrinkTime bounds how long a test looks for a smaller block that fails.
const shrinkTime = 30 * time.Second

// report describes a failure of a trial: what failed, the smallest block found that fails
// too, and how to see both again.
func (t Trial) report(tb testing.TB, p *Plan, err error, dir string) string {
	small := t.Minimise(context.Background(), p, shrinkTime)
	file := filepath.Join(dir, fmt.Sprintf("block-%d.json", p.Seed))
	if err := small.Write(file); err != nil {
		return err.Error()
	}
	tags := ""
	if Patched {
		tags = "-modfile=build/patched.mod -tags patched "
	}
	command := fmt.Sprintf("go test %s./internal/buildtest -run '^%s$'", tags, tb.Name())
	return fmt.Sprintf("seed %d: %v\nsmallest block found that fails:\n%sreplay: %s -seed=%d\nreplay: %s -plan=%s", p.Seed, err, small, command, p.Seed, command, file)
}

func TestRandomBlocksAreTheSameOnGoodSchedulesAndOnBadOnes(t *testing.T) {
	trial := Trial{Workers: workerCounts(), Disturbed: 1}
	if testing.Short() {
		trial.Workers = []int{2, 8}
	}
	var sum Tally
	try := func(p *Plan) {
		tally, err := trial.Try(p)
		sum.Add(&tally)
		if err != nil {
			t.Fatal(trial.report(t, p, err, keptDir(t)))
		}
	}
	if *planFlag != "" {
		p, err := ReadPlan(*planFlag)
		if err != nil {
			t.Fatal(err)
		}
		trial.Disturbed = 20
		try(p)
		return
	}
	first, count := int64(1001), *seedsFlag
	if testing.Short() {
		count = min(count, 8)
	}
	if *seedFlag != 0 {
		first, count = *seedFlag, 1
	}
	for seed := first; seed < first+int64(count); seed++ {
		p, err := RandomPlan(RandomRules(seed), seed)
		if err != nil {
			t.Fatal(err)
		}
		try(p)
	}
	t.Logf("%+v", sum)
}

// keptDir returns a directory that outlives the test.
func keptDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "op-geth-parallel-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
