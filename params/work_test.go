package params

import (
	"runtime"
	"testing"
)

func TestFewTransactionsStaySequentialWhateverTheSetting(t *testing.T) {
	for _, setting := range []int{0, 2, 64} {
		if got := Workers(&setting, 49, 50); got != SequentialThreads {
			t.Errorf("setting %d: 49 transactions, at least 50 wanted, give %d workers", setting, got)
		}
	}
	two := 2
	if got := Workers(&two, 50, 50); got != 2 {
		t.Errorf("50 transactions, at least 50 wanted, give %d workers, want 2", got)
	}
	if got := Workers(&two, defaultMinTxs-1, 0); got != SequentialThreads {
		t.Errorf("%d transactions give %d workers by default", defaultMinTxs-1, got)
	}
	if got := Workers(&two, defaultMinTxs, 0); got != 2 {
		t.Errorf("%d transactions give %d workers by default, want 2", defaultMinTxs, got)
	}
}

func TestAutoStartsNoMoreWorkersThanThereIsWorkFor(t *testing.T) {
	before := runtime.GOMAXPROCS(16)
	defer runtime.GOMAXPROCS(before)
	auto, many := AutoThreads, 64
	for _, step := range []struct{ txs, want int }{
		{1, 1}, {AutoTxsPerWorker, 1}, {2 * AutoTxsPerWorker, 2}, {5*AutoTxsPerWorker - 1, 4}, {16 * AutoTxsPerWorker, 16}, {5000, 16},
	} {
		if got := Workers(&auto, step.txs, 1); got != step.want {
			t.Errorf("%d transactions give %d workers on 16 CPUs, want %d", step.txs, got, step.want)
		}
	}
	if got := Workers(&many, 100, 1); got != many {
		t.Errorf("a setting of %d gives %d workers", many, got)
	}
	if got := Workers(nil, 5000, 1); got != unsetThreads {
		t.Errorf("no setting gives %d workers, want %d", got, unsetThreads)
	}
}
