package geth

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// scrape returns what a node's Prometheus endpoint gives, by name, summaries with their
// quantile in braces.
func scrape(t *testing.T, address string) map[string]float64 {
	t.Helper()
	response, err := http.Get("http://" + address + "/debug/metrics/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", response.Status, err)
	}
	values := make(map[string]float64)
	for _, line := range strings.Split(string(text), "\n") {
		if i := strings.LastIndexByte(line, ' '); i > 0 && !strings.HasPrefix(line, "#") {
			if value, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
				values[strings.ReplaceAll(line[:i], " ", "")] = value
			}
		}
	}
	return values
}

// freeAddress returns a loopback address with a port that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestMetricsOfBuildsCanBeScraped(t *testing.T) {
	const accounts = 60
	path, address := patched(t), freeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	c, datadir := newChain(t, path, accounts)
	c.start(t, path, datadir, "--miner.parallel-threads", "2", "--miner.parallel-verify", "--metrics", "--metrics.addr", host, "--metrics.port", port)
	c.transfers(t)
	c.importPayload(t, c.build(t))
	c.keys = c.keys[:3]
	c.transfers(t)
	c.importPayload(t, c.build(t))

	got := scrape(t, address)
	table, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(miner/parallel/[^`]*)` \\| ([a-z]+) ").FindAllStringSubmatch(string(table), -1)
	if len(rows) < 30 {
		t.Fatalf("docs/metrics.md has %d metrics", len(rows))
	}
	for _, row := range rows {
		name := strings.ReplaceAll(row[1], "/", "_")
		if row[2] == "timer" || row[2] == "histogram" {
			name += `{quantile="0.5"}`
		}
		if _, ok := got[name]; !ok {
			t.Errorf("%s is not exported", name)
		}
	}
	checkShown(t, got)
	for name, bounds := range map[string][2]float64{
		"builds":                 {2, 10}, // payloads may be rebuilt
		"builds_parallel":        {1, 5},
		"builds_small":           {1, 5},
		"workers":                {2, 2},
		"txs_committed":          {accounts, 5 * accounts},
		"txs_dropped":            {0, 0},
		"executions":             {accounts, 10 * accounts},
		"headruns":               {1, 10 * accounts},
		"headshare":              {1e-3, 1},
		"utilisation":            {1e-3, 1},
		"speedup":                {1e-3, 2},
		"fill_count":             {1, 5},
		"seal_count":             {1, 5},
		"commit_count":           {1, 5},
		"wait_count":             {1, 5},
		"verify_time_count":      {1, 5},
		"depth_count":            {1, 5},
		`fill{quantile="0.5"}`:   {float64(time.Microsecond), float64(time.Minute)},
		`seal{quantile="0.5"}`:   {float64(time.Microsecond), float64(time.Minute)},
		`commit{quantile="0.5"}`: {1, float64(time.Minute)},
		"fallbacks":              {0, 0},
		"verify_failures":        {0, 0},
	} {
		if value := got["miner_parallel_"+name]; value < bounds[0] || value > bounds[1] {
			t.Errorf("miner_parallel_%s is %v, want %v to %v", name, value, bounds[0], bounds[1])
		}
	}
	if t.Failed() {
		t.Log(c.node.log.String())
	}
}

func TestTheLastBuildsAreToldOverRPC(t *testing.T) {
	const accounts = 60
	path := patched(t)
	c, datadir := newChain(t, path, accounts)
	c.start(t, path, datadir, "--miner.parallel-threads", "2")
	client := c.node.client(t)
	stats := func(args ...any) []miner.Report {
		t.Helper()
		var reports []miner.Report
		if err := client.CallContext(t.Context(), &reports, "miner_parallelStats", args...); err != nil {
			t.Fatal(err)
		}
		return reports
	}
	if got := stats(); got == nil || len(got) != 0 {
		t.Errorf("a new node tells of %+v, want an empty list", got)
	}
	c.transfers(t)
	payload := c.build(t)
	c.importPayload(t, payload)
	block := payload.ExecutionPayload
	var own *miner.Report
	for _, r := range stats() {
		if r.Hash != nil && *r.Hash == block.BlockHash {
			own = &r
		}
	}
	if own == nil {
		t.Fatalf("the block is not among %+v", stats())
	}
	if own.Number != block.Number || own.ParentHash != block.ParentHash || own.Txs != len(block.Transactions) || own.Gas != block.GasUsed ||
		!own.Parallel || own.Workers != 2 || own.Offered != accounts || own.Committed != accounts || own.Dropped != 0 || own.Reason != "" ||
		len(own.ByWorker) != 2 || own.SealMS <= 0 || own.FillMS <= 0 || own.Speedup <= 0 || own.Start.IsZero() {
		t.Errorf("its report is %+v", *own)
	}

	c.keys = c.keys[:3]
	c.transfers(t)
	c.importPayload(t, c.build(t))
	if got := stats(1); len(got) != 1 || got[0].Number != 2 || got[0].Parallel || got[0].Reason != miner.ReasonSmall || got[0].Workers != 1 || got[0].Offered != 3 {
		t.Errorf("the small block's report is %+v", got)
	}
	if got := stats(miner.MaxReports); len(got) < 2 || got[len(got)-1].Number != 1 {
		t.Errorf("all reports are %+v", got)
	}

	for _, count := range []int{-1, 0, miner.MaxReports + 1} {
		err := client.CallContext(t.Context(), nil, "miner_parallelStats", count)
		if want := fmt.Sprintf("count is %d, allowed are 1 to %d", count, miner.MaxReports); err == nil || err.Error() != want {
			t.Errorf("count %d: %v, want %q", count, err, want)
		}
	}
	for _, args := range [][]any{{"two"}, {1.5}, {1, 2}} {
		if err := client.CallContext(t.Context(), nil, "miner_parallelStats", args...); !isCode(err, -32602) {
			t.Errorf("parameters %v: %v, want an invalid-parameters error", args, err)
		}
	}
	r := run(t, path, nil, "attach", "--exec", "miner.parallelStats(1)[0].reason", c.node.http)
	if r.code != 0 || strings.TrimSpace(r.stdout) != `"small"` {
		t.Errorf("the console gives %q, code %d\n%s", r.stdout, r.code, r.stderr)
	}
}

func TestEachPayloadHasOneLineInTheLog(t *testing.T) {
	path := patched(t)
	c, datadir := newChain(t, path, 60)
	c.start(t, path, datadir, "--miner.parallel-threads", "2", "--verbosity", "4")
	c.transfers(t)
	c.importPayload(t, c.build(t))
	c.keys = c.keys[:3]
	c.transfers(t)
	c.importPayload(t, c.build(t))
	log := strings.Join(strings.Fields(c.node.log.String()), " ")
	for _, want := range []string{
		`Filled block in parallel number=1 txs=60 dropped=0 gas=[\d,]+ executions=\d+ reexecutions=\d+ threads=2 workers="?\[\d+[ ,]\d+\]"? speedup=~\d+\.\d\d elapsed=`,
		`DEBUG\S+ Details of filling in parallel number=1 offered=60 drawn=60 `,
		`DEBUG\S+ Sealed block that was filled in parallel number=1 hash=`,
		`INFO \S+ Filled block sequentially number=2 txs=3 offered=3 gas=[\d,]+ threads=1 reason=small elapsed=`,
	} {
		if !regexp.MustCompile(want).MatchString(log) {
			t.Errorf("the log has no line %q:\n%s", want, c.node.log.String())
		}
	}
	builds := len(regexp.MustCompile(`New payload update`).FindAllString(log, -1))
	lines := len(regexp.MustCompile(`INFO \S+ Filled block `).FindAllString(log, -1))
	if builds < 2 || lines != builds {
		t.Errorf("%d lines at Info for %d builds:\n%s", lines, builds, c.node.log.String())
	}
}
