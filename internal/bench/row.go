package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Machine is where a result comes from.
type Machine struct {
	CPU     string  `json:"cpu"`
	Cores   int     `json:"cores"`
	Threads int     `json:"gomaxprocs"`
	Memory  float64 `json:"memory_gib"` // 0: not known
	System  string  `json:"system"`
	Go      string  `json:"go"`
}

// ThisMachine describes the machine that the process runs on.
func ThisMachine() Machine {
	m := Machine{
		CPU:     runtime.GOARCH,
		Cores:   runtime.NumCPU(),
		Threads: runtime.GOMAXPROCS(0),
		System:  runtime.GOOS + "/" + runtime.GOARCH,
		Go:      runtime.Version(),
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib float64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %f kB", &kib); err == nil {
			m.Memory = float64(int(kib/1024/1024*10)) / 10
		}
	}
	return m
}

// String describes the machine in a line.
func (m Machine) String() string {
	text := fmt.Sprintf("%s, %d cores", m.CPU, m.Cores)
	if m.Threads != m.Cores {
		text += fmt.Sprintf(" (%d used)", m.Threads)
	}
	if m.Memory > 0 {
		text += fmt.Sprintf(", %.1f GiB", m.Memory)
	}
	return text + ", " + m.System + ", " + m.Go
}

// Conditions are what all rows of a report were measured under.
type Conditions struct {
	State         Setting `json:"state"`
	Accounts      int     `json:"accounts"` // besides those of the workloads
	ReadLatencyNS int64   `json:"read_latency_ns"`
	Seed          uint64  `json:"seed"`
	Senders       int     `json:"senders"`
	Pools         int     `json:"pools"`
}

// Row is the result of one workload at one number of workers. Ratios are sequential over
// parallel, medians of the rounds, except where their name says otherwise.
type Row struct {
	Workload string `json:"workload"`
	Workers  int    `json:"workers"`
	Txs      int    `json:"txs"` // in the block, from the pool
	Rounds   int    `json:"rounds"`
	GasUsed  uint64 `json:"gas_used"`

	FillRatio   float64    `json:"fill_ratio"`
	SealRatio   float64    `json:"seal_ratio"`
	TotalRatio  float64    `json:"total_ratio"`
	FillSpread  [2]float64 `json:"fill_spread"`
	SealSpread  [2]float64 `json:"seal_spread"`
	TotalSpread [2]float64 `json:"total_spread"`

	LimitRatio float64 `json:"limit_ratio"` // sequential fill / workers that share nothing
	LimitShare float64 `json:"limit_share"` // fill_ratio / limit_ratio, at most 1: see Outcome.limits
	Bound      float64 `json:"bound"`       // total work / longest chain

	AllocRatio      float64 `json:"alloc_ratio"`       // parallel / sequential: objects, preparation to block
	AllocBytesRatio float64 `json:"alloc_bytes_ratio"` // parallel / sequential: bytes, preparation to block
	FillAllocRatio  float64 `json:"fill_alloc_ratio"`  // parallel / sequential: objects, filling
	PeakMemoryRatio float64 `json:"peak_memory_ratio"` // parallel / sequential: growth of the heap
	CPURatio        float64 `json:"cpu_ratio"`         // parallel / sequential: CPU time

	RebuildRatio     float64    `json:"rebuild_ratio"`        // first parallel fill / second one on the same parent
	RebuildSpread    [2]float64 `json:"rebuild_spread"`       // of rebuild_ratio
	RebuildTotal     float64    `json:"rebuild_total_ratio"`  // first parallel total / second one
	RebuildRepeats   int        `json:"rebuild_reexecutions"` // of the second one, median
	RebuildsMeasured int        `json:"rebuilds"`             // rounds in which there was a second one

	Executions   int     `json:"executions"`
	Reexecutions int     `json:"reexecutions"`  // median of the rounds
	ExecutedOnce float64 `json:"executed_once"` // share of the transactions, at least
	ByWorker     []int   `json:"by_worker,omitempty"`
	OthersLoad   float64 `json:"others_load"` // share of the CPUs' time that other processes took
	Equal        bool    `json:"equal"`

	Sequential Times `json:"sequential"`
	Parallel   Times `json:"parallel"`
}

// Times are medians of one side.
type Times struct {
	FillMS  float64   `json:"fill_ms"`
	SealMS  float64   `json:"seal_ms"`
	TotalMS float64   `json:"total_ms"`
	CPUMS   float64   `json:"cpu_ms"`
	Objects float64   `json:"allocs"`
	Bytes   float64   `json:"alloc_bytes"`
	Peak    float64   `json:"peak_bytes"`
	Fills   []float64 `json:"fill_ms_by_round"`
	Totals  []float64 `json:"total_ms_by_round"`
}

// NewRow sums up a comparison.
func NewRow(name string, workers int, o *Outcome) Row {
	r := Row{
		Workload:    name,
		Workers:     workers,
		Rounds:      len(o.Pairs),
		FillRatio:   median(o.ratios(fillTime)),
		SealRatio:   median(o.ratios(sealTime)),
		TotalRatio:  median(o.ratios(totalTime)),
		FillSpread:  spread(o.ratios(fillTime)),
		SealSpread:  spread(o.ratios(sealTime)),
		TotalSpread: spread(o.ratios(totalTime)),
		Equal:       o.Equal,
		Sequential:  o.times(0),
		Parallel:    o.times(1),
	}
	inverse := func(figure func(*Build) float64) float64 {
		sequential, parallel := o.each(figure)
		return median(quotients(parallel, sequential))
	}
	r.AllocRatio, r.AllocBytesRatio, r.FillAllocRatio = inverse(allocated), inverse(allocatedSize), inverse(allocatedFill)
	r.CPURatio = inverse(cpuUsed)
	ratios, shares := o.limits()
	r.LimitRatio, r.LimitShare = median(ratios), median(shares)
	if sequential := median(o.PeakSequential); sequential > 0 {
		r.PeakMemoryRatio = median(o.PeakParallel) / sequential
	}
	var others []float64
	for _, pair := range o.Pairs {
		others = append(others, pair.Others)
		for _, b := range []*Build{pair.Sequential, pair.Parallel} {
			if b != nil {
				r.Txs, r.GasUsed, r.ByWorker = b.Pooled, b.Gas, b.Engine.ByWorker
			}
		}
	}
	r.OthersLoad = median(others)
	again := o.rebuilds(fillTime)
	r.RebuildsMeasured, r.RebuildRatio, r.RebuildSpread, r.RebuildTotal = len(again), median(again), spread(again), median(o.rebuilds(totalTime))
	var repeated []float64
	for _, pair := range o.Pairs {
		if pair.Again != nil {
			repeated = append(repeated, float64(pair.Again.Engine.Reexecutions))
		}
	}
	r.RebuildRepeats = int(median(repeated))
	_, executions := o.each(func(b *Build) float64 { return float64(b.Engine.Executions) })
	_, repeats := o.each(func(b *Build) float64 { return float64(b.Engine.Reexecutions) })
	r.Executions, r.Reexecutions = int(median(executions)), int(median(repeats))
	if r.Txs > 0 {
		r.ExecutedOnce = 1 - float64(min(r.Reexecutions, r.Txs))/float64(r.Txs)
	}
	return r
}

// times returns the medians of a side: 0 sequential, 1 parallel.
func (o *Outcome) times(side int) Times {
	one := func(figure func(*Build) float64, unit float64) []float64 {
		sequential, parallel := o.each(figure)
		values := [2][]float64{sequential, parallel}[side]
		for i := range values {
			values[i] *= unit
		}
		return values
	}
	const ms = 1000
	return Times{
		FillMS:  median(one(fillTime, ms)),
		SealMS:  median(one(sealTime, ms)),
		TotalMS: median(one(totalTime, ms)),
		CPUMS:   median(one(cpuUsed, ms)),
		Objects: median(one(allocated, 1)),
		Bytes:   median(one(allocatedSize, 1)),
		Peak:    median([2][]float64{o.PeakSequential, o.PeakParallel}[side]),
		Fills:   one(fillTime, ms),
		Totals:  one(totalTime, ms),
	}
}

// Report is all that a run found.
type Report struct {
	Machine    Machine
	Conditions Conditions
	Rows       []Row
	Blocks     []Row // fixtures, one by one: filling only
	Schedule   *Schedule
}

// all returns the rows, those of single fixtures last.
func (r *Report) all() []Row { return slices.Concat(r.Rows, r.Blocks) }

// WriteJSON writes the report as a JSON object of machine, with the conditions, and rows.
// A fixture's row is called fixtures/NUMBER, that of the mean of all fixtures.
func (r *Report) WriteJSON(w io.Writer) error {
	type host struct {
		Machine
		Conditions
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Machine host  `json:"machine"`
		Rows    []Row `json:"rows"`
	}{host{r.Machine, r.Conditions}, append(make([]Row, 0), r.all()...)})
}

// WriteCSV writes the rows.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{
		"workload", "workers", "txs", "rounds", "gas_used", "fill_ratio", "fill_min", "fill_max", "seal_ratio", "total_ratio", "total_min", "total_max",
		"rebuild_ratio", "rebuild_total_ratio", "rebuild_reexecutions", "limit_ratio", "limit_share", "bound", "alloc_ratio", "fill_alloc_ratio", "peak_memory_ratio", "cpu_ratio", "reexecutions", "executed_once", "equal",
		"sequential_fill_ms", "sequential_seal_ms", "sequential_total_ms", "parallel_fill_ms", "parallel_seal_ms", "parallel_total_ms",
	}
	if err := out.Write(head); err != nil {
		return err
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	for _, row := range r.all() {
		if err := out.Write([]string{
			row.Workload, strconv.Itoa(row.Workers), strconv.Itoa(row.Txs), strconv.Itoa(row.Rounds), strconv.FormatUint(row.GasUsed, 10),
			number(row.FillRatio), number(row.FillSpread[0]), number(row.FillSpread[1]), number(row.SealRatio), number(row.TotalRatio), number(row.TotalSpread[0]), number(row.TotalSpread[1]),
			number(row.RebuildRatio), number(row.RebuildTotal), strconv.Itoa(row.RebuildRepeats), number(row.LimitRatio), number(row.LimitShare), number(row.Bound), number(row.AllocRatio), number(row.FillAllocRatio), number(row.PeakMemoryRatio), number(row.CPURatio),
			strconv.Itoa(row.Reexecutions), number(row.ExecutedOnce), strconv.FormatBool(row.Equal),
			number(row.Sequential.FillMS), number(row.Sequential.SealMS), number(row.Sequential.TotalMS), number(row.Parallel.FillMS), number(row.Parallel.SealMS), number(row.Parallel.TotalMS),
		}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
