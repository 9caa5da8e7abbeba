//go:build linux

package programs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// GoServer is a server of net/http beside a loop that only a signal preempts:
// each collection of garbage, some dozens a second, sends it a SIGURG, and waits
// for it; one that is lost ends the program's collections, and soon all else.
var GoServer = &Kind{
	Name:      "goserver",
	Needs:     map[string]string{"wrk": "wrk"},
	complaint: regexp.MustCompile(`error|panic|fatal|DATA RACE`),
	stop:      syscall.SIGTERM,
	start:     startGoServer,
	load:      func(ctx context.Context, p *Program, d time.Duration) (Load, error) { return p.collecting(ctx, d) },
}

func startGoServer(ctx context.Context, p *Program) error {
	if err := p.givePort(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := p.launch([]string{self, "127.0.0.1:" + p.port}, envRole+"="+roleGoServer, "GOMAXPROCS=4"); err != nil {
		return err
	}
	return p.serves(ctx)
}

// serve is the server itself.
func serve(address string) error {
	debug.SetGCPercent(20)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go tight()
	go tick()
	http.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		b := make([]byte, 32<<10)
		b[len(b)/2] = 1
		fmt.Fprintf(w, "%x\n", sha256.Sum256(b[:1<<10]))
	})
	http.HandleFunc("/collections", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprint(w, m.NumGC)
	})
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		os.Exit(0)
	}()
	return http.Serve(l, nil)
}

// tight loops for 50 ms at a time, without a call that could be preempted
// otherwise, and then lets others have the processor.
func tight() {
	for n := uint64(1); ; {
		for range 50_000_000 {
			n ^= n << 13
			n ^= n >> 7
			n ^= n << 17
		}
		if n == 0 {
			fmt.Fprintln(os.Stderr, "error: xorshift came to 0")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// tick finds timers that go off too early.
func tick() {
	for {
		begin := time.Now()
		time.Sleep(3 * time.Millisecond)
		if d := time.Since(begin); d < 3*time.Millisecond {
			fmt.Fprintln(os.Stderr, "error: slept", d)
		}
	}
}
