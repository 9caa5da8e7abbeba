// Grafana writes massattach.json, the dashboard, from the list of panels in package
// dashboard; with --draw it draws each panel as SVG from what a Prometheus answers:
//
//	go run ./grafana
//	go run ./grafana --draw DIR --prometheus http://127.0.0.1:9090 --since 15m
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"massattach/deploy/grafana/chart"
	"massattach/deploy/grafana/dashboard"
)

func main() {
	out := flag.String("o", "grafana/massattach.json", "where to write the dashboard")
	dir := flag.String("draw", "", "draw the panels into this directory instead")
	server := flag.String("prometheus", "http://127.0.0.1:9090", "with --draw: whom to ask")
	since := flag.Duration("since", 15*time.Minute, "with --draw: how far to look back")
	flag.Parse()
	if err := run(*out, *dir, *server, *since); err != nil {
		fmt.Fprintln(os.Stderr, "grafana:", err)
		os.Exit(1)
	}
}

func run(out, dir, server string, since time.Duration) error {
	if dir != "" {
		now := time.Now()
		return chart.Dashboard(context.Background(), server, chart.Range{From: now.Add(-since), To: now, Window: "1m"}, dir)
	}
	text, err := dashboard.Grafana()
	if err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o644)
}
