//go:build linux

package programs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Redis has an append-only file, which a thread of its own syncs, and forks a
// child every few seconds to save a snapshot.
var Redis = &Kind{
	Name:  "redis",
	Needs: map[string]string{"redis-server": "redis-server", "redis-benchmark": "redis-tools"},
	// "123:M 25 Nov 2026 16:00:00.000 # …" is a warning.
	complaint: regexp.MustCompile(`^\d+:[A-Z] [^#*.-]*[0-9.]+ # |(?i:error|fail|crash)`),
	stop:      syscall.SIGTERM,
	start:     startRedis,
	load:      loadRedis,
}

func startRedis(ctx context.Context, p *Program) error {
	err := p.launch([]string{"redis-server", "--port", "0", "--unixsocket", p.file("socket"), "--dir", p.dir,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "3 1", "--daemonize", "no"})
	if err != nil {
		return err
	}
	return p.await(ctx, func() error {
		c, err := net.Dial("unix", p.file("socket"))
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			return err
		}
		b := make([]byte, 64)
		n, err := c.Read(b)
		if err == nil && string(b[:n]) != "+PONG\r\n" {
			err = fmt.Errorf("redis says %q", b[:n])
		}
		return err
	})
}

// loadRedis runs redis-benchmark, which takes a number of requests and no time,
// as often as fits in d.
func loadRedis(ctx context.Context, p *Program, d time.Duration) (Load, error) {
	const requests = 10_000
	var l Load
	for l.Elapsed < d {
		out, err := run(ctx, order{Argv: []string{"redis-benchmark", "-s", p.file("socket"), "-t", "set,get,lpush,lpop",
			"-n", strconv.Itoa(requests), "-r", "10000", "-c", "50", "--csv"}})
		if err != nil {
			return l, err
		}
		// "test","rps",… and a line for each test: "SET","94339.62",…
		lines := strings.Split(strings.TrimSpace(out), "\n")
		for _, line := range lines {
			f := strings.Split(line, `","`)
			if len(f) < 2 || !strings.HasPrefix(line, `"`) {
				return l, errors.New("redis-benchmark: " + line)
			}
			rps, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				continue // the headline
			}
			l.Done += requests
			l.Elapsed += time.Duration(requests / rps * float64(time.Second))
		}
		if len(lines) < 2 {
			return l, fmt.Errorf("redis-benchmark says %q", out)
		}
	}
	return l, nil
}
