package miner

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/metrics"
)

// registered returns the types of our metrics in op-geth's registry, by name.
func registered() map[string]string {
	types := make(map[string]string)
	metrics.DefaultRegistry.Each(func(name string, m any) {
		if !strings.HasPrefix(name, prefix) {
			return
		}
		switch m.(type) {
		case *metrics.Counter:
			types[name] = "counter"
		case *metrics.Meter:
			types[name] = "meter"
		case *metrics.Timer:
			types[name] = "timer"
		case metrics.Histogram:
			types[name] = "histogram"
		case *metrics.Gauge, *metrics.GaugeFloat64:
			types[name] = "gauge"
		default:
			types[name] = "unknown"
		}
	})
	return types
}

func TestTheTableOfMetricsIsThatOfTheRegistry(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	types := registered()
	rows := regexp.MustCompile("(?m)^\\| `("+prefix+"[^`]*)` \\| ([a-z]+) \\| .+ \\|$").FindAllStringSubmatch(string(text), -1)
	for _, row := range rows {
		name, kind := row[1], row[2]
		switch actual, ok := types[name]; {
		case !ok:
			t.Errorf("docs/metrics.md has %s, which is not registered, or has it twice", name)
		case actual != kind:
			t.Errorf("docs/metrics.md has %s as a %s, it is a %s", name, kind, actual)
		}
		delete(types, name)
	}
	for name, kind := range types {
		t.Errorf("docs/metrics.md lacks the %s %s", kind, name)
	}
}

// quantiles are those that op-geth's Prometheus exporter gives of a timer or histogram.
var quantiles = []string{"0.5", "0.75", "0.95", "0.99", "0.999", "0.9999"}

func TestTheDashboardUsesMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana/parallel-building.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Inputs []struct{ Name, Type, PluginID string } `json:"__inputs"`
		Title  string
		UID    string
		Schema int `json:"schemaVersion"`
		Panels []struct {
			ID         int
			Type       string
			Title      string
			GridPos    struct{ H, W, X, Y int }
			Datasource struct{ UID string }
			Targets    []struct{ RefID, Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if len(board.Inputs) != 1 || board.Inputs[0].PluginID != "prometheus" || board.Title == "" || board.UID == "" || board.Schema == 0 {
		t.Errorf("Grafana cannot import it: %+v", board)
	}
	types := make(map[string]string)
	for name, kind := range registered() {
		types[strings.ReplaceAll(name, "/", "_")] = kind
	}
	selector := regexp.MustCompile(`([a-z_]+)\{instance=~"\$instance"(?:,quantile="([0-9.]+)")?\}`)
	used, ids := make(map[string]bool), make(map[int]bool)
	for _, panel := range board.Panels {
		if ids[panel.ID] || panel.GridPos.W == 0 || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %q has an ID that is taken, or no place: %+v", panel.Title, panel)
		}
		ids[panel.ID] = true
		if panel.Type != "row" && (len(panel.Targets) == 0 || panel.Datasource.UID != "${"+board.Inputs[0].Name+"}") {
			t.Errorf("panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			uses := selector.FindAllStringSubmatch(target.Expr, -1)
			if len(uses) == 0 || len(uses) != strings.Count(target.Expr, "{") {
				t.Errorf("panel %q: %q is not understood", panel.Title, target.Expr)
			}
			for _, use := range uses {
				name, quantile := use[1], use[2]
				kind, ok := types[name]
				if !ok {
					t.Errorf("panel %q uses %s, which does not exist", panel.Title, name)
				}
				summary := kind == "timer" || kind == "histogram"
				if summary != slices.Contains(quantiles, quantile) {
					t.Errorf("panel %q uses %s, a %s, with quantile %q", panel.Title, name, kind, quantile)
				}
				used[name] = true
			}
		}
	}
	// What says how many is in its reasons too.
	for _, name := range []string{"fallbacks"} {
		used["miner_parallel_"+name] = true
	}
	for name := range types {
		if !used[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}
