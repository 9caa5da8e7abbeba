package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"massattach/deploy/grafana/dashboard"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit dashboard.Unit
		want string
	}{
		{0, dashboard.Seconds, "0"},
		{1.5e-7, dashboard.Seconds, "150 ns"},
		{0.01234, dashboard.Seconds, "12.3 ms"},
		{0.9999, dashboard.Seconds, "1 s"},
		{90, dashboard.Seconds, "90 s"},
		{40000, dashboard.Count, "40 K"},
		{0.25, dashboard.Rate, "0.25/s"},
		{math.NaN(), dashboard.Count, "–"},
	} {
		if got := format(c.v, c.unit); got != c.want {
			t.Errorf("%g %s: %q, not %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestAxis(t *testing.T) {
	if got := (axis{low: 0, high: 1150}).wide().ticks(); !slices.Equal(got, []float64{0, 500, 1000, 1500}) {
		t.Errorf("ticks %v", got)
	}
	a := axis{low: 0.0004, high: 0.03, log: true}.wide()
	if got := a.ticks(); len(got) != 4 || a.part(got[0]) != 0 || math.Abs(a.part(got[3])-1) > 1e-9 {
		t.Errorf("ticks %v of %+v", got, a)
	}
}

// Whatever the results are, the drawing is well-formed, has a place for each number, and
// the names of what is drawn.
func TestDraw(t *testing.T) {
	from := time.Unix(1e9, 0)
	r := Range{From: from, To: from.Add(time.Minute), Window: "1m"}
	samples := func(values ...float64) (s []model.SamplePair) {
		for i, v := range values {
			s = append(s, model.SamplePair{Timestamp: model.TimeFromUnixNano(from.Add(time.Duration(i) * time.Second).UnixNano()), Value: model.SampleValue(v)})
		}
		return s
	}
	labels := map[string]string{"target": "<a & b>", "instance": "n"}
	for name, series := range map[string][]Series{
		"values":  {{Name: "<a & b>", Labels: labels, Samples: samples(1, 2, math.NaN(), 0, 5)}},
		"zeros":   {{Name: "<a & b>", Labels: labels, Samples: samples(0, 0)}},
		"nothing": {{Name: "<a & b>", Labels: labels, Samples: samples(math.NaN())}},
		"buckets": {{Name: "<a & b>", Labels: labels, Histograms: []model.SampleHistogramPair{{
			Timestamp: samples(1)[0].Timestamp,
			Histogram: &model.SampleHistogram{Count: 5, Buckets: model.HistogramBuckets{{Lower: 0.001, Upper: 0.002, Count: 5}}},
		}}}},
	} {
		for _, row := range dashboard.Rows() {
			for _, p := range row.Panels {
				svg := string(Draw(p, series, r))
				for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
					if _, err := dec.Token(); errors.Is(err, io.EOF) {
						break
					} else if err != nil {
						t.Fatalf("%s of %s: %v\n%s", p.Title, name, err, svg)
					}
				}
				if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
					t.Errorf("%s of %s: a number that is none\n%s", p.Title, name, svg)
				}
				if named := p.Kind == dashboard.Lines || p.Kind == dashboard.Stack; named && name == "values" && !strings.Contains(svg, "&lt;a &amp; b&gt;") {
					t.Errorf("%s of %s: nobody is named\n%s", p.Title, name, svg)
				}
			}
		}
	}
}
