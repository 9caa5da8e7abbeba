// What ends a hold: SIGINT, SIGTERM and SIGHUP, and a standard output that
// nobody reads. The first of them counts; what comes later changes nothing, so
// that the detach always finishes.

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// untilEnding is ctx until the first of the endings comes; its cause is
// errInterrupted then.
//
// The signals stay caught until the process ends, which is what run is
// followed by: were they let go before, a second Ctrl-C would find a moment,
// after everything has been said, in which it still decides the exit code.
func (t *tool) untilEnding(ctx context.Context) context.Context {
	ctx, end := context.WithCancelCause(ctx)
	caught := make(chan os.Signal, 1)
	if on := heeded(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP); len(on) > 0 { // none would mean all
		signal.Notify(caught, on...)
	}
	unwatch := watchReader(t.stdout, func() {
		end(fmt.Errorf("%w: standard output was closed", errInterrupted))
	})
	t.atEnd = append(t.atEnd, unwatch, func() { end(nil) })
	go func() {
		select {
		case s := <-caught:
			if s == syscall.SIGINT {
				t.notes.clearLine()
			}
			end(fmt.Errorf("%w: %v", errInterrupted, s))
		case <-ctx.Done():
		}
	}()
	return ctx
}

// isPipe reports whether w is a file that can lose its reader.
func isPipe(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	if !ok {
		return nil, false
	}
	fi, err := f.Stat()
	return f, err == nil && fi.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}
