package fleet

import (
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// rule is one of the rules of this project.
type rule struct {
	Record      string            `json:"record"`
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, name := range []string{"rules.yml", "alerts.yml"} {
		var file struct {
			Groups []struct {
				Name  string `json:"name"`
				Rules []rule `json:"rules"`
			} `json:"groups"`
		}
		if err := yaml.UnmarshalStrict(readFile(t, filepath.Join(folder, name)), &file); err != nil {
			t.Fatal(err)
		}
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// recorded are the names of what rules record.
func recorded(t *testing.T) (names []string) {
	t.Helper()
	for _, r := range rules(t) {
		if r.Record != "" {
			names = append(names, r.Record)
		}
	}
	return names
}
