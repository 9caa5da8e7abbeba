//go:build linux

package programs

import (
	"context"
	_ "embed"
	"regexp"
	"strings"
	"syscall"
)

// Nginx is a master with two workers, which send a file of 16 KiB.
var Nginx = &Kind{
	Name:      "nginx",
	Needs:     map[string]string{"nginx": "nginx", "wrk": "wrk"},
	complaint: regexp.MustCompile(`\[(warn|error|crit|alert|emerg)\]`),
	stop:      syscall.SIGQUIT,
	start:     startNginx,
	load:      wrk,
}

//go:embed testdata/nginx.conf
var nginxConf string

func startNginx(ctx context.Context, p *Program) error {
	nginx, err := find("nginx")
	if err != nil {
		return err
	}
	if err := p.givePort(); err != nil {
		return err
	}
	if err := p.write("nginx.conf", strings.ReplaceAll(nginxConf, "PORT", p.port)); err != nil {
		return err
	}
	if err := p.write("index.html", strings.Repeat("nginx sends this.\n", 900)); err != nil {
		return err
	}
	// -e: what it says before it has read where to.
	if err := p.launch([]string{nginx, "-p", p.dir, "-c", "nginx.conf", "-e", "stderr"}); err != nil {
		return err
	}
	return p.serves(ctx)
}
