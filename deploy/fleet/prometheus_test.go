package fleet

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	api "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"sigs.k8s.io/yaml"

	"massattach/deploy/grafana/chart"
	"massattach/deploy/internal/try"
	"massattach/deploy/prometheus"
)

// pending is how long an alert waits before it fires. The tests have no minutes.
var pending = regexp.MustCompile(`(?m)^( +for:) \w+$`)

// native has Prometheus 2 keep native histograms.
const native = "--enable-feature=native-histograms"

// startPrometheus starts Prometheus with the configuration of this project; only the
// times are shorter, and the targets are these, scraped so often.
func startPrometheus(t *testing.T, instances []*instance, every string, flags ...string) api.API {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string][]byte{"rules.yml": prometheus.Recording, "alerts.yml": prometheus.Alerting} {
		writeFile(t, filepath.Join(dir, name), pending.ReplaceAll(text, []byte("$1 2s")))
	}
	var config map[string]any
	if err := yaml.Unmarshal(prometheus.Config, &config); err != nil {
		t.Fatal(err)
	}
	config["global"] = map[string]any{"scrape_interval": every, "evaluation_interval": "1s"}
	var static []any
	for _, in := range instances {
		static = append(static, map[string]any{"targets": []string{in.address}, "labels": map[string]string{"instance": in.name}})
	}
	config["scrape_configs"].([]any)[0].(map[string]any)["static_configs"] = static
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "prometheus.yml")
	writeFile(t, path, text)

	said := try.Listen(t, "Prometheus")
	free, err := net.Listen("tcp", "127.0.0.1:0") // of a namespace that has nobody else
	if err != nil {
		t.Fatal(err)
	}
	listen := free.Addr().String()
	free.Close()
	cmd := exec.Command("prometheus", append(flags, "--config.file", path,
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", listen)...)
	cmd.Stderr, cmd.Stdout = said, said
	try.Start(t, cmd)
	server, err := chart.Connect("http://" + listen)
	if err != nil {
		t.Fatal(err)
	}
	try.Until(t, "Prometheus has scraped all", func() error {
		v, err := query(server, `sum(up{job="massattach"})`)
		if err != nil {
			return err
		}
		if len(v) != 1 || int(v[0].Value) != len(instances) {
			return fmt.Errorf("up: %v", v)
		}
		return nil
	})
	return server
}

// query answers what a query returns now.
func query(server api.API, q string) (model.Vector, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, _, _, err := server.Query(ctx, q, time.Now())
	if err != nil {
		return nil, err
	}
	return v.(model.Vector), nil
}

// firing answers which of the named alerts fire, as NAME TARGET INSTANCE. On a busy
// machine, which scrapes and probes late, others may as well.
func firing(t *testing.T, server api.API, names ...string) (alerts []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := server.Alerts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Alerts {
		if a.State == api.AlertStateFiring && slices.Contains(names, string(a.Labels["alertname"])) {
			alerts = append(alerts, fmt.Sprintf("%s %s %s", a.Labels["alertname"], a.Labels["target"], a.Labels["instance"]))
		}
	}
	slices.Sort(alerts)
	return alerts
}

// rulesLoad answers the rules when all are there, and have been evaluated without an
// error.
func rulesLoad(t *testing.T, server api.API) []prometheus.Rule {
	t.Helper()
	want, err := prometheus.Rules()
	if err != nil {
		t.Fatal(err)
	}
	try.Until(t, "all rules are evaluated", func() error {
		r, err := server.Rules(context.Background(), nil)
		if err != nil {
			return err
		}
		n := 0
		for _, g := range r.Groups {
			for _, rule := range g.Rules {
				var name, health, trouble string
				switch rule := rule.(type) {
				case api.AlertingRule:
					name, health, trouble = rule.Name, string(rule.Health), rule.LastError
				case api.RecordingRule:
					name, health, trouble = rule.Name, string(rule.Health), rule.LastError
				}
				if health != "ok" {
					return fmt.Errorf("%s: %s %s", name, health, trouble)
				}
				n++
			}
		}
		if n != len(want) {
			return fmt.Errorf("%d rules, not %d", n, len(want))
		}
		return nil
	})
	return want
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
