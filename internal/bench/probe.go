package bench

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
)

// Build is one block being built, as seen from outside the miner.
type Build struct {
	Fill  time.Duration // choosing and executing the pool's transactions
	Seal  time.Duration // finalising, state root, assembling
	Total time.Duration // from the header's preparation to the block

	CPU     time.Duration // of the whole process, preparation to block; 0 where unknown
	Objects uint64        // allocated from preparation to block
	Bytes   uint64        // allocated from preparation to block

	FillObjects uint64 // allocated while filling
	FillBytes   uint64

	Txs, Pooled int // transactions in the block; those of them that came from the pool
	Gas         uint64
	Hash        [32]byte
	Engine      EngineStats

	txs []*types.Transaction // of the pool, in the block's order
}

// EngineStats is what the parallel builder tells about a build. All zero: it did not run.
type EngineStats struct {
	Committed    int
	Executions   int
	Reexecutions int
	ByWorker     []int
	Fallback     string // why filling went on sequentially; "" if it did not
	Small        bool   // too few transactions were offered for it to run
}

// probe is a consensus engine and a log handler that time the build going on. The miner
// calls Prepare when a build begins, asks the pool (filling) when it begins to fill, and
// calls FinalizeAndAssemble between filling and having the block.
type probe struct {
	consensus.Engine

	mu    sync.Mutex
	watch *watch // guarded by mu; nil: no build is watched
}

// watch is the build that is watched.
type watch struct {
	begin, fill, seal, end reading
	block                  *types.Block
	stats                  EngineStats
	failure                string
	done                   chan struct{} // closed when the build has ended
}

// begin watches the next build.
func (p *probe) start() *watch {
	w := &watch{done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = w
	return w
}

// stop ends watching.
func (p *probe) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = nil
}

// with runs f on the build that is watched.
func (p *probe) with(f func(*watch)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watch != nil {
		f(p.watch)
	}
}

// Prepare implements consensus.Engine.
func (p *probe) Prepare(chain consensus.ChainHeaderReader, header *types.Header) error {
	p.with(func(w *watch) { w.begin = read() })
	return p.Engine.Prepare(chain, header)
}

// filling notes that filling begins.
func (p *probe) filling() { p.with(func(w *watch) { w.fill = read() }) }

// FinalizeAndAssemble implements consensus.Engine.
func (p *probe) FinalizeAndAssemble(ctx context.Context, chain consensus.ChainHeaderReader, header *types.Header, db *state.StateDB, body *types.Body, receipts []*types.Receipt) (*types.Block, error) {
	p.with(func(w *watch) { w.seal = read() })
	block, err := p.Engine.FinalizeAndAssemble(ctx, chain, header, db, body, receipts)
	p.with(func(w *watch) {
		w.end, w.block = read(), block
		if err != nil {
			w.failure = err.Error()
		}
		close(w.done)
		p.watch = nil
	})
	return block, err
}

// Enabled implements slog.Handler. A node logs at this level too.
func (p *probe) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// WithAttrs implements slog.Handler.
func (p *probe) WithAttrs([]slog.Attr) slog.Handler { return p }

// WithGroup implements slog.Handler.
func (p *probe) WithGroup(string) slog.Handler { return p }

// Handle implements slog.Handler: the miner's log has what the parallel builder counted,
// and why a build gave no block.
func (p *probe) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "Filled block in parallel":
		p.with(func(w *watch) {
			r.Attrs(func(a slog.Attr) bool {
				w.stats.note(a)
				return true
			})
		})
	case "Filled block sequentially":
		p.with(func(w *watch) { w.stats.Small = true })
	case "Parallel block building stopped, filling the rest sequentially",
		"Parallel block building not possible, filling the block sequentially":
		p.with(func(w *watch) { w.stats.Fallback = errOf(r) })
	case "Error while generating work":
		p.with(func(w *watch) {
			w.failure = errOf(r)
			close(w.done)
			p.watch = nil
		})
	}
	return nil
}

// note adds an attribute of the log record.
func (s *EngineStats) note(a slog.Attr) {
	number := func() int {
		if a.Value.Kind() == slog.KindInt64 {
			return int(a.Value.Int64())
		}
		return 0
	}
	switch a.Key {
	case "txs":
		s.Committed += number()
	case "executions":
		s.Executions += number()
	case "reexecutions":
		s.Reexecutions += number()
	case "workers":
		if counts, ok := a.Value.Any().([]int); ok {
			s.ByWorker = counts
		}
	}
}

func errOf(r slog.Record) string {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			text = a.Value.String()
		}
		return a.Key != "err"
	})
	return text
}

// build returns what was measured.
func (w *watch) build() *Build {
	b := &Build{
		Fill:        w.seal.time.Sub(w.fill.time),
		Seal:        w.end.time.Sub(w.seal.time),
		Total:       w.end.time.Sub(w.begin.time),
		CPU:         w.end.cpu - w.begin.cpu,
		Objects:     w.end.objects - w.begin.objects,
		Bytes:       w.end.bytes - w.begin.bytes,
		FillObjects: w.seal.objects - w.fill.objects,
		FillBytes:   w.seal.bytes - w.fill.bytes,
		Txs:         len(w.block.Transactions()),
		Gas:         w.block.GasUsed(),
		Hash:        w.block.Hash(),
		Engine:      w.stats,
	}
	for _, tx := range w.block.Transactions() {
		if !tx.IsDepositTx() {
			b.Pooled++
			b.txs = append(b.txs, tx)
		}
	}
	return b
}
