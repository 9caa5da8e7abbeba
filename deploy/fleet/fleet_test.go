package fleet

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"massattach/deploy/grafana/chart"
	"massattach/deploy/grafana/dashboard"
	"massattach/deploy/internal/try"
)

// Many instances of many targets under one Prometheus: the overview names the one that
// takes longest to attach to, and the alert fires for the one that a debugger gets at, and
// for no other.
func TestFleet(t *testing.T) {
	try.Root(t)
	try.Need(t, "ip", "nsenter", "prometheus", "strace")
	nodes, each, threads := size(3, 20), size(2, 10), size(50, 200)
	slow, broken := [2]int{nodes - 1, 0}, [2]int{0, each - 1}
	every := fmt.Sprintf("%ds", size(2, 10))

	makeRoom(t, (nodes*each+20)*threads)
	var instances []*instance
	pids := make(map[[2]int]int)
	for n := range nodes {
		var watches []watch
		for i := range each {
			many := threads
			if slow == [2]int{n, i} {
				many *= 20 // slow beyond doubt, on a machine that is shared
			}
			tg := try.StartTarget(t, many)
			pids[[2]int{n, i}] = tg.PID
			watches = append(watches, watch{Name: fmt.Sprintf("service-%d", i+1), PID: tg.PID, Every: every, Arrest: []string{"interrupt"}})
		}
		instances = append(instances, startInstance(t, n+1, watches))
	}
	server := startPrometheus(t, instances, fmt.Sprintf("%ds", size(1, 5)), native)
	try.Until(t, "all targets are probed", func() error {
		v, err := query(server, "count(massattach_converged == 1)")
		if err != nil || len(v) != 1 || int(v[0].Value) != nodes*each {
			return fmt.Errorf("%v, %v", v, err)
		}
		return nil
	})

	name := func(at [2]int) string { return fmt.Sprintf("service-%d %s", at[1]+1, instances[at[0]].name) }
	slowest := dashboard.Rows()[0].Panels[0]
	try.Until(t, "the overview names the slowest", func() error {
		series, err := chart.Fetch(context.Background(), server, slowest, chart.Range{To: time.Now(), Window: "1m"})
		if err != nil {
			return err
		}
		if len(series) != 1 || series[0].Labels["target"]+" "+series[0].Labels["instance"] != name(slow) {
			return fmt.Errorf("%+v, not %s", series, name(slow))
		}
		return nil
	})
	if alerts := firing(t, server, notConverged, disturbs); len(alerts) > 0 {
		t.Errorf("all is well, but %q", alerts)
	}

	debug(t, pids[broken])
	want := []string{notConverged + " " + name(broken)}
	try.Until(t, "the alert fires", func() error {
		if alerts := firing(t, server, notConverged); !slices.Equal(alerts, want) {
			return fmt.Errorf("firing are %q, not %q", alerts, want)
		}
		return nil
	})
}

// makeRoom raises the number of threads that the machine may have, until the test is over.
func makeRoom(t *testing.T, threads int) {
	t.Helper()
	const file = "/proc/sys/kernel/pid_max"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(old)))
	if err != nil {
		t.Fatal(err)
	}
	if want := 2*threads + 16_384; most < want {
		writeFile(t, file, []byte(strconv.Itoa(want)))
		t.Cleanup(func() { writeFile(t, file, old) })
	}
}
