//go:build linux

package programs

import (
	"context"
	"errors"
	"fmt"
	"os"
	osuser "os/user"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres is PostgreSQL with pgbench's tables. Its load is eight connections
// that last, which count, and beside them twenty connections a second, a process
// each, that come for one transaction.
var Postgres = &Kind{
	Name: "postgres",
	Needs: map[string]string{"postgres": "postgresql", "initdb": "postgresql", "pgbench": "postgresql",
		"psql": "postgresql-client"},
	complaint: regexp.MustCompile(`\b(WARNING|ERROR|FATAL|PANIC)\b|terminated`),
	stop:      syscall.SIGINT, // a fast shutdown
	start:     startPostgres,
	load:      loadPostgres,
}

func startPostgres(ctx context.Context, p *Program) error {
	if os.Geteuid() == 0 {
		if err := p.leaveRoot(); err != nil {
			return err
		}
	}
	data := p.file("data")
	initdb, err := find("initdb")
	if err != nil {
		return err
	}
	postgres, err := find("postgres")
	if err != nil {
		return err
	}
	if _, err := run(ctx, order{Argv: []string{initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"},
		Dir: p.dir, User: p.owner, Remove: p.dir}); err != nil {
		return err
	}
	if err := p.launch([]string{postgres, "-D", data, "-k", p.dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "shared_buffers=64MB", "-c", "max_wal_size=256MB", "-c", "checkpoint_timeout=30s"}); err != nil {
		return err
	}
	if err := p.await(ctx, func() error {
		_, err := run(ctx, order{Argv: []string{"psql", "-h", p.dir, "-U", "postgres", "-c", "select 1"}})
		return err
	}); err != nil {
		return err
	}
	_, err = p.pgbench(ctx, "-i", "-s", "4", "-q")
	return err
}

// leaveRoot has the program run, and own its directory, as somebody else.
func (p *Program) leaveRoot() error {
	u, err := osuser.Lookup("postgres")
	if err != nil {
		if u, err = osuser.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	p.owner = &user{UID: uint32(uid), GID: uint32(gid)}
	return os.Chown(p.dir, uid, gid)
}

func (p *Program) pgbench(ctx context.Context, args ...string) (string, error) {
	pgbench, err := find("pgbench")
	if err != nil {
		return "", err
	}
	return run(ctx, order{Argv: append([]string{pgbench, "-h", p.dir, "-U", "postgres"}, append(args, "postgres")...)})
}

// What pgbench says at its end.
var (
	pgbenchDone = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchRate = regexp.MustCompile(`(?m)^tps = ([0-9.]+) `)
	pgbenchBad  = regexp.MustCompile(`(?im)^.*(\berror\b|fatal|abort|lost|terminated|failed transactions: [1-9]).*$`)
)

func loadPostgres(ctx context.Context, p *Program, d time.Duration) (Load, error) {
	type result struct {
		out string
		err error
	}
	passing := make(chan result, 1)
	go func() {
		out, err := p.pgbench(ctx, "-n", "-C", "-S", "-c", "1", "-R", "20", "-T", seconds(d))
		passing <- result{out, err}
	}()
	out, err := p.pgbench(ctx, "-n", "-c", "8", "-j", "2", "-M", "prepared", "-T", seconds(d))
	r := <-passing
	if err := errors.Join(err, r.err); err != nil {
		return Load{}, err
	}
	if bad := pgbenchBad.FindAllString(out+r.out, -1); bad != nil {
		return Load{}, errors.New("pgbench: " + strings.Join(bad, "; "))
	}
	done, rate := pgbenchDone.FindStringSubmatch(out), pgbenchRate.FindStringSubmatch(out)
	if done != nil && done[1] == "0" {
		return Load{Elapsed: d}, nil // it has no rate then
	}
	if done == nil || rate == nil {
		return Load{}, fmt.Errorf("pgbench says %q", out)
	}
	n, err := strconv.Atoi(done[1])
	if err != nil {
		return Load{}, err
	}
	tps, err := strconv.ParseFloat(rate[1], 64)
	if err != nil {
		return Load{}, err
	}
	return Load{Done: n, Elapsed: time.Duration(float64(n) / tps * float64(time.Second))}, nil
}
