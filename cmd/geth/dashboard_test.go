package geth

import (
	"os"
	"regexp"
	"testing"
)

// checkShown checks that a node exports all that the dashboard and the alarms ask for, by
// the values of a scrape.
func checkShown(t *testing.T, got map[string]float64) {
	t.Helper()
	for _, path := range []string{"../../docs/grafana/parallel-building.json", "../../deploy/prometheus/alerts.yml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// In JSON the quotes have backslashes.
		uses := regexp.MustCompile(`\b(miner_parallel_[a-z_]+)(?:\{[^}]*?quantile=\\?"([0-9.]+)\\?"\})?`).FindAllStringSubmatch(string(text), -1)
		if len(uses) < 8 {
			t.Errorf("%s asks for %d metrics only", path, len(uses))
		}
		for _, use := range uses {
			name := use[1]
			if use[2] != "" {
				name += `{quantile="` + use[2] + `"}`
			}
			if _, ok := got[name]; !ok {
				t.Errorf("%s asks for %s, which the node does not export", path, name)
			}
		}
	}
}
