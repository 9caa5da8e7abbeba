package target_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

// starterEnv makes the test binary start a target, print its pid and hang: a
// starter to be killed.
const starterEnv = "TARGET_TEST_STARTER"

func TestMain(m *testing.M) {
	target.Main()
	if mode := os.Getenv(starterEnv); mode != "" {
		starter(mode)
	}
	os.Exit(m.Run())
}

// starter never returns. Its mode is a Spec's Parent, none, or wake.
func starter(mode string) {
	s := target.Spec{Epoll: 3}
	switch mode {
	case "none":
	case "wake":
		runtime.LockOSThread()
		s.Wake, s.Sem = true, 1
		s.Signals = map[int]target.Disposition{int(syscall.SIGHUP): target.SigIgnore}
	default:
		s.Parent = mode
	}
	p, err := target.Start(context.Background(), s)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	a, err := p.Account(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	sem := -1
	if len(a.SysV.Sem) > 0 {
		sem = a.SysV.Sem[0]
	}
	fmt.Println(p.PID(), p.ParentPID(), sem)
	select {}
}

// background is a context that ends before the test binary does.
func background(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// start starts a target that ends with the test.
func start(t *testing.T, s target.Spec) *target.Target {
	t.Helper()
	p, err := target.Start(background(t), s)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func account(t *testing.T, p *target.Target) target.Account {
	t.Helper()
	a, err := p.Account(background(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// eventually waits for what must come true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
