//go:build linux

package programs

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// A Crew is attached to all processes of a program.
type Crew struct {
	p      *Program
	attach func(pid int) (io.Closer, error)

	on     map[int]io.Closer // the process's
	errs   []error
	stop   chan struct{}
	done   sync.WaitGroup
	closed sync.Once
}

// relook is how often a crew looks for new processes: each look reads a file
// for every process of the machine.
const relook = 50 * time.Millisecond

// Attach calls attach for each process of the program, and returns when it is
// attached to all; later ones follow while the crew looks for them, until
// Close. A process that ends while it is attached to is no error.
func (p *Program) Attach(attach func(pid int) (io.Closer, error)) (*Crew, error) {
	c := &Crew{p: p, attach: attach, on: make(map[int]io.Closer), stop: make(chan struct{})}
	c.look()
	if err := errors.Join(c.errs...); err != nil {
		_ = c.Close()
		return nil, err
	}
	c.done.Go(func() {
		for {
			select {
			case <-c.stop:
				return
			case <-time.After(relook):
				c.look()
			}
		}
	})
	return c, nil
}

// look attaches to who is new, and closes what was attached to who is gone.
func (c *Crew) look() {
	pids, err := c.p.PIDs()
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	there := make(map[int]bool, len(pids))
	for _, pid := range pids {
		there[pid] = true
		if c.on[pid] != nil {
			continue
		}
		s, err := c.attach(pid)
		switch {
		case err == nil:
			c.on[pid] = s
		case alive(pid):
			c.errs = append(c.errs, fmt.Errorf("attach to %s: %w", c.p.Kind, err))
		}
	}
	for pid := range c.on {
		if !there[pid] {
			c.let(pid)
		}
	}
}

func (c *Crew) let(pid int) {
	if err := c.on[pid].Close(); err != nil {
		c.errs = append(c.errs, fmt.Errorf("detach from %s: %w", c.p.Kind, err))
	}
	delete(c.on, pid)
}

// Close closes what attach has answered, and answers all errors since Attach.
func (c *Crew) Close() error {
	c.closed.Do(func() {
		close(c.stop)
		c.done.Wait()
		for pid := range c.on {
			c.let(pid)
		}
	})
	return errors.Join(c.errs...)
}
