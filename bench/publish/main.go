// Publish makes BENCHMARKS.md and its charts of the report of a full run:
//
//	go run ./bench/publish < bench/run.json
//
// To renew all of it, on a machine that does nothing else, as root:
//
//	bash bench/publish/renew.sh
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"massattach/internal/report"
)

//go:embed BENCHMARKS.md.tmpl
var skeleton string

// charts is where the pictures are, beside BENCHMARKS.md.
const charts = "bench/charts"

func main() {
	if err := publish(os.Stdin, "."); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

// publish reads a report and writes into the directory of the module.
func publish(from io.Reader, root string) error {
	b := new(report.Bench)
	if err := json.NewDecoder(from).Decode(b); err != nil {
		return fmt.Errorf("this is not the report of massattach bench --format json: %w", err)
	}
	dir := filepath.Join(root, charts)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var drawn []chart
	for _, c := range all(b) {
		ok, err := c.draw(filepath.Join(dir, c.File))
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		if ok {
			drawn = append(drawn, c)
		}
	}
	page, err := markdown(b, drawn)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "BENCHMARKS.md"), page, 0o666)
}

// markdown is the page.
func markdown(b *report.Bench, drawn []chart) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"table":   func(c report.BenchCase) string { return table(b, c) },
		"felt":    func(c report.BenchCase) string { return felt(b, c) },
		"whys":    func(c report.BenchCase) string { return whys(b, c) },
		"profile": func(c report.BenchCase) string { return profile(b, c) },
		"seconds": func(v float64) string { return report.Figure(report.FigureSeconds, v) },
		"bytes":   func(v int64) string { return report.Bytes(float64(v)) },
		"span":    report.Span,
		"chart": func(name string) string {
			for _, c := range drawn {
				if c.File == name {
					return fmt.Sprintf("![%s](%s/%s)\n", c.Title, charts, c.File)
				}
			}
			return ""
		},
		"headline": func() string { return headline(b) },
		"loses":    func() string { return loses(b) },
		"above":    func() string { return above(b) },
	}).Parse(skeleton)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// rows is a table of Markdown.
func rows(heads []string, all [][]string) string {
	var s strings.Builder
	line := func(cells []string) {
		s.WriteString("| " + strings.ReplaceAll(strings.Join(cells, " | "), "\n", " ") + " |\n")
	}
	line(heads)
	s.WriteString("|---|" + strings.Repeat("--:|", len(heads)-1) + "\n")
	for _, r := range all {
		line(r)
	}
	return s.String()
}
