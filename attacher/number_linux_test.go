package attacher_test

import (
	"os"
	"os/exec"
	"testing"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/threadset"
)

// nextNumber makes n the next number that a thread or process gets, if nobody
// comes in between.
func nextNumber(t testing.TB, n int) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(itoa(n-1)), 0); err != nil {
		t.Skipf("needs to choose the number of the next thread: %v", err)
	}
}

// Case 62: the number of a thread that has ended is given to another process,
// which nobody touches, or to another thread of the target, which is followed.
func TestNumberReused(t *testing.T) {
	for _, follow := range following {
		t.Run(follow.String(), func(t *testing.T) {
			p := start(t, target.Spec{Epoll: 20})
			s := attach(t, p.PID(), &attacher.Options{Follow: follow})
			phase := func(tid int) threadset.Phase {
				for th := range s.Threads() {
					if th.TID == tid {
						return th.Phase
					}
				}
				return threadset.Exited
			}
			spawn := func() int {
				tids, err := p.Spawn(t.Context(), target.KindFutex, 1)
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "the new thread is traced", func() bool { return phase(tids[0]) == threadset.Running })
				allTraced(t, p)
				return tids[0]
			}
			end := func(tid int) {
				if err := p.End(t.Context(), tid); err != nil {
					t.Fatal(err)
				}
				eventually(t, "its end is noticed", func() bool { return phase(tid) == threadset.Exited })
			}

			tid := spawn()
			end(tid)
			var stranger *exec.Cmd
			eventually(t, "another process gets the number", func() bool {
				if _, err := os.Stat("/proc/" + itoa(tid)); err == nil {
					// Somebody else was quicker, and may keep it.
					tid = spawn()
					end(tid)
				}
				nextNumber(t, tid)
				stranger = exec.Command("sleep", "1000")
				if err := stranger.Start(); err != nil {
					t.Fatal(err)
				}
				if stranger.Process.Pid == tid {
					return true
				}
				stranger.Process.Kill()
				stranger.Wait()
				return false
			})
			t.Cleanup(func() { stranger.Process.Kill(); stranger.Wait() })
			spawn() // something to look for
			if l := lookAt(t, tid); l.traced() != 0 || phase(tid) != threadset.Exited {
				t.Errorf("the other process: %+v; to us it is %v", l, phase(tid))
			}

			tid = spawn()
			eventually(t, "another thread gets the number", func() bool {
				end(tid)
				nextNumber(t, tid)
				other, err := p.Spawn(t.Context(), target.KindFutex, 1)
				if err != nil {
					t.Fatal(err)
				}
				// One more, or the last number given would be the one that
				// it was before, as if nobody had been born.
				last := spawn()
				end(last)
				same := other[0] == tid
				tid = other[0]
				return same
			})
			r := detach(t, s)
			eventually(t, "the other process sleeps", func() bool { // it may have just begun
				l := lookAt(t, stranger.Process.Pid)
				return l.threads == 1 && l.states['S'] == 1
			})
			if r.Threads.Vanished != 0 || r.Events.Births != r.Threads.Born {
				t.Errorf("%+v, %+v", r.Threads, r.Events)
			}
			free(t, p.PID())
			undisturbed(t, p)
		})
	}
}
