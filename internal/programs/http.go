//go:build linux

package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// FreePort answers a port of 127.0.0.1 that is free, none of those that the system
// gives to who asks for any, wrk's connections among them.
func FreePort() (string, error) {
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			return port, l.Close()
		}
	}
	return "", errors.New("no port is free")
}

func (p *Program) givePort() (err error) {
	p.port, err = FreePort()
	return err
}

func (p *Program) url() string { return "http://127.0.0.1:" + p.port + "/" }

// get asks for a page of the program.
func (p *Program) get(ctx context.Context, page string) (string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+page, nil)
	if err != nil {
		return "", err
	}
	q.Close = true
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(r.Status)
	}
	return string(b), err
}

// serves waits until the program answers requests.
func (p *Program) serves(ctx context.Context) error {
	return p.await(ctx, func() error {
		_, err := p.get(ctx, "")
		return err
	})
}

// What wrk says at its end: "  6163 requests in 2.00s, 24.25MB read", and, if
// there is something to complain of, "  Socket errors: connect 0, read 3, …" and
// "  Non-2xx or 3xx responses: 2".
var (
	wrkDone = regexp.MustCompile(`(?m)^ *(\d+) requests in ([0-9.]+m?s|[0-9.]+m),`)
	wrkBad  = regexp.MustCompile(`(?m)^ *(Socket errors|Non-2xx).*$`)
)

// wrk loads the program's pages, one after the other, over 32 connections that
// are to last. A request that takes a minute has failed.
func wrk(ctx context.Context, p *Program, d time.Duration) (Load, error) {
	out, err := run(ctx, order{Argv: []string{"wrk", "--threads", "2", "--connections", "32", "--timeout", "60s",
		"--duration", seconds(d) + "s", p.url()}})
	if err != nil {
		return Load{}, err
	}
	m := wrkDone.FindStringSubmatch(out)
	if m == nil {
		return Load{}, fmt.Errorf("wrk says %q", out)
	}
	var l Load
	if l.Done, err = strconv.Atoi(m[1]); err != nil {
		return Load{}, err
	}
	if l.Elapsed, err = time.ParseDuration(m[2]); err != nil {
		return Load{}, err
	}
	if bad := wrkBad.FindAllString(out, -1); bad != nil {
		return l, errors.New("wrk: " + strings.TrimSpace(strings.Join(bad, "; ")))
	}
	return l, nil
}

// seconds rounds up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// collecting is wrk, of a program that collects garbage: that has to go on. A busy
// machine may be slow with it.
func (p *Program) collecting(ctx context.Context, d time.Duration) (Load, error) {
	before, err := p.collections(ctx)
	if err != nil {
		return Load{}, err
	}
	l, err := wrk(ctx, p, d)
	if err != nil {
		return l, err
	}
	return l, p.await(ctx, func() error {
		after, err := p.collections(ctx)
		if err == nil && after <= before {
			err = errors.New("garbage is not collected any more")
		}
		return err
	})
}

func (p *Program) collections(ctx context.Context) (int, error) {
	text, err := p.get(ctx, "collections")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}
