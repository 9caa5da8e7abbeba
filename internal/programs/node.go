//go:build linux

package programs

import (
	"context"
	_ "embed"
	"regexp"
	"syscall"
)

// Node is a server with timers, a pool of threads that read and compress, a
// worker thread, and children that come and go.
var Node = &Kind{
	Name:      "node",
	Needs:     map[string]string{"node": "nodejs", "wrk": "wrk"},
	complaint: regexp.MustCompile(`(?i)error|exception|warning|fatal`),
	stop:      syscall.SIGTERM,
	start:     startNode,
	load:      wrk,
}

//go:embed testdata/server.js
var nodeServer string

func startNode(ctx context.Context, p *Program) error {
	if err := p.givePort(); err != nil {
		return err
	}
	if err := p.write("server.js", nodeServer); err != nil {
		return err
	}
	if err := p.launch([]string{"node", "server.js", p.port}); err != nil {
		return err
	}
	return p.serves(ctx)
}
