package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
	"github.com/op-geth-parallel/op-geth-parallel/params"
)

// Feature is a part of the builder that chooses well without being told. It is measured
// with all others on.
type Feature struct {
	Name  string
	About string

	sides func(ctx *featureContext) (off, on way, err error)
	small []int // sizes of the blocks, all of them of transfers; nil: the workloads' own
	whole bool  // what is measured is the payload, as op-geth's miner builds it
}

// way is one of the two ways to fill a block.
type way struct {
	workers int
	minTxs  int // of the miner, where the whole payload is measured
	off     miner.Features
	lesson  *miner.Lesson
}

// Features returns all of them.
func Features() []Feature {
	without := func(off miner.Features) func(*featureContext) (way, way, error) {
		return func(c *featureContext) (way, way, error) {
			return way{workers: c.workers, off: off}, way{workers: c.workers}, nil
		}
	}
	return []Feature{
		{Name: "window", About: "how far ahead is speculated follows the conflicts seen", sides: without(miner.Features{Window: true})},
		{Name: "senders", About: "a candidate waits for its sender's one before", sides: without(miner.Features{Senders: true})},
		{Name: "groups", About: "the keys of a contract whose callers follow one another are one", sides: without(miner.Features{Groups: true})},
		{Name: "reads", About: "a rebuild knows what the last build has read of the parent state", sides: rebuiltReads},
		{Name: "hints", About: "a rebuild knows what followed what in the last build", sides: rebuiltHints},
		{Name: "small", About: "blocks of few transactions stay sequential: the whole payload", sides: smallBlocks, small: []int{2, 6, 12, 18, 24, 48}, whole: true},
		{Name: "auto-work", About: "0 starts no more of 16 workers than there is work for", sides: autoWork, small: []int{24, 48, 96, 192}},
		{Name: "auto-cpus", About: "0 starts no more workers than there are usable CPUs, where 64 are asked for", sides: autoCPUs},
	}
}

// FeatureWorkloads are those on which features are measured if none are asked for: some
// without conflicts, some with many.
const FeatureWorkloads = "transfers,one-sender,erc20,erc20-hot,swaps-zipf,one-pool,mint,base,arbitrage"

// ErrUnknownFeature is returned (wrapped) for a name that no feature has.
var ErrUnknownFeature = errors.New("unknown feature")

// ParseFeatures reads a list of names, or "all".
func ParseFeatures(text string) (chosen []Feature, err error) {
	all := Features()
	if text == "all" {
		return all, nil
	}
	var names []string
	for _, f := range all {
		names = append(names, f.Name)
	}
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		at := slices.Index(names, name)
		if at < 0 {
			return nil, fmt.Errorf("%w: -features has %q, allowed are all, %s", ErrUnknownFeature, name, strings.Join(names, ", "))
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}

const (
	autoWanted = 16 // workers that 0 would start on a machine with as many CPUs
	manyWanted = 64

	// smallRounds is how many times as many rounds there are of blocks that take a millisecond.
	smallRounds = 20
)

// featureContext is what a feature is measured on.
type featureContext struct {
	node    *Node
	subject *Subject
	workers int
}

func rebuiltReads(c *featureContext) (off, on way, err error) {
	lesson, err := c.lesson()
	return way{workers: c.workers}, way{workers: c.workers, lesson: lesson, off: miner.Features{Hints: true}}, err
}

func rebuiltHints(c *featureContext) (off, on way, err error) {
	lesson, err := c.lesson()
	return way{workers: c.workers, lesson: lesson, off: miner.Features{Hints: true}}, way{workers: c.workers, lesson: lesson}, err
}

func smallBlocks(c *featureContext) (off, on way, err error) {
	return way{workers: c.workers, minTxs: 1}, way{workers: c.workers}, nil
}

func autoWork(c *featureContext) (off, on way, err error) {
	return way{workers: autoWanted}, way{workers: min(autoWanted, max(1, len(c.subject.txs)/params.AutoTxsPerWorker))}, nil
}

func autoCPUs(*featureContext) (off, on way, err error) {
	return way{workers: manyWanted}, way{workers: params.UsableCPUs()}, nil
}

// lesson builds the block once and returns what that teaches.
func (c *featureContext) lesson() (*miner.Lesson, error) {
	c.node.lesson = nil
	took, err := c.subject.fill(c.workers, nil)
	if err != nil {
		return nil, err
	}
	took.block.State.IntermediateRoot(true)
	return miner.Learn(took.block.State), nil
}

// taken is a block built one of the two ways.
type taken struct {
	clock, cpu time.Duration
	repeats    int
	root       common.Hash // of the state after, or the block's hash where there is one
}

// build builds the block one way.
func (c *featureContext) build(w way, whole bool) (taken, error) {
	if whole {
		b, err := c.node.buildFrom(w)
		if err != nil {
			return taken{}, err
		}
		return taken{b.Total, b.CPU, b.Engine.Reexecutions, b.Hash}, nil
	}
	c.node.lesson = w.lesson
	defer func() { c.node.lesson = nil }()
	took, err := c.subject.fill(w.workers, func(r *miner.Request) { r.Off = w.off })
	if err != nil {
		return taken{}, err
	}
	// What is before and after the block's transactions is the same on both sides.
	root := took.block.State.IntermediateRoot(true)
	return taken{took.clock, took.cpu, took.stats.Reexecutions, root}, nil
}

// buildFrom has a new miner of op-geth's build the payload.
func (n *Node) buildFrom(w way) (*Build, error) {
	if m := n.miners[w.workers]; m != nil {
		m.Close()
	}
	n.miners[w.workers] = n.newMiner(w.workers, w.minTxs)
	return n.Rebuild(w.workers)
}

// FeatureOptions say what to measure.
type FeatureOptions struct {
	World
	Features  []Feature
	Workloads []Workload
	Txs       int
	Workers   int
	Rounds    int
	Setting   Setting
	Dir       string
	Accounts  int
	Quiet     time.Duration
	Progress  func(string)
}

// MeasureFeatures measures each feature on each workload, off and on in turn.
func MeasureFeatures(ctx context.Context, o FeatureOptions) (*FeatureReport, error) {
	report := &FeatureReport{Machine: ThisMachine(), State: o.Setting, Accounts: o.Accounts, Workers: o.Workers}
	alloc, err := o.Alloc()
	if err != nil {
		return report, err
	}
	store, err := NewStore(o.Setting, o.Dir, o.Accounts, alloc, o.Progress)
	if err != nil {
		return report, err
	}
	n, err := NewNode(store, 0)
	if err != nil {
		return report, err
	}
	for _, f := range o.Features {
		if err = n.measureFeature(ctx, &o, f, report); err != nil {
			err = fmt.Errorf("feature %s: %w", f.Name, err)
			break
		}
	}
	return report, errors.Join(err, n.Close())
}

// measureFeature measures a feature on all its blocks.
func (n *Node) measureFeature(ctx context.Context, o *FeatureOptions, f Feature, report *FeatureReport) error {
	if f.whole && !Patched {
		return ErrNotParallel
	}
	loads, sizes, rounds := o.Workloads, []int{o.Txs}, o.Rounds
	if f.small != nil {
		loads, sizes, rounds = Workloads()[:1], f.small, smallRounds*o.Rounds
	}
	for _, load := range loads {
		for _, txs := range sizes {
			err := n.offered(o.World, load, txs, func(s *Subject) error {
				row, err := n.featureRow(ctx, o, f, s, rounds)
				report.Rows = append(report.Rows, row)
				return err
			})
			if err != nil {
				return fmt.Errorf("workload %s: %w", load.Name, err)
			}
		}
	}
	return nil
}

// featureRow measures a feature on a block. A first round warms up and is discarded, and
// each round begins with the other way, so that neither always comes first.
func (n *Node) featureRow(ctx context.Context, o *FeatureOptions, f Feature, s *Subject, rounds int) (FeatureRow, error) {
	row := FeatureRow{Feature: f.Name, Workload: s.Name, Txs: len(s.txs), Rounds: rounds, Equal: true}
	c := &featureContext{n, s, o.Workers}
	off, on, err := f.sides(c)
	if err != nil {
		return row, err
	}
	var all [2][]taken
	for round := -1; round < rounds; round++ {
		if round%max(1, rounds/o.Rounds) == 0 {
			o.Progress(fmt.Sprintf("%s: %s of %d, round %d of %d", f.Name, s.Name, row.Txs, round+1, rounds))
		}
		for i := range 2 {
			side := (i + round&1) % 2
			if err := ctx.Err(); err != nil {
				return row, err
			}
			awaitQuiet(o.Quiet)
			got, err := c.build([2]way{off, on}[side], f.whole)
			if err != nil {
				return row, err
			}
			if round >= 0 {
				all[side] = append(all[side], got)
			}
			if first := all[0]; len(first) > 0 && first[0].root != got.root {
				row.Equal = false
			}
		}
	}
	row.sum(all[0], all[1])
	return row, nil
}
