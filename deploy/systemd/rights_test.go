package systemd

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"massattach/deploy/internal/try"
)

// rights are what a service has.
type rights struct {
	capabilities []string // as CAP_SYS_PTRACE
	calls        []string // system calls
}

// daemon is massattach serve as the service manager starts it: as a user of its own, with
// some rights.
type daemon struct {
	address  string
	messages *net.UnixConn // what it tells the manager
	cmd      *exec.Cmd
}

func unitRights(t *testing.T) rights {
	t.Helper()
	r := rights{calls: allowed(t)}
	for _, d := range directives(t, "AmbientCapabilities") {
		r.capabilities = append(r.capabilities, strings.Fields(d)...)
	}
	bounding := strings.Fields(strings.Join(directives(t, "CapabilityBoundingSet"), " "))
	if !slices.Equal(bounding, r.capabilities) {
		t.Errorf("the bounding set is %v, the ambient one %v", bounding, r.capabilities)
	}
	return r
}

func startDaemon(t *testing.T, r rights, config string) *daemon {
	t.Helper()
	program := try.Massattach(t)
	dir := filepath.Dir(config)
	socket := filepath.Join(t.TempDir(), "notify")
	messages, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { messages.Close() })
	for path := socket; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	d := &daemon{address: freeAddress(t), messages: messages}

	capabilities := "-all"
	for _, c := range r.capabilities {
		capabilities += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	args := []string{"--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs",
		"--inh-caps=" + capabilities, "--ambient-caps=" + capabilities, "--bounding-set=" + capabilities}
	if r.calls != nil {
		args = append(args, "env", filter+"="+strings.Join(r.calls, " "), copySelf(t))
	}
	args = append(args, program, "serve", "--config", filepath.Base(config), "--web.listen-address", d.address)
	d.cmd = exec.Command("setpriv", args...)
	d.cmd.Dir = dir
	d.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=1000000")
	d.cmd.Stderr = try.Listen(t, "serve")
	try.Start(t, d.cmd)
	return d
}

// freeAddress has a port that is none of those that the system gives to connections,
// which might take it before the daemon does.
func freeAddress(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))); err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free: ", err)
	return ""
}

// copySelf copies this program to where others may run it.
func copySelf(t *testing.T) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(try.Massattach(t)), "systemd.test")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// hear waits for a message to the service manager.
func (d *daemon) hear(t *testing.T, want string) {
	t.Helper()
	if err := d.messages.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := d.messages.Read(buf)
		if err != nil {
			t.Fatalf("the manager was not told %s: %v", want, err)
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), want) {
			return
		}
	}
}

// metrics answers what it shows once the target has been probed.
func (d *daemon) metrics(t *testing.T) (page string) {
	t.Helper()
	try.Until(t, "it is probed", func() error {
		r, err := http.Get("http://" + d.address + "/metrics")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		page = string(text)
		if err == nil && !probed.MatchString(page) {
			err = fmt.Errorf("no probe yet")
		}
		return err
	})
	return page
}

// probed finds what is told of a probe that has ended. Converged is told while it is
// attached as well; the time of the probe at its end, which one that failed never sets.
var probed = regexp.MustCompile(`(?m)^massattach_converged\{.*\} 0$|^massattach_last_probe_timestamp_seconds\{`)

var mechanism = regexp.MustCompile(`massattach_stop_duration_seconds_count\{mechanism="(\w+)",style="notify"`)

// reached is what a probe of another user's process comes to, with some rights: the value
// of massattach_converged, and the mechanism of notify style.
func reached(t *testing.T, r rights, pid int) (converged, by string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "serve.yml")
	text := fmt.Sprintf("targets: [{name: t, pid: %d, every: 1h, arrest: [notify, interrupt]}]\n", pid)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, r, config)
	d.hear(t, "READY=1")
	d.hear(t, "WATCHDOG=1")
	page := d.metrics(t)
	if m := regexp.MustCompile(`massattach_converged\{.*\} (\d)`).FindStringSubmatch(page); m != nil {
		converged = m[1]
	}
	if m := mechanism.FindStringSubmatch(page); m != nil {
		by = m[1]
	}
	return converged, by
}

// With the rights of the unit a probe does all that root's does; without any one of its
// capabilities it does not, so that none is there for nothing.
func TestRights(t *testing.T) {
	try.Root(t)
	try.Need(t, "setpriv", "systemd-analyze")
	tg := try.StartTarget(t, 100)
	unit := unitRights(t)

	c, by := reached(t, unit, tg.PID)
	if c != "1" {
		t.Fatalf("converged is %s", c)
	}
	more := rights{capabilities: append([]string{"CAP_SYS_ADMIN", "CAP_SYS_NICE", "CAP_DAC_READ_SEARCH", "CAP_KILL"}, unit.capabilities...)}
	if c, want := reached(t, more, tg.PID); c != "1" || by != want {
		t.Errorf("notify style works by %q, and with more rights by %q", by, want)
	}
	for _, without := range unit.capabilities {
		if without != "CAP_SYS_PTRACE" && by == "ptrace" {
			continue // this kernel knows no better
		}
		less := unit
		less.capabilities = slices.DeleteFunc(slices.Clone(unit.capabilities), func(c string) bool { return c == without })
		if c, lesser := reached(t, less, tg.PID); c == "1" && lesser == by {
			t.Errorf("it does not need %s", without)
		}
	}
	if n := tg.EINTR(t); n > 0 {
		t.Errorf("%d calls returned EINTR", n)
	}
}
