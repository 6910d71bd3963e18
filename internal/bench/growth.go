package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"text/tabwriter"

	"github.com/op-geth-parallel/op-geth-parallel/core/blockstm"
	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// GrowthOptions say how to measure what a larger block and a larger window cost.
type GrowthOptions struct {
	World           // with as many senders as say, or, if that is 0, as many as transactions
	Workload        Workload
	Txs             []int
	Windows         []int // most candidates to speculate ahead; 0: the builder's default
	Workers, Rounds int
	Progress        func(string)
}

// Growth is what filling blocks of one kind and of different sizes took.
type Growth struct {
	Machine  Machine     `json:"machine"`
	Workload string      `json:"workload"`
	Workers  int         `json:"workers"`
	Rounds   int         `json:"rounds"`
	Senders  int         `json:"senders"` // 0: as many as transactions
	Rows     []GrowthRow `json:"rows"`
}

// GrowthRow is one size of block with one size of window.
type GrowthRow struct {
	Txs        int        `json:"txs"`
	Window     int        `json:"window"`  // 0: the builder's default
	FillMS     float64    `json:"fill_ms"` // median
	FillSpread [2]float64 `json:"fill_spread"`
	PerTxUS    float64    `json:"per_tx_us"`
	CPUPerTxUS float64    `json:"cpu_per_tx_us"` // of the whole process, which others on the machine hardly touch
	Repeats    int        `json:"reexecutions"`

	// The heap that is in use when the last transaction is committed, above what it is
	// before filling begins: the block itself, the state it has touched, and the engine's
	// own memory. Sequentially there is no engine.
	Parallel   float64 `json:"live_bytes"`
	Sequential float64 `json:"live_bytes_sequential"`
}

// Extra is what the parallel path holds beyond the sequential one, bytes.
func (r *GrowthRow) Extra() float64 { return r.Parallel - r.Sequential }

// MeasureGrowth fills blocks of all sizes, with all windows.
func MeasureGrowth(ctx context.Context, o GrowthOptions) (*Growth, error) {
	g := &Growth{Machine: ThisMachine(), Workload: o.Workload.Name, Workers: o.Workers, Rounds: o.Rounds, Senders: o.Senders}
	for _, txs := range o.Txs {
		world := o.World
		if world.Senders == 0 {
			world.Senders = txs
		}
		err := WorkloadSubjects(world, []Workload{o.Workload}, txs, func(string) {}, func(s *Subject) error {
			sequentially, err := s.live(sequential, 0)
			if err != nil {
				return err
			}
			for _, window := range o.Windows {
				o.Progress(fmt.Sprintf("%s: %d transactions, window %d", s.Name, txs, window))
				row, err := s.grown(ctx, &o, window)
				if err != nil {
					return err
				}
				row.Sequential = sequentially
				g.Rows = append(g.Rows, row)
			}
			return nil
		})
		if err != nil {
			return g, err
		}
	}
	return g, nil
}

// grown measures the block with one window.
func (s *Subject) grown(ctx context.Context, o *GrowthOptions, window int) (row GrowthRow, err error) {
	row = GrowthRow{Txs: len(s.txs), Window: window}
	var fills, cpu, repeats []float64
	for round := -1; round < o.Rounds; round++ {
		if err := ctx.Err(); err != nil {
			return row, err
		}
		took, err := s.fill(o.Workers, func(r *miner.Request) { r.Window = window })
		if err != nil {
			return row, err
		}
		if round >= 0 { // the first one warms up
			fills, cpu = append(fills, ms(took.clock)), append(cpu, ms(took.cpu))
			repeats = append(repeats, float64(took.stats.Reexecutions))
		}
	}
	row.FillMS, row.FillSpread, row.Repeats = median(fills), spread(fills), int(median(repeats))
	row.PerTxUS, row.CPUPerTxUS = 1000*row.FillMS/float64(row.Txs), 1000*median(cpu)/float64(row.Txs)
	row.Parallel, err = s.live(o.Workers, window)
	return row, err
}

// lastCommit is a blockstm.Program that has a look when the last transaction commits.
type lastCommit struct {
	blockstm.Program
	left int
	look func()
}

// Commit implements blockstm.Program.
func (l *lastCommit) Commit(tx blockstm.TxIndex) (bool, error) {
	if l.left--; l.left == 0 {
		l.look()
	}
	return l.Program.Commit(tx)
}

// live returns the heap in use at the end of a filling above that at its beginning, the
// median of some.
func (s *Subject) live(workers, window int) (float64, error) {
	const rounds = 3
	var all []float64
	for range rounds {
		runtime.GC()
		var before, after float64
		look := func() {
			runtime.GC()
			after = float64(heapSize())
		}
		took, err := s.fill(workers, func(r *miner.Request) {
			r.Window = window
			r.Watch = func(p blockstm.Program) blockstm.Program { return &lastCommit{p, len(s.txs), look} }
			runtime.GC()
			before = float64(heapSize())
		})
		if err != nil {
			return 0, err
		}
		if workers == sequential {
			look()
			runtime.KeepAlive(took.block)
			runtime.KeepAlive(took.plain) // which in parallel is not given up yet either
		}
		all = append(all, after-before)
	}
	return median(all), nil
}

// WriteText writes the rows as a table, and how far from proportional they are.
func (g *Growth) WriteText(w io.Writer) error {
	senders := "as many senders as transactions"
	if g.Senders > 0 {
		senders = fmt.Sprintf("%d senders", g.Senders)
	}
	fmt.Fprintf(w, "%s\n%s, %d workers, %s; medians of %d fillings\n\n", g.Machine, g.Workload, g.Workers, senders, g.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "txs\twindow\tfill ms\t\tµs/tx\tCPU µs/tx\tagain\tlive MB\tsequential\tbeyond it, KB\tper tx, B\t")
	for _, r := range g.Rows {
		window := "default"
		if r.Window > 0 {
			window = fmt.Sprint(r.Window)
		}
		fmt.Fprintf(t, "%d\t%s\t%.1f\t%s\t%.1f\t%.1f\t%d\t%.2f\t%.2f\t%.0f\t%.0f\t\n", r.Txs, window, r.FillMS, between(r.FillSpread), r.PerTxUS, r.CPUPerTxUS, r.Repeats,
			r.Parallel/1e6, r.Sequential/1e6, r.Extra()/1e3, r.Extra()/float64(r.Txs))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, window := range g.windows() {
		if exponent, ok := g.exponent(window); ok {
			fmt.Fprintf(w, "window %d: CPU time grows with the %.2f-th power of the number of transactions (1: linear)\n", window, exponent)
		}
	}
	return nil
}

func (g *Growth) windows() (out []int) {
	for _, r := range g.Rows {
		if !slices.Contains(out, r.Window) {
			out = append(out, r.Window)
		}
	}
	return out
}

// exponent returns the power of the number of transactions with which CPU time grows, by
// least squares on logarithms.
func (g *Growth) exponent(window int) (float64, bool) {
	var xs, ys []float64
	for _, r := range g.Rows {
		if r.Window == window && r.CPUPerTxUS > 0 {
			xs = append(xs, math.Log(float64(r.Txs)))
			ys = append(ys, math.Log(r.CPUPerTxUS*float64(r.Txs)))
		}
	}
	var meanX, meanY, above, below float64
	for i := range xs {
		meanX, meanY = meanX+xs[i]/float64(len(xs)), meanY+ys[i]/float64(len(xs))
	}
	for i := range xs {
		above += (xs[i] - meanX) * (ys[i] - meanY)
		below += (xs[i] - meanX) * (xs[i] - meanX)
	}
	if below == 0 {
		return 0, false
	}
	return above / below, true
}

// WriteJSON writes the rows as a JSON object.
func (g *Growth) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(g)
}
