// Package prometheus has the configuration, the recording rules and the alerts that lie
// beside it, for the tests.
package prometheus

import (
	_ "embed"
	"fmt"

	"sigs.k8s.io/yaml"
)

// The files.
var (
	//go:embed prometheus.yml
	Config []byte
	//go:embed rules.yml
	Recording []byte
	//go:embed alerts.yml
	Alerting []byte
)

// A Rule is one of them: it records, or alerts.
type Rule struct {
	Record      string            `json:"record"`
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Rules answers all of them.
func Rules() ([]Rule, error) {
	var all []Rule
	for _, text := range [][]byte{Recording, Alerting} {
		var file struct {
			Groups []struct {
				Name  string `json:"name"`
				Rules []Rule `json:"rules"`
			} `json:"groups"`
		}
		if err := yaml.UnmarshalStrict(text, &file); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all, nil
}
