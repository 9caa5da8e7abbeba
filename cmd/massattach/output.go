// Standard output: results and nothing else, each written whole. Standard
// error: everything else, written by one goroutine, so that nobody who holds a
// target ever waits for a terminal or a full pipe.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"massattach/internal/report"
)

// writeError is the error of a result that could not be written.
type writeError struct{ err error }

func (e *writeError) Error() string {
	// The path of a *fs.PathError is /dev/stdout, which says it again.
	err := e.err
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	return "standard output: " + err.Error()
}

func (e *writeError) Unwrap() error { return e.err }

// survivePipes makes a write to a closed pipe an error, where Go would end the
// program: it is a normal end, and comes in its order. Not signal.Ignore, which
// a program that we start would inherit.
func survivePipes() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// texter is a result that can be told to people.
type texter interface {
	Text(io.Writer, report.Style) error
}

// printer writes results in the format that was asked for.
type printer struct {
	tool    *tool
	to      io.Writer
	format  choice
	printed int
}

// newPrinter adds --format to cmd; others are formats beside text and json.
func newPrinter(t *tool, cmd *cobra.Command, others ...string) *printer {
	p := &printer{tool: t, to: t.stdout, format: choice{value: "text", among: append([]string{"text", "json"}, others...)}}
	p.format.add(cmd, "format", "how to report")
	return p
}

func (p *printer) json() bool { return p.format.value == "json" }

// print writes one result: v as JSON, or as its own text.
func (p *printer) print(v texter) error {
	return p.write(v, v.Text)
}

// write writes one result: v as JSON, or what text writes.
func (p *printer) write(v any, text func(io.Writer, report.Style) error) error {
	// What is on its way to a terminal's other stream comes first.
	p.tool.notes.flush()
	var b bytes.Buffer
	var err error
	if p.json() {
		err = report.WriteJSON(&b, v)
	} else {
		if p.printed > 0 {
			b.WriteString("\n")
		}
		err = text(&b, style(p.to))
	}
	p.printed++
	if err == nil {
		_, err = p.to.Write(b.Bytes())
	}
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// fail writes the problem that stands in the place of a result.
func (p *printer) fail(problem *problem) error {
	if !p.json() {
		return nil // its lines are on standard error
	}
	return p.write(problem.failed(), nil)
}

// notes is standard error.
type notes struct {
	w    io.Writer
	mu   sync.Mutex
	cond *sync.Cond
	// What is still to be written: whole lines, and after them the bar.
	lines  []byte
	bar    string
	newBar bool
	shown  bool // a bar is on the screen
	busy   bool
	closed bool
}

func newNotes(w io.Writer) *notes {
	n := &notes{w: w}
	n.cond = sync.NewCond(&n.mu)
	go n.run()
	return n
}

// run writes until close. What can't be written is lost: there is nobody to
// tell.
func (n *notes) run() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		for len(n.lines) == 0 && !n.newBar {
			n.busy = false
			n.cond.Broadcast()
			if n.closed {
				return
			}
			n.cond.Wait()
		}
		n.busy = true
		var out []byte
		if n.shown {
			out = append(out, "\r\x1b[K"...)
		}
		out = append(out, n.lines...)
		out = append(out, n.bar...)
		n.shown = n.bar != ""
		n.lines, n.newBar = nil, false
		n.mu.Unlock()
		_, _ = n.w.Write(out)
		n.mu.Lock()
	}
}

func (n *notes) put(lines []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, lines...)
	n.cond.Broadcast()
}

// say writes a line.
func (n *notes) say(format string, args ...any) {
	n.put([]byte("massattach: " + report.Line(fmt.Sprintf(format, args...)) + "\n"))
}

// problem writes what is wrong, and what can be done about it if anything.
func (n *notes) problem(message, hint string) {
	lines := "massattach: " + report.Line(message) + "\n"
	if hint != "" {
		lines += "hint: " + report.Line(hint) + "\n"
	}
	n.put([]byte(lines))
}

// clearLine wipes the ^C that a terminal has put on the line.
func (n *notes) clearLine() {
	if isTerminal(n.w) {
		n.put([]byte("\r\x1b[K"))
	}
}

// setBar shows s in place of the last bar; "" takes it away.
func (n *notes) setBar(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s != n.bar {
		n.bar, n.newBar = s, true
		n.cond.Broadcast()
	}
}

// flush waits until everything is written.
func (n *notes) flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.busy || len(n.lines) > 0 || n.newBar {
		n.cond.Wait()
	}
}

func (n *notes) close() {
	n.mu.Lock()
	n.closed = true
	n.cond.Broadcast()
	n.mu.Unlock()
	n.flush()
}
