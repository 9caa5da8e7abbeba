package chart

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"massattach/deploy/grafana/dashboard"
)

// A Range is the time that is drawn.
type Range struct {
	From, To time.Time
	Window   string // over which rates are taken, in PromQL
}

// points is how many of them a curve has.
const points = 120

func (r Range) step() time.Duration {
	return max(time.Second, r.To.Sub(r.From)/points).Round(time.Second)
}

// A Series is one result of one query: samples, or histograms.
type Series struct {
	Query      int // of the panel
	Labels     map[string]string
	Name       string
	Samples    []model.SamplePair
	Histograms []model.SampleHistogramPair
}

// empty says whether there is nothing to draw.
func (s Series) empty() bool {
	return len(s.Histograms) == 0 && !slices.ContainsFunc(s.Samples, func(p model.SamplePair) bool {
		return !math.IsNaN(float64(p.Value))
	})
}

// last is the newest sample.
func (s Series) last() float64 {
	if len(s.Samples) == 0 {
		return math.NaN()
	}
	return float64(s.Samples[len(s.Samples)-1].Value)
}

// Connect answers the API of the Prometheus at url.
func Connect(url string) (prometheus.API, error) {
	c, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		return nil, err
	}
	return prometheus.NewAPI(c), nil
}

// Fetch runs the queries of a panel. A query that has no data, or nothing but NaN,
// is an error.
func Fetch(ctx context.Context, server prometheus.API, p dashboard.Panel, r Range) ([]Series, error) {
	var all []Series
	for i, q := range p.Queries {
		some, err := fetch(ctx, server, p, q, r)
		if err != nil {
			return nil, fmt.Errorf("panel %d, %s: %s: %w", p.ID, p.Title, q.PromQL(r.Window), err)
		}
		for _, s := range some {
			s.Query, s.Name = i, q.Name(s.Labels)
			all = append(all, s)
		}
	}
	return all, nil
}

func fetch(ctx context.Context, server prometheus.API, p dashboard.Panel, q dashboard.Query, r Range) ([]Series, error) {
	var v model.Value
	var err error
	if p.Kind == dashboard.Number || p.Kind == dashboard.Table {
		v, _, _, err = server.Query(ctx, q.PromQL(r.Window), r.To)
	} else {
		v, _, _, err = server.QueryRange(ctx, q.PromQL(r.Window), prometheus.Range{Start: r.From, End: r.To, Step: r.step()})
	}
	if err != nil {
		return nil, err
	}
	var all []Series
	switch v := v.(type) {
	case model.Vector:
		for _, s := range v {
			all = append(all, Series{Labels: labels(s.Metric), Samples: []model.SamplePair{{Timestamp: s.Timestamp, Value: s.Value}}})
		}
	case model.Matrix:
		for _, s := range v {
			all = append(all, Series{Labels: labels(s.Metric), Samples: s.Values, Histograms: s.Histograms})
		}
	}
	if !slices.ContainsFunc(all, func(s Series) bool { return !s.empty() }) {
		return nil, fmt.Errorf("no data")
	}
	return all, nil
}

func labels(m model.Metric) map[string]string {
	l := make(map[string]string)
	for k, v := range m {
		l[string(k)] = string(v)
	}
	return l
}

// Dashboard draws all panels into dir, each as ID.svg.
func Dashboard(ctx context.Context, url string, r Range, dir string) error {
	server, err := Connect(url)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, row := range dashboard.Rows() {
		for _, p := range row.Panels {
			series, err := Fetch(ctx, server, p, r)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.svg", p.ID)), Draw(p, series, r), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
