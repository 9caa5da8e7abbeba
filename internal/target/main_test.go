package target_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"massattach/internal/target"
)

// starterEnv makes the test binary start a target, print its pid and hang: a
// starter to be killed.
const starterEnv = "TARGET_TEST_STARTER"

func TestMain(m *testing.M) {
	target.Main()
	if os.Getenv(starterEnv) != "" {
		p, err := target.Start(context.Background(), target.Spec{Epoll: 3, Parent: strings.TrimPrefix(os.Getenv(starterEnv), "none")})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID(), p.ParentPID())
		select {}
	}
	os.Exit(m.Run())
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
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}
