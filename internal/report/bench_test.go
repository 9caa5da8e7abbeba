package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	. "massattach/internal/report"
)

// benched is the report of a run that never was, with an example of everything.
func benched(t *testing.T) *Bench {
	t.Helper()
	data, err := os.ReadFile("testdata/bench.json")
	if err != nil {
		t.Fatal(err)
	}
	b := new(Bench)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBench(t *testing.T) {
	b := benched(t)
	plain := text(t, b.Text, Style{})
	golden(t, "bench.txt", plain)
	if got := strip(text(t, b.Text, Style{Colour: true})); !bytes.Equal(got, plain) {
		t.Errorf("colours change more than colours: %q", got)
	}
	b.Cells, b.Ratios, b.Growth, b.Interrupted = b.Cells[:6], nil, nil, true
	golden(t, "bench-interrupted.txt", text(t, b.Text, Style{}))
}

// Each run is a line, as benchstat reads them: a name, a number, and pairs of a figure
// and a unit.
func TestBenchstat(t *testing.T) {
	b := benched(t)
	out := string(text(t, b.Benchstat, Style{}))
	lines := 0
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		lines++
		f := strings.Fields(line)
		if len(f) < 4 || len(f)%2 != 0 || f[1] != "1" {
			t.Errorf("%q", line)
		}
	}
	if !strings.Contains(out, "BenchmarkSession/n=1000/subject=massattach-event-2 1 ") || lines == 0 {
		t.Errorf("%s", out)
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		figure string
		v      float64
		want   string
	}{
		{FigureSeconds, 0.0123, "12.3 ms"}, {FigurePause, 0, "0 ns"}, {FigureMemory, 3 << 20, "3.00 MiB"},
		{FigureKept, 0.987, "98.7 %"}, {FigureShare, 0.0005, "0.05 %"}, {FigureRate, 12345.6, "12,345/s"},
		{FigureEINTR, 4500, "4,500"}, {FigureEINTR, 0.5, "0.50"}, {"regs", 1.5, "1.50 s"},
	} {
		if got := Figure(c.figure, c.v); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.figure, c.v, got, c.want)
		}
	}
	for v, want := range map[float64]string{2: "2.00", 0.5: "0.50", 0.01: "1/100", 0.0995: "0.10", 123.4: "123"} {
		if got := Share(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
