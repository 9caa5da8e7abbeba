package massattach_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"massattach/threadset"
)

// floors is the house of ARCHITECTURE.md, top floor first. A package imports
// any on a lower floor, none on its own or above.
var floors = [][]string{
	{"massattach/cmd/massattach", "massattach/bench/publish"},
	{"massattach/bench", "massattach/internal/serve", "massattach/internal/doctor"},
	{"massattach/bench/raw", "massattach/bench/page"},
	{"massattach/internal/report"},
	{"massattach/metrics"},
	{"massattach/stopper"},
	{"massattach/stopper/notify"},
	{"massattach/attacher"},
	{"massattach/internal/watchdog"},
	{"massattach/internal/bpf", "massattach/internal/affinity"},
	{"massattach/procfs", "massattach/threadset"},
	{"massattach/internal/sys"},
}

// exempt are the test target, which the command, tests and benchmarks import,
// the real programs of tests and benchmarks, and the fake, which is part of tests.
// The first two import nothing of ours.
var exempt = map[string]bool{
	"massattach/internal/target":       true,
	"massattach/internal/programs":     true,
	"massattach/attacher/attachertest": true,
}

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

// The imports of every package follow the house.
func TestHouse(t *testing.T) {
	floor := make(map[string]int)
	for i, ps := range floors {
		for _, p := range ps {
			floor[p] = i
		}
	}
	for _, p := range packages(t) {
		if p.ImportPath == "massattach" || exempt[p.ImportPath] {
			if p.ImportPath == "massattach/internal/target" || p.ImportPath == "massattach/internal/programs" {
				for _, imp := range p.Imports {
					if strings.HasPrefix(imp, "massattach") {
						t.Errorf("%s imports %s: it must not share code with what it judges", p.ImportPath, imp)
					}
				}
			}
			continue
		}
		mine, ok := floor[p.ImportPath]
		if !ok {
			t.Errorf("%s has no floor in the house", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "massattach/") || imp == "massattach/internal/target" {
				continue
			}
			if theirs, ok := floor[imp]; !ok || theirs <= mine {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imp)
			}
		}
	}
}

// Package unsafe is used in internal/sys alone, and in the one file of the
// target that makes its threads.
func TestUnsafe(t *testing.T) {
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			if p.ImportPath == "massattach/internal/sys" || p.ImportPath == "massattach/internal/target" && f == "raw_linux.go" {
				continue
			}
			if source(t, p, f, `"unsafe"`) {
				t.Errorf("%s/%s uses unsafe", p.ImportPath, f)
			}
		}
	}
}

// The ptrace functions of internal/sys are called from one file of attacher,
// and from the bare loops that it is compared with.
func TestPtraceInOnePlace(t *testing.T) {
	requests := []string{"Seize", "Interrupt", "Cont", "Listen", "Detach", "EventMessage", "GetSiginfo",
		"SetSiginfo", "GetRegs", "SetRegs", "GetFrame", "Result", "SetResult", "Restart", "Look", "Reap"}
	for _, p := range packages(t) {
		if p.ImportPath == "massattach/bench/raw" || p.ImportPath == "massattach/internal/sys" {
			continue
		}
		for _, f := range p.GoFiles {
			if p.ImportPath == "massattach/attacher" && f == "kernel_linux.go" {
				continue
			}
			for _, r := range requests {
				if source(t, p, f, "sys."+r+"(") {
					t.Errorf("%s/%s calls sys.%s", p.ImportPath, f, r)
				}
			}
		}
	}
}

func source(t *testing.T, p pkg, file, s string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.Dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), s)
}

// ARCHITECTURE.md shows the phases as they are.
func TestDiagram(t *testing.T) {
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), threadset.Diagram()) {
		t.Errorf("ARCHITECTURE.md lacks this diagram:\n%s", threadset.Diagram())
	}
}
