// The progress bar: on standard error, if that is a terminal, from the first
// second of an action on, ten times a second. It goes when the action ends.

package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"massattach/internal/report"
)

const (
	barAfter = time.Second
	barEvery = 100 * time.Millisecond
	barWidth = 30
)

// progress is how far an action is. A nil one is not shown, and works.
type progress struct {
	what  string
	done  atomic.Int64
	total atomic.Int64
	parts atomic.Int64 // that have not finished
	stop  chan struct{}
	wg    sync.WaitGroup
}

// startProgress shows an action by the name of what. It ends when finish was
// called as often as it has parts.
func (t *tool) startProgress(what string, parts int) *progress {
	if !isTerminal(t.stderr) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	p := &progress{what: what, stop: make(chan struct{})}
	p.parts.Store(int64(parts))
	p.wg.Go(func() {
		defer t.notes.setBar("")
		next := time.NewTimer(barAfter)
		defer next.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-next.C:
				t.notes.setBar(bar(p.what, int(p.done.Load()), int(p.total.Load()), width(t.stderr)))
				next.Reset(barEvery)
			}
		}
	})
	return p
}

// expect adds to what there is to do, add to what is done.
func (p *progress) expect(n int) {
	if p != nil {
		p.total.Add(int64(n))
	}
}

func (p *progress) add(n int) {
	if p != nil {
		p.done.Add(int64(n))
	}
}

// finish ends one part; the bar goes with the last.
func (p *progress) finish() {
	if p == nil || p.parts.Add(-1) > 0 {
		return
	}
	close(p.stop)
	p.wg.Wait()
}

// bar is a line of at most width columns:
//
//	attaching [=========>          ] 3,412 of 10,000 threads
func bar(what string, done, total, width int) string {
	total = max(total, done, 1)
	full := barWidth * done / total
	line := fmt.Sprintf("[%-*s]", barWidth, (strings.Repeat("=", full) + ">")[:min(full+1, barWidth)])
	count := report.Number(done) + " of " + report.Plural(total, "thread")
	for _, s := range []string{what + " " + line + " " + count, what + " " + count, count} {
		if len(s) < width {
			return s
		}
	}
	return ""
}
