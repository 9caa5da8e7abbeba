package prometheus

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"massattach/deploy/internal/try"
)

// What promtool says of the files, and of tests.yml, which says when each alert fires.
func TestPromtool(t *testing.T) {
	for _, args := range []string{"check config prometheus.yml", "check rules rules.yml alerts.yml", "test rules tests.yml"} {
		try.Need(t, "promtool")
		if out, err := exec.Command("promtool", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args, err, out)
		}
	}
}

// Each alert says what it means and what to do, and tests.yml has a case in which it fires
// and one in which it does not.
func TestAlerts(t *testing.T) {
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("tests.yml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		for _, key := range []string{"summary", "description", "action"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s has no %s", r.Alert, key)
			}
		}
		if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) || r.For == "" {
			t.Errorf("%s: severity %q, for %q", r.Alert, r.Labels["severity"], r.For)
		}
		fires, quiet := false, false
		for i, line := range lines {
			switch {
			case strings.TrimSpace(line) == "alertname: "+r.Alert && i+1 < len(lines) && strings.Contains(lines[i+1], "exp_alerts:"):
				fires = true
			case strings.Contains(line, "alertname: "+r.Alert+"}"):
				quiet = true
			}
		}
		if !fires || !quiet {
			t.Errorf("%s: tests.yml sees it fire: %t, and not fire: %t", r.Alert, fires, quiet)
		}
	}
}
