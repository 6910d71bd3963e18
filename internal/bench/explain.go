package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/internal/simulate"
)

// Explanation says why a block can be filled as fast in parallel as it can, and no faster.
type Explanation struct {
	Name         string        `json:"block"`
	Txs          int           `json:"txs"`
	WorkMS       float64       `json:"work_ms"`       // executing every transaction once
	ChainMS      float64       `json:"chain_ms"`      // executing the longest chain
	Bound        float64       `json:"bound"`         // the one over the other
	OneWorkerMS  float64       `json:"one_worker_ms"` // the parallel path with one worker, simulated
	SequentialMS float64       `json:"sequential_ms"` // op-geth's own loop, measured
	Machine      Costs         `json:"machine"`
	Keys         []HotKey      `json:"hot_keys"`
	Additions    []HotKey      `json:"additions"` // balances that are added to, which is no conflict
	Chain        []Link        `json:"longest_chain"`
	Forecasts    []Forecast    `json:"forecasts"`
	Checks       []Check       `json:"checks,omitempty"`
	Schedule     *Schedule     `json:"schedule,omitempty"`
	Published    []Publication `json:"published"`
}

// Costs are what the simulation charges beside the block's own durations, measured here.
type Costs struct {
	SectionNS   int64 `json:"section_ns"`
	ContendedNS int64 `json:"contended_ns"`
	HandoverNS  int64 `json:"handover_ns"`
	WakeNS      int64 `json:"wake_ns"`
	SignalNS    int64 `json:"signal_ns"`
	PatienceNS  int64 `json:"patience_ns"`

	// What workers do to each other on this machine, on so many threads: see Interference.
	Threads     int     `json:"interference_threads"`
	Slow        float64 `json:"interference_factor"`
	CollectorMS float64 `json:"collector_ms"`
}

// HotKey is a part of the state that several transactions touch.
type HotKey struct {
	Address common.Address `json:"address"`
	Field   string         `json:"field"`
	Slot    *common.Hash   `json:"slot,omitempty"`
	Readers int            `json:"readers"`
	Writers int            `json:"writers"`
	Waits   int            `json:"conflicts"`    // transactions that read what another one of the block wrote
	WaitMS  float64        `json:"conflicts_ms"` // executing these
}

// Link is a transaction of the longest chain.
type Link struct {
	Index int             `json:"index"`
	Hash  common.Hash     `json:"hash"`
	From  common.Address  `json:"from"`
	To    *common.Address `json:"to"`
	MS    float64         `json:"ms"`
	Via   *HotKey         `json:"via,omitempty"` // what it reads of the one before
}

// Forecast is what a number of workers would give.
type Forecast struct {
	Workers     int     `json:"workers"`
	FillMS      float64 `json:"fill_ms"`
	Speedup     float64 `json:"speedup"`             // over one worker on the parallel path
	Sequential  float64 `json:"over_sequential"`     // over op-geth's own loop
	Undisturbed float64 `json:"speedup_undisturbed"` // if workers did not slow each other down
	AtBest      float64 `json:"at_best"`             // what dependencies and the number of workers allow
	Repeats     int     `json:"reexecutions"`

	// Shares of the run's time for which what only one worker at a time can do was busy:
	// what comes close to 1 is what holds the others up.
	Commit   float64 `json:"commit_share"`
	Lock     float64 `json:"lock_share"`
	Register float64 `json:"register_share"`
	Draw     float64 `json:"draw_share"`

	Busy   float64 `json:"busy"`   // share of the workers' time in which they execute, to some use
	Wasted float64 `json:"wasted"` // and to none
	Idle   float64 `json:"idle"`   // and have nothing to do
	First  string  `json:"bottleneck"`
}

// Check compares a simulation with real runs on this machine.
type Check struct {
	Workers     int        `json:"workers"`
	PredictedMS float64    `json:"predicted_ms"`
	RealMS      float64    `json:"real_ms"` // median
	RealSpread  [2]float64 `json:"real_spread_ms"`
	Error       float64    `json:"error"` // predicted / real - 1
	Within      bool       `json:"within_tolerance"`
	Others      float64    `json:"others_load"` // share of the CPUs' time that other processes took
}

// Tolerance is how far a simulation may be off.
const Tolerance = 0.15

// Publication is a figure that others have published, to compare with.
type Publication struct {
	Threads int     `json:"threads"`
	Speedup float64 `json:"speedup"` // over sequential execution
	Figure  string  `json:"figure"`
	Source  string  `json:"source"`
}

// Published returns what Block-STM's authors report, over sequential execution: the ends
// of their curves, the only points of them that their texts give as numbers. Their
// transactions take longer to execute than a transfer of ether does here, and no one
// there has to bring a block's state to another data structure.
func Published() []Publication {
	const paper = "Gelashvili et al., Block-STM, PPoPP 2023, arXiv:2203.06871, abstract"
	return []Publication{
		{32, 20, "20× on Diem's benchmarks, little contention", paper},
		{32, 17, "17× on Aptos' benchmarks, little contention", paper},
		{32, 9, "50k instead of 110k transactions a second on Diem's benchmarks if contended, which is some 9×", paper},
		{32, 8, "80k instead of 170k on Aptos' if contended, which is some 8×", paper},
	}
}

// ExplainOptions say what to find out.
type ExplainOptions struct {
	Workers  []int          // to forecast
	Picture  int            // workers in the schedule; 0: none
	Top      int            // keys, and links of the chain, to show
	Window   int            // as of miner.Request
	Scale    simulate.Scale // what if some things took longer or shorter
	Seed     uint64
	Check    []int // numbers of workers to check the simulation at
	Rounds   int   // of a check
	Quiet    time.Duration
	Progress func(string)
}

// Explain traces the block and simulates it.
func Explain(ctx context.Context, s *Subject, o ExplainOptions) (*Explanation, error) {
	o.Progress(s.Name + ": tracing")
	m, err := NewModel(s)
	if err != nil {
		return nil, err
	}
	m.Scale = o.Scale
	work := m.Block.Work()
	chain, length := m.Block.Chain()
	e := &Explanation{
		Name: s.Name, Txs: len(s.txs), WorkMS: ms(work), ChainMS: ms(length), Published: Published(),
	}
	threads := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	interference, err := m.MeasureInterference(threads, max(o.Rounds, 3), o.Quiet)
	if err != nil {
		return nil, err
	}
	e.Machine = Costs{m.Machine.Section.Nanoseconds(), m.Machine.Contended.Nanoseconds(), m.Machine.Handover.Nanoseconds(),
		m.Machine.Wake.Nanoseconds(), m.Machine.Signal.Nanoseconds(), m.Machine.Patience.Nanoseconds(),
		interference.Threads, interference.Slow, ms(interference.Collector)}
	if length > 0 {
		e.Bound = seconds(work) / seconds(length)
	}
	e.Keys, e.Additions = m.hotKeys(o.Top)
	e.Chain = m.links(chain)
	if e.SequentialMS, err = m.sequentialTime(); err != nil {
		return nil, err
	}
	one, _, err := m.Simulate(ctx, simulate.Options{Workers: 1, Window: o.Window, Seed: o.Seed}, nil)
	if err != nil {
		return nil, err
	}
	e.OneWorkerMS = ms(one)
	for _, workers := range o.Workers {
		o.Progress(fmt.Sprintf("%s: simulating %d workers", s.Name, workers))
		f, err := m.forecast(ctx, e, workers, o, interference)
		if err != nil {
			return nil, err
		}
		e.Forecasts = append(e.Forecasts, f)
	}
	if o.Picture > 0 {
		_, r, err := m.Simulate(ctx, simulate.Options{Workers: o.Picture, Window: o.Window, Seed: o.Seed, Steps: true}, interference)
		if err != nil {
			return nil, err
		}
		e.Schedule = simulated(s.Name, r)
	}
	for _, workers := range o.Check {
		o.Progress(fmt.Sprintf("%s: checking with %d workers", s.Name, workers))
		c, err := m.Check(ctx, workers, o, interference)
		if err != nil {
			return nil, err
		}
		e.Checks = append(e.Checks, c)
	}
	return e, nil
}

// sequentialTime measures op-geth's own loop, by the time of its thread.
func (m *Model) sequentialTime() (float64, error) {
	all := make([]time.Duration, clockPasses)
	for i := range all {
		took, err := m.Subject.fill(sequential, nil)
		if err != nil {
			return 0, err
		}
		all[i] = took.thread
	}
	return ms(middle(all)), nil
}

func (m *Model) forecast(ctx context.Context, e *Explanation, workers int, o ExplainOptions, i *Interference) (Forecast, error) {
	options := simulate.Options{Workers: workers, Window: o.Window, Seed: o.Seed}
	undisturbed, _, err := m.Simulate(ctx, options, nil)
	if err != nil {
		return Forecast{}, err
	}
	took, r, err := m.Simulate(ctx, options, i)
	if err != nil {
		return Forecast{}, err
	}
	f := Forecast{Workers: workers, FillMS: ms(took), Repeats: r.Stats.Repeats, AtBest: min(float64(workers), e.Bound)}
	if took > 0 && r.Time > 0 {
		f.Speedup, f.Sequential = e.OneWorkerMS/f.FillMS, e.SequentialMS/f.FillMS
		f.Undisturbed = e.OneWorkerMS / ms(undisturbed)
		share := func(d time.Duration) float64 { return seconds(d) / seconds(r.Time) }
		f.Commit, f.Lock, f.Register, f.Draw = share(r.Commit), share(r.Lock), share(r.Register), share(r.Draw)
		each := func(d time.Duration) float64 { return share(d) / float64(workers) }
		f.Busy, f.Wasted, f.Idle = each(r.Run-r.Wasted), each(r.Wasted), each(r.Idle)
		f.First = f.bottleneck(e.Bound, e.Txs)
	}
	return f, nil
}

// bottleneck names what holds the workers up most.
func (f *Forecast) bottleneck(bound float64, txs int) string {
	const (
		busy    = 0.5  // share of the time from which on something that there is one of is a bottleneck
		enough  = 0.15 // share of their time that the workers may idle or waste
		repeats = 0.05 // share of the transactions that may be executed again
	)
	names := []string{"ordered commit", "scheduler's lock", "a register", "drawing"}
	shares := []float64{f.Commit, f.Lock, f.Register, f.Draw}
	most := slices.Index(shares, slices.Max(shares))
	switch {
	case f.Workers == 1 || f.Idle+f.Wasted < enough && shares[most] < 0.75:
		return "number of threads"
	case bound < float64(f.Workers) && f.Speedup > 0.75*bound:
		return "dependencies"
	case shares[most] >= busy:
		return names[most]
	case bound < float64(f.Workers) || float64(f.Repeats) > repeats*float64(txs):
		return "dependencies"
	}
	return "waking threads"
}

// Check simulates the block with that many workers and really fills it with them.
func (m *Model) Check(ctx context.Context, workers int, o ExplainOptions, i *Interference) (Check, error) {
	c := Check{Workers: workers}
	predicted, _, err := m.Simulate(ctx, simulate.Options{Workers: workers, Seed: o.Seed}, i)
	if err != nil {
		return c, err
	}
	before := usageNow()
	var all []float64
	for range o.Rounds {
		awaitQuiet(o.Quiet)
		took, err := m.Subject.fill(workers, nil)
		if err != nil {
			return c, err
		}
		all = append(all, ms(took.clock))
	}
	c.Others = usageNow().othersSince(before)
	c.PredictedMS, c.RealMS, c.RealSpread = ms(predicted), median(all), spread(all)
	c.Error = c.PredictedMS/c.RealMS - 1
	c.Within = math.Abs(c.Error) <= Tolerance
	return c, nil
}

// hotKeys returns the registers that most transactions wait for, and those that most add
// to.
func (m *Model) hotKeys(top int) (conflicts, additions []HotKey) {
	var (
		keys    = make([]HotKey, len(m.names))
		written = make([]bool, len(m.names))
	)
	for i, name := range m.names {
		keys[i] = HotKey{Address: name.addr, Field: name.field.String()}
		if name.field == slot {
			keys[i].Slot = &name.key
		}
	}
	for i := range m.Block.Txs {
		tx := &m.Block.Txs[i]
		for _, r := range tx.Reads {
			keys[r].Readers++
			if written[r] {
				keys[r].Waits++
				keys[r].WaitMS += ms(tx.Execute)
			}
		}
		for _, r := range tx.Writes {
			keys[r].Writers++
			written[r] = true
		}
	}
	for i, key := range keys {
		switch {
		case key.Waits > 0:
			conflicts = append(conflicts, key)
		case key.Writers > 1 && m.Block.Registers[i] == simulate.Total:
			additions = append(additions, key)
		}
	}
	slices.SortStableFunc(conflicts, func(a, b HotKey) int { return cmp.Or(b.Waits-a.Waits, b.Writers-a.Writers) })
	slices.SortStableFunc(additions, func(a, b HotKey) int { return b.Writers - a.Writers })
	return conflicts[:min(top, len(conflicts))], additions[:min(top, len(additions))]
}

// links describes a chain.
func (m *Model) links(chain []int) []Link {
	links := make([]Link, len(chain))
	for n, i := range chain {
		tx := m.Subject.txs[i]
		links[n] = Link{Index: i, Hash: tx.Hash(), From: m.Subject.from[i], To: tx.To(), MS: ms(m.Block.Txs[i].Execute)}
		if n == 0 {
			continue
		}
		before := m.Block.Txs[chain[n-1]].Writes
		for _, r := range m.Block.Txs[i].Reads {
			if slices.Contains(before, r) {
				name := m.names[r]
				links[n].Via = &HotKey{Address: name.addr, Field: name.field.String()}
				if name.field == slot {
					links[n].Via.Slot = &name.key
				}
				break
			}
		}
	}
	return links
}

// simulated returns what the virtual workers did.
func simulated(name string, r *simulate.Result) *Schedule {
	s := &Schedule{Workload: name, Workers: r.Workers, EndMS: ms(r.Time)}
	for _, step := range r.Steps {
		s.Steps = append(s.Steps, Step{step.Worker, step.What, ms(step.From), ms(step.To)})
	}
	return s
}

// String names a field.
func (f field) String() string {
	return [...]string{balance: "balance", nonce: "nonce", code: "code or existence", slot: "slot"}[f]
}

func ms(d time.Duration) float64 { return 1000 * seconds(d) }

// Transactions returns what the block is filled with.
func (s *Subject) Transactions() []*types.Transaction { return s.txs }
