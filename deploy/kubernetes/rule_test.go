package kubernetes

import (
	"bytes"
	"os"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"

	"massattach/deploy/prometheus"
)

// prometheusrule.yaml has the rules of deploy/prometheus; UPDATE=1 writes it anew.
func TestPrometheusRule(t *testing.T) {
	const file = "prometheusrule.yaml"
	var groups []any
	for _, text := range [][]byte{prometheus.Recording, prometheus.Alerting} {
		var of struct {
			Groups []any `json:"groups"`
		}
		if err := yaml.UnmarshalStrict(text, &of); err != nil {
			t.Fatal(err)
		}
		groups = append(groups, of.Groups...)
	}
	body, err := yaml.Marshal(map[string]any{
		"apiVersion": "monitoring.coreos.com/v1",
		"kind":       "PrometheusRule",
		"metadata": map[string]any{
			"name": "massattach", "namespace": "massattach",
			"labels": map[string]string{"app.kubernetes.io/name": "massattach"},
		},
		"spec": map[string]any{"groups": groups},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte("# The rules of deploy/prometheus, for the Prometheus operator. Made by UPDATE=1 go test ./kubernetes\n"), body...)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s does not have the rules of deploy/prometheus: UPDATE=1 go test ./kubernetes (%v)", file, err)
	}
	r := decode[monitoring.PrometheusRule](t, file)
	n := 0
	for _, g := range r.Spec.Groups {
		n += len(g.Rules)
	}
	all, err := prometheus.Rules()
	if err != nil || n != len(all) {
		t.Errorf("%d rules, not %d: %v", n, len(all), err)
	}
}
