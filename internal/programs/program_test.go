//go:build linux

package programs_test

import (
	"sync"
	"testing"
	"time"

	"massattach/internal/programs"
)

// Real programs under load don't notice that they are attached to, for long or
// over and over, nor that all their threads are stopped for a moment each time:
// neither they nor their load generators complain, no connection is lost, and
// nobody is left traced or stopped.
func TestPrograms(t *testing.T) {
	for _, k := range programs.All {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			p := start(t, k)
			for i, f := range following {
				t.Run("follow="+f.String(), func(t *testing.T) {
					d := size(time.Second, 30*time.Second)
					if i == 0 {
						d = max(d, 2*time.Second)
					}
					load := underLoad(t, p, d)
					s := attach(t, p, f)
					l := <-load
					// The load may have been over before all was attached to.
					for end := time.Now().Add(5 * time.Minute); hasSignals[k] && s.signals() == 0 && !t.Failed() && time.Now().Before(end); {
						l = <-underLoad(t, p, d)
					}
					a := s.detach(t)
					t.Logf("%.0f a second; %+v", l.Rate(), a)
					if a.signals == 0 && hasSignals[k] {
						t.Error("no signal was seen: this shows less than it should")
					}
					unharmed(t, p)
				})
			}
			t.Run("rounds", func(t *testing.T) {
				rounds := 0
				for rounds < size(6, 20) {
					load := underLoad(t, p, time.Second)
					for busy := true; busy; rounds++ {
						s := attach(t, p, following[rounds%len(following)])
						time.Sleep(25 * time.Millisecond)
						s.detach(t)
						select {
						case <-load:
							busy = false
						case <-time.After(25 * time.Millisecond):
						}
					}
					unharmed(t, p)
				}
				t.Logf("%d rounds", rounds)
			})
			for _, style := range styles {
				t.Run("arrests="+style.name, func(t *testing.T) { arrests(t, p, style.request) })
			}
		})
	}
}

// hasSignals are the programs that can't do without.
var hasSignals = map[*programs.Kind]bool{
	programs.Postgres: true, programs.GoServer: true, programs.Node: true, programs.Shell: true,
}

// underLoad loads the program meanwhile.
func underLoad(t *testing.T, p *programs.Program, d time.Duration) <-chan programs.Load {
	t.Helper()
	done := make(chan programs.Load, 1)
	var loading sync.WaitGroup
	loading.Go(func() {
		l, err := p.Load(t.Context(), d)
		if err != nil {
			t.Error(err)
		}
		done <- l
	})
	t.Cleanup(loading.Wait)
	return done
}

// unharmed checks what a program says, and how it was left.
func unharmed(t *testing.T, p *programs.Program) {
	t.Helper()
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	if err := p.Free(); err != nil {
		t.Error(err)
	}
}
