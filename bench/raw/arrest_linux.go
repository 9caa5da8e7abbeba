package raw

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/sys"
)

// Arrester is a bare tracer thread that stops its tracees, reads their registers
// and lets them run, when it is told to.
type Arrester struct {
	*Session
	tids []int
	work chan func()
}

// Arresting seizes tids, in this order, on one thread.
func Arresting(tids []int) (*Arrester, error) {
	a := &Arrester{tids: tids, work: make(chan func())}
	s, err := start([]func(*Session) (int, error){func(*Session) (int, error) {
		for _, tid := range tids {
			if err := sys.Seize(tid, 0); err != nil {
				return 0, err
			}
		}
		return len(tids), nil
	}}, func(s *Session) {
		for {
			select {
			case f := <-a.work:
				f()
			case <-s.end:
				return
			}
		}
	})
	a.Session = s
	return a, err
}

// on has the thread do f and answers how long that took.
func (a *Arrester) on(f func() error) (took time.Duration, err error) {
	done := make(chan struct{})
	a.work <- func() {
		defer close(done)
		begin := time.Now()
		err = f()
		took = time.Since(begin)
	}
	<-done
	return took, err
}

// Arrest interrupts all tracees and then waits for each by its tid.
func (a *Arrester) Arrest() (time.Duration, error) {
	return a.on(func() error {
		for _, tid := range a.tids {
			if err := sys.Interrupt(tid); err != nil {
				return err
			}
		}
		for _, tid := range a.tids {
			var ws unix.WaitStatus
			if _, err := unix.Wait4(tid, &ws, unix.WALL|unix.WNOTHREAD, nil); err != nil {
				return err
			}
			if !ws.Stopped() {
				return fmt.Errorf("thread %d ended", tid)
			}
		}
		return nil
	})
}

// Regs reads the registers of all.
func (a *Arrester) Regs() (time.Duration, error) {
	return a.on(func() error {
		var r sys.Regs
		for _, tid := range a.tids {
			if err := sys.GetRegs(tid, &r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Resume lets all run.
func (a *Arrester) Resume() (time.Duration, error) {
	return a.on(func() error {
		for _, tid := range a.tids {
			if err := sys.Cont(tid, 0); err != nil {
				return err
			}
		}
		return nil
	})
}
