package systemd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"massattach/deploy/internal/try"
)

const file = "massattach.service"

// directives answers what the unit assigns to a key, in order.
func directives(t *testing.T, key string) (values []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			values = append(values, v)
		}
	}
	return values
}

func TestVerify(t *testing.T) {
	try.Need(t, "systemd-analyze")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// It looks for the program, which is nowhere installed here.
	unit := filepath.Join(t.TempDir(), file)
	text = bytes.Replace(text, []byte("=/usr/bin/massattach "), []byte("="+try.Massattach(t)+" "), 1)
	if err := os.WriteFile(unit, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSecurity(t *testing.T) {
	try.Need(t, "systemd-analyze")
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=50", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}

// The configuration beside it is one that serve takes.
func TestConfig(t *testing.T) {
	try.Root(t)
	try.Need(t, "setpriv", "systemd-analyze")
	config := filepath.Join(t.TempDir(), "serve.yml")
	text, err := os.ReadFile("serve.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, text, 0o644); err != nil {
		t.Fatal(err)
	}
	startDaemon(t, unitRights(t), config).hear(t, "READY=1")
}

// allowed answers the system calls that SystemCallFilter= leaves, by the lists of
// systemd's own.
func allowed(t *testing.T) []string {
	t.Helper()
	calls := make(map[string]bool)
	for _, d := range directives(t, "SystemCallFilter") {
		list, denied := strings.CutPrefix(d, "~")
		for _, name := range strings.Fields(list) {
			for _, call := range expand(t, name) {
				calls[call] = !denied
			}
		}
	}
	var names []string
	for name, ok := range calls {
		if ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// expand answers the system calls of a group, or the one that it is.
func expand(t *testing.T, name string) (calls []string) {
	t.Helper()
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	out, err := exec.Command("systemd-analyze", "--no-pager", "syscall-filter", name).Output()
	if err != nil {
		t.Fatal(fmt.Errorf("systemd-analyze syscall-filter %s: %w", name, err))
	}
	for line := range strings.Lines(string(out)) {
		member := strings.TrimSpace(line)
		if member == "" || member == name || strings.HasPrefix(member, "#") {
			continue
		}
		calls = append(calls, expand(t, member)...)
	}
	return calls
}
