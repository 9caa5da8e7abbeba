package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run publishes the report in a file into a directory of its own.
func run(t *testing.T, file string) (dir string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir = t.TempDir()
	if err := publish(f, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPublish(t *testing.T) {
	dir := run(t, "../../internal/report/testdata/bench.json")
	page, err := os.ReadFile(filepath.Join(dir, "BENCHMARKS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"| **massattach** |", "timeout", "## session", "bench/charts/session.svg", "gdb -nx", "- detach: 1.40 (", " at 10,000", "EINTR of strace: 4,000 in epoll_wait", "- session, at 10,000 threads: memory, "} {
		if !strings.Contains(string(page), s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	if strings.Contains(string(page), "<no value>") {
		t.Error("the page has a hole")
	}
	pictures, _ := filepath.Glob(filepath.Join(dir, "bench/charts/*.svg"))
	if len(pictures) < 7 {
		t.Errorf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		f, err := os.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		for dec := xml.NewDecoder(f); err == nil; {
			_, err = dec.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", p, err)
		}
		f.Close()
	}
}

// BENCHMARKS.md is what bench/run.json makes.
func TestBenchmarks(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(run(t, "../run.json"), "BENCHMARKS.md"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../BENCHMARKS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("BENCHMARKS.md is not that of bench/run.json: go run ./bench/publish < bench/run.json")
	}
}
