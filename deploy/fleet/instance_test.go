package fleet

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"massattach/deploy/internal/try"
)

// instance is massattach serve in a network namespace of its own.
type instance struct {
	name    string // its instance label
	address string
}

// watch is one target of its configuration.
type watch struct {
	Name   string   `json:"name"`
	PID    int      `json:"pid"`
	Every  string   `json:"every"`
	Arrest []string `json:"arrest"`
	// Set by startInstance.
	Deadline string `json:"deadline"`
}

// bridge makes what connects the namespaces, once.
var bridge = sync.OnceValue(func() error {
	for _, args := range []string{
		"link set lo up",
		"link add fleet type bridge",
		"addr add 10.77.0.1/16 dev fleet",
		"link set fleet up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
})

// startInstance starts the n-th instance, from 1 on.
func startInstance(t *testing.T, n int, targets []watch) *instance {
	t.Helper()
	if err := bridge(); err != nil {
		t.Fatal(err)
	}
	for i := range targets {
		targets[i].Deadline = "1m" // only what hangs takes so long
	}
	text, err := yaml.Marshal(map[string]any{"targets": targets})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "serve.yml")
	if err := os.WriteFile(config, text, 0o644); err != nil {
		t.Fatal(err)
	}
	ip := fmt.Sprintf("10.77.1.%d", n)
	in := &instance{name: fmt.Sprintf("node-%02d", n), address: ip + ":19847"}
	cmd := exec.Command(try.Massattach(t), "serve", "--config", config, "--web.listen-address", ":19847")
	cmd.Stderr = try.Listen(t, in.name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET}
	try.Start(t, cmd)
	pid, port := strconv.Itoa(cmd.Process.Pid), fmt.Sprintf("node%d", n)
	command(t, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid)
	command(t, "ip", "link", "set", port, "master", "fleet", "up")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", port).Run() }) // gone with its namespace
	command(t, "nsenter", "-t", pid, "-n", "ip", "addr", "add", ip+"/16", "dev", "eth0")
	command(t, "nsenter", "-t", pid, "-n", "ip", "link", "set", "eth0", "up")
	try.Until(t, in.name+" answers", func() error {
		_, err := in.get("/-/ready")
		return err
	})
	return in
}

// get answers a page.
func (in *instance) get(path string) ([]byte, error) {
	client := http.Client{Timeout: time.Minute}
	r, err := client.Get("http://" + in.address + path)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, r.Status, body)
	}
	return body, err
}
