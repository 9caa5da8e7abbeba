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
	// A module of its own, of what they are made from, with the tool of the
	// module's go.mod.
	const root = "../.."
	module := t.TempDir()
	for _, pattern := range []string{"go.mod", "go.sum", "internal/bpf/*.c", "internal/bpf/*.h", "bench/raw/*.c", "*/*/generate.go"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range paths {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			copyFile(t, path, filepath.Join(module, name))
		}
	}
	cmd := exec.Command("go", "generate", "./...")
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go generate: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(module, "*/*/*_*.[go]*"))
	if err != nil || len(made) == 0 {
		t.Fatal("nothing was made", err)
	}
	for _, path := range made {
		name, err := filepath.Rel(module, path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source makes: go generate ./%s", name, filepath.Dir(name))
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o777)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
