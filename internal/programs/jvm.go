//go:build linux

package programs

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"regexp"
	"syscall"
	"time"
)

// JVM is a JVM with 3,000 threads: a server with a pool of 1,000 of them, others
// that sleep, wait, select and hand things over, and a maker of threads.
var JVM = &Kind{
	Name:      "jvm",
	Needs:     map[string]string{"java": "default-jdk-headless", "javac": "default-jdk-headless", "wrk": "wrk"},
	complaint: regexp.MustCompile(`(?i)error|exception|warning|fatal|out of memory`),
	stop:      syscall.SIGTERM,
	code:      128 + int(syscall.SIGTERM), // the JVM's own
	start:     startJVM,
	load:      loadJVM,
}

//go:embed testdata/Server.java
var javaServer string

func startJVM(ctx context.Context, p *Program) error {
	if err := p.givePort(); err != nil {
		return err
	}
	if err := p.write("Server.java", javaServer); err != nil {
		return err
	}
	if err := p.launch([]string{"java", "-Xss256k", "-Xmx256m", "-XX:+UseSerialGC", "-XX:ErrorFile=" + p.file("crash"),
		"-Dsun.net.httpserver.nodelay=true", "Server.java", p.port}); err != nil {
		return err
	}
	return p.serves(ctx)
}

func loadJVM(ctx context.Context, p *Program, d time.Duration) (Load, error) {
	l, err := p.collecting(ctx, d)
	if crash, cerr := os.ReadFile(p.file("crash")); cerr == nil {
		err = errors.Join(err, errors.New("the JVM has crashed:\n"+string(crash)))
	}
	return l, err
}
