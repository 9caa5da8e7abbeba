//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/report"
	"massattach/internal/serve"
	"massattach/internal/target"
	"massattach/stopper/notify"
)

// daemon is a run of serve.
type daemon struct {
	*process
	base string // of its URLs
}

var answeringAt = regexp.MustCompile(`answering at (\S+)`)

// startServe runs serve, and answers when it does.
func startServe(t testing.TB, args ...string) *daemon {
	t.Helper()
	return serving(prepareServe(t, "massattach", args...))
}

func prepareServe(t testing.TB, program string, args ...string) *process {
	t.Helper()
	return prepare(t, program, append([]string{"serve", "--web.listen-address", "127.0.0.1:0"}, args...)...)
}

func serving(p *process) *daemon {
	p.t.Helper()
	p.start().says("answering at ")
	return &daemon{p, "http://" + answeringAt.FindStringSubmatch(p.stderr.String())[1]}
}

// get asks it, and decodes what it answers if v is not nil.
func (d *daemon) get(path string, v any) (status int) {
	d.t.Helper()
	answer, err := http.Get(d.base + path)
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.stderr.String())
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && v != nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		d.t.Fatalf("%s: %v: %s", path, err, b)
	}
	return answer.StatusCode
}

// targets are its targets by name.
func (d *daemon) targets() map[string]serve.Status {
	d.t.Helper()
	var all struct{ Targets []serve.Status }
	d.get("/api/v1/targets", &all)
	by := make(map[string]serve.Status)
	for _, s := range all.Targets {
		by[s.Name] = s
	}
	return by
}

// probes waits until a target has had n complete probes more.
func (d *daemon) probes(name string, n int) {
	d.t.Helper()
	before := d.targets()[name].Probes[serve.Complete]
	eventually(d.t, "complete probes of "+name, func() bool { return d.targets()[name].Probes[serve.Complete] >= before+n })
}

// bothStyles are those that work here.
func bothStyles(t testing.TB) string {
	if ok, err := condition(notify.TaskWork); err != nil || !ok {
		return "interrupt"
	}
	return "notify,interrupt"
}

// It probes, shows what it has found, and lets go when it is told to end.
func TestServe(t *testing.T) {
	for _, keep := range []bool{false, true} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprintf("keep=%v,%v", keep, sig), func(t *testing.T) {
				tg := startTarget(t, target.Mix(300))
				d := startServe(t, "--every", "100ms", "--arrest", bothStyles(t), fmt.Sprintf("--keep=%v", keep), strconv.Itoa(tg.PID()))
				name := strconv.Itoa(tg.PID())
				d.probes(name, 3)
				var r struct {
					report.Session
					Stops []report.Stop
				}
				if status := d.get("/api/v1/targets/"+name, &r); status != http.StatusOK || r.PID != tg.PID() || len(r.Stops) == 0 || r.Stop == nil {
					t.Errorf("%d, %+v", status, r)
				}
				if status := d.get("/-/ready", nil); status != http.StatusOK {
					t.Errorf("ready: %d", status)
				}
				time.Sleep(rand.N(100 * time.Millisecond)) // in the middle of something
				d.signal(sig)
				d.ends(exitComplete)
				isFree(t, tg)
				if a := account(t, tg); a.EINTR != 0 || a.Early != 0 {
					t.Errorf("disturbed: EINTR %d, early %d", a.EINTR, a.Early)
				}
			})
		}
	}
}

// Killed in the middle of what it does, it leaves nobody stopped or traced.
func TestServeKill(t *testing.T) {
	rounds := 4
	if campaign() {
		rounds = 200
	}
	tg := startTarget(t, target.Mix(1_000))
	for i := range rounds {
		args := []string{"--every", "100ms", "--arrest", bothStyles(t), strconv.Itoa(tg.PID())}
		if i%2 == 1 {
			args = append(args, "--keep")
		}
		d := startServe(t, args...)
		d.probes(strconv.Itoa(tg.PID()), 1)
		time.Sleep(rand.N(250 * time.Millisecond))
		_ = d.Process.Kill()
		d.died()
		isFree(t, tg)
		lives(t, tg, false)
	}
	eventually(t, "the watchdogs end", func() bool { return len(watchdogs()) == 0 })
}

// One that does not let go of whom it has stopped is ended by its watchdog.
func TestServeStuck(t *testing.T) {
	tg := startTarget(t, target.Mix(100))
	d := serving(prepareServe(t, "massattach-stuck", "--every", "100ms", "--deadline", "1s", "--arrest", "interrupt", strconv.Itoa(tg.PID())))
	eventually(t, "it is ended", d.hasEnded)
	if status, ok := d.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("%v", d.ProcessState)
	}
	isFree(t, tg)
	lives(t, tg, false)
}

// SIGHUP reads the file of targets again. A bad one changes nothing, and it says why.
func TestServeReload(t *testing.T) {
	a, b := startTarget(t, target.Mix(60)), startTarget(t, target.Mix(60))
	config := filepath.Join(t.TempDir(), "targets.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf("targets: [{name: a, pid: %d}]", a.PID()))
	d := startServe(t, "--every", "100ms", "--keep", "--config", config, "--match", "comm=no such process")
	d.probes("a", 1)

	write("targets: [{name: a, pid: 1, evry: 1s}]")
	d.signal(syscall.SIGHUP)
	d.says("line 1: field evry does not exist")
	d.says("hint: nothing has changed")
	write("targets: [{match: {comm: 'no such process'}}]")
	d.signal(syscall.SIGHUP)
	d.says("two targets go by the name of comm=no such process")
	if all := d.targets(); len(all) != 2 || !all["a"].Attached || all["a"].PID != a.PID() {
		t.Errorf("%+v", all)
	}

	write(fmt.Sprintf("targets: [{name: b, pid: %d}]", b.PID()))
	d.signal(syscall.SIGHUP)
	d.says("was read again")
	isFree(t, a)
	d.probes("b", 1)
	if all := d.targets(); len(all) != 2 || !all["b"].Attached {
		t.Errorf("%+v", all)
	}
	d.signal(syscall.SIGTERM)
	d.ends(exitComplete)
	isFree(t, b)
}

// systemd hears when it is ready, reloads, lives, and ends.
func TestServeNotify(t *testing.T) {
	needTracing(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	p := prepareServe(t, "massattach", "--match", "comm=no such process")
	p.Env = append(p.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
	p.start()
	hears := func(want string) {
		t.Helper()
		pattern := regexp.MustCompile("^" + want + "$")
		_ = socket.SetReadDeadline(time.Now().Add(patience))
		for b := make([]byte, 4096); ; {
			n, err := socket.Read(b)
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			if pattern.Match(b[:n]) {
				return
			}
			if string(b[:n]) != "WATCHDOG=1" {
				t.Fatalf("heard %q, want %s", b[:n], want)
			}
		}
	}
	hears("READY=1")
	hears("WATCHDOG=1")
	p.signal(syscall.SIGHUP)
	hears(`RELOADING=1\nMONOTONIC_USEC=\d+\n`)
	hears("READY=1")
	hears("WATCHDOG=1")
	p.signal(syscall.SIGTERM)
	hears("STOPPING=1")
	p.ends(exitComplete)
}

// It answers at a socket that systemd has opened.
func TestServeSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	path, err := exec.LookPath("massattach")
	if err != nil {
		t.Fatal(err)
	}
	// LISTEN_PID is the number of who reads it.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --web.systemd-socket --match comm=nobody`, path)
	var said output
	cmd.Stderr, cmd.ExtraFiles = &said, []*os.File{socket}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: patience}).Get("http://" + l.Addr().String() + "/-/healthy")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", answer, err)
	} else {
		answer.Body.Close()
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
}

// A socket that accepts no connections is refused in words.
func TestServeDatagramSocket(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	path, err := exec.LookPath("massattach")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --web.systemd-socket --match comm=nobody`, path)
	cmd.ExtraFiles = []*os.File{socket}
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != int(exitError) || !strings.Contains(string(out), "ListenStream=") {
		t.Errorf("%v: %s", err, out)
	}
}

// What it says on the way is a line when something has changed.
func TestServeSays(t *testing.T) {
	tg := startTarget(t, target.Mix(60))
	name := strconv.Itoa(tg.PID())
	other := attach(t, tg)
	d := startServe(t, "--every", "100ms", name)
	eventually(t, "three skipped probes", func() bool { return d.targets()[name].Probes[serve.Skipped] >= 3 })
	if n := strings.Count(d.stderr.String(), "already traced by"); n != 1 {
		t.Errorf("said %d times:\n%s", n, d.stderr.String())
	}
	other.signal(syscall.SIGTERM)
	d.probes(name, 2)
	if err := tg.Kill(); err != nil {
		t.Fatal(err)
	}
	d.says("has ended")
	d.signal(syscall.SIGTERM)
	d.ends(exitComplete)
}
