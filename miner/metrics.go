package miner

import (
	"github.com/ethereum/go-ethereum/metrics"
)

// meters are what a node publishes about parallel building, in op-geth's registry.
// docs/metrics.md says what each means. They are touched once a build.
type meters struct {
	builds, parallel, small *metrics.Counter

	committed, dropped *metrics.Counter
	droppedBy          [dropReasons]*metrics.Counter

	executions, reexecutions  *metrics.Meter
	aborts, blocked, headRuns *metrics.Counter

	fill, seal, commit, wait, interrupt, verify *metrics.Timer

	depth                           metrics.Histogram
	workers                         *metrics.Gauge
	headShare, utilisation, speedup *metrics.GaugeFloat64
	fallbacks, refuted              *metrics.Counter
	fallbacksBy                     map[Reason]*metrics.Counter
}

// prefix begins the names of all metrics of parallel building.
const prefix = "miner/parallel/"

var published = newMeters()

func newMeters() *meters {
	counter := func(name string) *metrics.Counter { return metrics.NewRegisteredCounter(prefix+name, nil) }
	timer := func(name string) *metrics.Timer { return metrics.NewRegisteredTimer(prefix+name, nil) }
	gauge := func(name string) *metrics.GaugeFloat64 { return metrics.NewRegisteredGaugeFloat64(prefix+name, nil) }
	m := &meters{
		builds:       counter("builds"),
		parallel:     counter("builds/parallel"),
		small:        counter("builds/small"),
		committed:    counter("txs/committed"),
		dropped:      counter("txs/dropped"),
		executions:   metrics.NewRegisteredMeter(prefix+"executions", nil),
		reexecutions: metrics.NewRegisteredMeter(prefix+"reexecutions", nil),
		aborts:       counter("aborts"),
		blocked:      counter("blocked"),
		headRuns:     counter("headruns"),
		fill:         timer("fill"),
		seal:         timer("seal"),
		commit:       timer("commit"),
		wait:         timer("wait"),
		interrupt:    timer("interrupt"),
		verify:       timer("verify/time"),
		depth:        metrics.NewRegisteredHistogram(prefix+"depth", nil, metrics.NewExpDecaySample(1028, 0.015)),
		workers:      metrics.NewRegisteredGauge(prefix+"workers", nil),
		headShare:    gauge("headshare"),
		utilisation:  gauge("utilisation"),
		speedup:      gauge("speedup"),
		fallbacks:    counter("fallbacks"),
		refuted:      counter("verify/failures"),
		fallbacksBy:  make(map[Reason]*metrics.Counter),
	}
	for reason := range m.droppedBy {
		m.droppedBy[reason] = counter("txs/dropped/" + DropReason(reason).String())
	}
	for _, reason := range fallbackReasons() {
		m.fallbacksBy[reason] = counter("fallbacks/" + string(reason))
	}
	return m
}

// filled publishes what the parallel runs over one block did.
func (m *meters) filled(s *Stats, workers int) {
	m.committed.Inc(int64(s.Committed))
	m.dropped.Inc(int64(s.Dropped))
	for reason, n := range s.Drops {
		m.droppedBy[reason].Inc(int64(n))
	}
	m.executions.Mark(int64(s.Executions))
	m.reexecutions.Mark(int64(s.Reexecutions))
	m.aborts.Inc(int64(s.Aborts))
	m.blocked.Inc(int64(s.Blocked))
	m.headRuns.Inc(int64(s.HeadRuns))
	m.fill.Update(s.Elapsed)
	m.commit.Update(s.Committing)
	m.wait.Update(s.Waited)
	m.workers.Update(int64(workers))
	if s.InterruptLatency > 0 {
		m.interrupt.Update(s.InterruptLatency)
	}
	if s.Executions > 0 {
		m.depth.Update(int64(s.MeanDepth() + 0.5))
		m.headShare.Update(s.HeadShare())
		m.utilisation.Update(s.Utilisation())
		m.speedup.Update(s.Speedup())
	}
}

// fellBack counts a build that parallel building gave up.
func (m *meters) fellBack(reason Reason) {
	m.fallbacks.Inc(1)
	m.fallbacksBy[reason].Inc(1)
}
