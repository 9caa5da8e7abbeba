//go:build linux

package main

import (
	"strconv"
	"testing"
	"time"

	"massattach/internal/programs"
)

// The command attaches to all processes of a server under load: they don't
// notice, nor do those who talk to it.
func TestServer(t *testing.T) {
	needTracing(t)
	if err := programs.Nginx.Missing(); err != nil {
		if inCI() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	server, err := programs.Nginx.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	pids, err := server.PIDs()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"attach", "--for", "500ms"}
	for _, pid := range pids {
		args = append(args, strconv.Itoa(pid))
	}
	tool := prepare(t, "massattach", args...).start()
	if _, err := server.Load(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	tool.ends(exitComplete)
	if err := server.Check(); err != nil {
		t.Error(err)
	}
	if err := server.Free(); err != nil {
		t.Error(err)
	}
}
