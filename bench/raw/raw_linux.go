package raw

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"massattach/internal/sys"

	"golang.org/x/sys/unix"
)

// Session is a set of bare tracer threads.
type Session struct {
	Threads int           // how many were seized
	Elapsed time.Duration // from the first read of the list, or the first SEIZE, to the last SEIZE

	end     chan struct{}
	done    sync.WaitGroup
	tracers []int
}

// Attach lists the threads of pid and seizes each, on one thread.
func Attach(pid int) (*Session, error) {
	return start([]func(*Session) (int, error){func(s *Session) (int, error) {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/task", pid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		n := 0
		begin := time.Now()
		err = list(fd, func(tid int) error {
			if err := sys.Seize(tid, 0); err != nil {
				return err
			}
			n++
			return nil
		})
		s.Elapsed = time.Since(begin)
		return n, err
	}})
}

// Split seizes tids with n threads, each its share.
func Split(tids []int, n int) (*Session, error) {
	begin := time.Now()
	jobs := make([]func(*Session) (int, error), n)
	for i := range jobs {
		mine := tids[i*len(tids)/n : (i+1)*len(tids)/n]
		jobs[i] = func(*Session) (int, error) {
			for _, tid := range mine {
				if err := sys.Seize(tid, 0); err != nil {
					return 0, err
				}
			}
			return len(mine), nil
		}
	}
	s, err := start(jobs)
	if s != nil {
		s.Elapsed = time.Since(begin)
	}
	return s, err
}

// Forward seizes tids, in this order, on one thread, which from then on waits
// for any and continues it with its signal. Those seized last are found first.
func Forward(tids []int) (*Session, error) { return onOneThread(tids, 0, false) }

// ForwardLiving is Forward that leaves out threads of the list that are gone.
func ForwardLiving(tids []int) (*Session, error) { return onOneThread(tids, 0, true) }

// Follow is ForwardLiving that is the tracer of whom its tracees give birth to, too.
func Follow(tids []int) (*Session, error) { return onOneThread(tids, sys.OptionTraceClone, true) }

func onOneThread(tids []int, options int, living bool) (*Session, error) {
	return start([]func(*Session) (int, error){func(s *Session) (int, error) {
		for _, tid := range tids {
			if err := sys.Seize(tid, options); err != nil && (!living || err != unix.ESRCH && err != unix.EPERM) {
				return 0, err
			}
		}
		me := sys.Gettid()
		go func() {
			<-s.end
			for sys.Kill(me, bell) != unix.ESRCH {
				time.Sleep(time.Millisecond)
			}
		}()
		return len(tids), nil
	}}, forward)
}

// bell interrupts the forwarder's wait, as the attacher's does.
const bell = syscall.SIGVTALRM

func forward(s *Session) {
	if sys.MakeInterrupting(bell) != nil {
		return
	}
	for {
		select {
		case <-s.end:
			return
		default:
		}
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		if ws.Stopped() {
			sig := ws.StopSignal()
			if int(ws)>>16 != 0 {
				sig = 0
			}
			_ = sys.Cont(tid, sig)
		}
	}
}

// List lists the threads of pid.
func List(pid int) (tids []int, err error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/task", pid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	err = list(fd, func(tid int) error {
		tids = append(tids, tid)
		return nil
	})
	return tids, err
}

// Release ends the tracer threads and answers how long it took until the last
// one's id was gone.
func (s *Session) Release() time.Duration {
	begin := time.Now()
	close(s.end)
	s.done.Wait()
	for _, tid := range s.tracers {
		for sys.Kill(tid, 0) == nil {
			runtime.Gosched()
		}
	}
	return time.Since(begin)
}

// start runs each job on a thread of its own that ends with the session; loops
// are what it does in between.
func start(jobs []func(*Session) (int, error), loops ...func(*Session)) (*Session, error) {
	s := &Session{end: make(chan struct{})}
	type result struct {
		tid, n int
		err    error
	}
	results := make(chan result)
	var launch func(job func(*Session) (int, error))
	launch = func(job func(*Session) (int, error)) {
		s.done.Go(func() {
			runtime.LockOSThread()
			tid := sys.Gettid()
			if tid == os.Getpid() || sys.HasChildren() {
				// Go parks the main thread instead of ending it, and a
				// parent's waits are for its children, too.
				moved := make(chan struct{})
				launch(func(s *Session) (int, error) { close(moved); return job(s) })
				<-moved
				runtime.UnlockOSThread()
				return
			}
			n, err := job(s)
			results <- result{tid, n, err}
			if err == nil {
				for _, loop := range loops {
					loop(s)
				}
			}
			<-s.end
		})
	}
	for _, job := range jobs {
		launch(job)
	}
	var err error
	for range jobs {
		r := <-results
		s.tracers = append(s.tracers, r.tid)
		s.Threads += r.n
		if r.err != nil {
			err = r.err
		}
	}
	if err != nil {
		s.Release()
		return nil, err
	}
	return s, nil
}

// list calls f with each number in the directory fd.
func list(fd int, f func(tid int) error) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil || n <= 0 {
			return err
		}
		// struct linux_dirent64 of getdents64(2): the length of the record
		// at 16, the name at 19.
		for b := buf[:n]; len(b) > 19; b = b[int(b[16])|int(b[17])<<8:] {
			tid := 0
			for _, c := range b[19:] {
				if c < '0' || c > '9' {
					break
				}
				tid = tid*10 + int(c-'0')
			}
			if tid == 0 {
				continue
			}
			if err := f(tid); err != nil {
				return err
			}
		}
	}
}
