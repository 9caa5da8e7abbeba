package stopper_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/stopper"
)

// Case 28, 40: the process is killed, and execs, in the middle of an arrest and of
// a hold.
func TestEndOfTheTarget(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		for i := range size(6, 40) {
			s := newScene(t, target.Spec{Epoll: 300}, attacher.Options{})
			if i%2 == 0 {
				time.AfterFunc(rand.N(3*time.Millisecond), func() { s.target.Kill() })
				h, err := s.stopper.Arrest(t.Context(), stopper.Request{Style: style})
				if err == nil {
					s.resume(h)
				} else if !errors.Is(err, attacher.ErrGone) {
					t.Error(err)
				}
			} else {
				h := s.arrest(stopper.Request{Style: style})
				must(t, s.target.Kill())
				<-s.session.Ended()
				s.eventually("nobody is held of nobody", func() bool { return len(h.TIDs()) == 0 })
				s.resume(h)
			}
			<-s.session.Ended()
			must(t, s.session.Close())
		}
	})
}

func TestExecInArrest(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		for range size(6, 60) {
			s := newScene(t, target.Spec{Epoll: 100}, attacher.Options{})
			tid := s.kinds()[target.KindEpoll][10]
			execed := make(chan error, 1)
			go func() { execed <- s.target.Exec(t.Context(), target.Exec{TID: tid}) }()
			for range 10 {
				h, err := s.stopper.Arrest(t.Context(), stopper.Request{Style: style})
				must(t, err)
				if style == stopper.Interrupt {
					s.areHeld(h)
				}
				s.resume(h)
				time.Sleep(rand.N(time.Millisecond))
			}
			must(t, <-execed)
			s.resume(s.arrest(stopper.Request{Style: style}))
			s.end()
			s.target.Close()
		}
	})
}
