//go:build linux && (amd64 || arm64)

package notify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"massattach/internal/sys"
	"massattach/internal/target"
	"massattach/stopper/notify"
)

// surrounded is what other processes of the tests do, by name.
var surrounded = map[string]func() error{
	"arrest":    arrestThere,
	"armed":     armAndWait,
	"supported": supportedThere,
	"collect":   collect,
	"fault":     fault,
}

// In a PID namespace of its own threads have other numbers than the kernel's.
func TestPIDNamespace(t *testing.T) {
	needRoot(t)
	needTaskWork(t)
	if out, err := command(t, "arrest", "unshare", "--pid", "--fork", "--mount-proc").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// arrestThere arrests a thread of a target, and lets it go.
func arrestThere() error {
	p, err := target.Start(context.Background(), target.Spec{Sys: 1})
	if err != nil {
		return err
	}
	defer p.Close()
	kinds, err := p.List(context.Background())
	if err != nil {
		return err
	}
	tid := kinds[target.KindSys][0]
	if tid > 1000 {
		return fmt.Errorf("thread %d: this is no namespace of its own", tid)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- arrestOne(tid)
	}()
	return <-done
}

func arrestOne(tid int) error {
	m, err := notify.Open(os.Getpid(), notify.TaskWork)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := sys.Seize(tid, 0); err != nil {
		return err
	}
	if err := m.Arm([]int{tid}); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		ws, err := sys.Reap(tid)
		if err != nil {
			return err
		}
		if ws.TID == tid {
			break
		}
		if time.Now().After(end) {
			return errors.New("it does not stop")
		}
	}
	var si sys.Siginfo
	if err := sys.GetSiginfo(tid, &si); err != nil || !si.Ours() {
		return fmt.Errorf("stopped by %v, %v", si, err)
	}
	if reported, err := m.Disarm([]int{tid}); err != nil || len(reported) != 1 {
		return fmt.Errorf("reported: %v, %v", reported, err)
	}
	return sys.Detach(tid, 0)
}

// What was armed by a process that is killed is so no more: works and programs go
// with it. Of those that are stopped by then the signal does nothing.
func TestKilled(t *testing.T) {
	needTaskWork(t)
	for _, blocked := range []map[string][]int{nil, {target.KindSem: {urg, winch, chld}, target.KindSys: {urg, winch, chld}}} {
		p := start(t, target.Spec{Sem: 50, Sys: 1, Orphan: true, Block: blocked})
		for range size(5, 50) {
			before := account(t, p)
			cmd := command(t, "armed")
			var tids []string
			for _, tid := range under(t, p) {
				tids = append(tids, strconv.Itoa(tid))
			}
			cmd.Env = append(cmd.Env, "TIDS="+strings.Join(tids, ","))
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, err := out.Read(make([]byte, 16)); n == 0 {
				t.Fatal(err)
			}
			wake(t, before.SysV.Sem)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed
			eventually(t, "all go on", func() bool {
				a := account(t, p)
				return a.Early+a.EINTR >= before.Early+before.EINTR+50 && a.Calls > before.Calls
			})
			if a := account(t, p); blocked == nil && a.EINTR != 0 {
				t.Errorf("%d EINTR", a.EINTR)
			}
		}
		for _, tid := range under(t, p) {
			if s := status(t, p, tid, "SigPnd"); s != "0000000000000000" {
				t.Errorf("thread %d is left with pending signals %s", tid, s)
			}
		}
	}
}

// armAndWait arms, says so, and stays.
func armAndWait() error {
	var tids []int
	for field := range strings.SplitSeq(os.Getenv("TIDS"), ",") {
		tid, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		tids = append(tids, tid)
	}
	m, err := notify.Open(os.Getpid(), notify.TaskWork)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	for _, tid := range tids {
		if err := sys.Seize(tid, 0); err != nil {
			return err
		}
	}
	if err := m.Arm(tids); err != nil {
		return err
	}
	for {
		look, err := m.Look()
		if err != nil {
			return err
		}
		for _, tid := range look.Mute {
			if err := sys.Interrupt(tid); err != nil {
				return err
			}
		}
		if len(look.Pending) == 0 {
			break
		}
	}
	fmt.Println("armed")
	time.Sleep(time.Minute)
	return nil
}

// Without the capabilities for BPF it is the mechanism ptrace that works, and what
// the other one takes is said.
func TestUnprivileged(t *testing.T) {
	needRoot(t)
	for _, tc := range []struct{ caps, want string }{
		{"+sys_ptrace", notify.Ptrace},
		{"+sys_ptrace,+bpf,+perfmon", notify.TaskWork},
	} {
		if tc.want == notify.TaskWork {
			needTaskWork(t)
		}
		// A program that another user may run.
		out, err := command(t, "supported", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
			"--inh-caps=-all,"+tc.caps, "--ambient-caps=-all,"+tc.caps, "--bounding-set=-all,"+tc.caps).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != tc.want {
			t.Errorf("%s: %v: %s", tc.caps, err, got)
		}
	}
}

// supportedThere prints which mechanism is the best, and checks what is said of it.
func supportedThere() error {
	m, err := notify.Open(os.Getpid(), "")
	if err != nil {
		return err
	}
	fmt.Println(m.Name())
	works := false
	for _, s := range notify.Supported() {
		if s.Err == nil && !works && s.Name != m.Name() {
			return fmt.Errorf("%s works, but %s was chosen", s.Name, m.Name())
		}
		works = works || s.Err == nil
		_, err := notify.Open(os.Getpid(), s.Name)
		if (err == nil) != (s.Err == nil) || err != nil && (!errors.Is(err, notify.ErrNotSupported) || !strings.Contains(err.Error(), "CAP_BPF")) {
			return fmt.Errorf("%s: %w, %v", s.Name, err, s.Err)
		}
	}
	return m.Close()
}
