//go:build linux && (amd64 || arm64)

package bpf_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The committed objects are what their sources make.
func TestGenerated(t *testing.T) {
	lacks := func(what string) {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs " + what)
		}
		t.Skip("needs " + what)
	}
	version, err := exec.Command("clang", "--version").Output()
	if err != nil || !strings.Contains(string(version), "clang version 14.") {
		lacks("clang 14")
	}
	if _, err := os.Stat("/usr/include/bpf/bpf_helpers.h"); err != nil {
		lacks("libbpf-dev")
	}
	dir := t.TempDir()
	for _, pattern := range []string{"*.c", "*.h", "generate.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatal(pattern, err)
		}
		for _, name := range names {
			copyFile(t, name, filepath.Join(dir, name))
		}
	}
	// Where the tool of the module's go.mod is to be had.
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		copyFile(t, filepath.Join(root, name), filepath.Join(dir, name))
	}
	cmd := exec.Command("go", "generate", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go generate: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*_*.[go]*"))
	if err != nil || len(made) == 0 {
		t.Fatal("nothing was made", err)
	}
	for _, path := range made {
		name := filepath.Base(path)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source makes: go generate ./internal/bpf", name)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
