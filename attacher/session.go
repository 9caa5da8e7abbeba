package attacher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"massattach/internal/sys"
	"massattach/threadset"

	"golang.org/x/sync/errgroup"
)

// Session is an attachment to all threads of a process. Its methods may be
// called from any goroutine.
type Session struct {
	pid      int
	comm     string
	options  Options
	trace    *Trace
	kernel   Kernel
	process  Process
	ownChild bool // the target is a child of this process
	seizeFor int  // the options of each SEIZE

	set     threadset.Set
	events  eventHub
	arbiter atomic.Pointer[Arbiter]
	job     jobControl
	stats   stats
	ledger  ledger

	births  Births // with FollowEvent, where that works; from the attach on
	muteFor error  // why it doesn't

	pool    errgroup.Group        // the tracers
	unfit   atomic.Pointer[error] // why a thread could not become a tracer
	mu      sync.Mutex
	tracers []*tracer

	probe     chan struct{} // the keeper has something to look into
	strays    []int         // threads that a full tracer has put down; guarded by mu
	ended     chan struct{} // closed when it has
	burying   atomic.Int32  // tracers that reap somebody, and have not told yet
	strangers atomic.Bool   // there has been a tracee that was none of the target's
	cancel    context.CancelFunc
	keeping   sync.WaitGroup
	seating   chan struct{}  // somebody is about to be seized
	guarding  sync.WaitGroup // the lifeguard
	guarded   chan struct{}  // closed when it is needed no more
	closing   sync.Once
	closed    atomic.Bool
	attaching atomic.Bool // Attach has not returned yet
	closeErr  error
	crowded   atomic.Bool // tracers are in a hurry
	looked    time.Time   // around, for that; of the attach, then the keeper's
}

// Attach attaches to all threads of process pid, without stopping or waking
// any, and answers when a pass over the list of threads has found nobody
// unknown (or when births outrun the passes: see [Report.Converged]). The
// context bounds the attach, not the session; when it ends first, or on any
// error, nobody stays attached.
//
// Threads that can't be seized are in the report and no error, unless there is
// no other: then the error is a *[DeniedError], or is [ErrGone] when the
// process has ended.
//
// Source: ptrace(2); kernel/ptrace.c, ptrace_attach.
func Attach(ctx context.Context, pid int, o *Options) (*Session, error) {
	options := o.withDefaults()
	s, err := begin(ctx, pid, options)
	if f := options.Trace.Broken; f != nil && err != nil {
		f(err)
	}
	return s, err
}

func begin(ctx context.Context, pid int, options Options) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("attach %d: %w", pid, err)
	}
	process, err := options.Proc.Open(pid)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("attach %d: %w", pid, ErrGone)
		}
		return nil, fmt.Errorf("attach %d: %w", pid, err)
	}
	s := &Session{
		pid:      pid,
		options:  options,
		trace:    options.Trace,
		kernel:   options.Kernel,
		process:  process,
		seizeFor: sys.OptionTraceExec,
		probe:    make(chan struct{}, 1),
		ended:    make(chan struct{}),
		seating:  make(chan struct{}, 1),
		guarded:  make(chan struct{}),
	}
	keep, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.guarding.Go(func() { s.lifeguard(s.guarded) })
	if options.Follow == FollowClone {
		s.seizeFor |= sys.OptionTraceClone
	}
	if err := s.attach(ctx, keep); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// attach attaches until ctx ends, and follows from then on until keep ends.
func (s *Session) attach(ctx, keep context.Context) error {
	if err := s.inspect(); err != nil {
		return err
	}
	if !s.options.KeepChildStops {
		// Without it stops cost more, nothing else.
		_ = sys.QuietChildren()
	}
	s.lookAround()
	sc := newScanner(s)
	s.attaching.Store(true)
	defer s.attaching.Store(false)
	if err := sc.converge(ctx, keep); err != nil {
		return fmt.Errorf("attach %d: %w", s.pid, err)
	}
	if err := s.unfit.Load(); err != nil {
		return fmt.Errorf("attach %d: start a tracer thread: %w", s.pid, *err)
	}
	if s.set.Totals().Attached == 0 {
		if f, n := s.ledger.failure(); n > 0 {
			return &DeniedError{PID: s.pid, Failure: f, Threads: n}
		}
		return fmt.Errorf("attach %d: %w", s.pid, ErrGone)
	}
	took := s.ledger.attachTime()
	if f := s.trace.Attached; f != nil {
		f(s, took)
	}
	s.keeping.Go(func() { s.keep(keep, sc) })
	if s.ownChild {
		s.keeping.Go(func() { s.guardLeader(keep) })
	}
	return nil
}

// inspect looks at the target before anybody is seized.
func (s *Session) inspect() error {
	leader, err := s.process.Status(s.pid)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("attach %d: %w", s.pid, ErrGone)
		}
		return fmt.Errorf("attach %d: %w", s.pid, err)
	}
	s.comm = leader.Name
	s.ownChild = leader.PPid == os.Getpid()
	f, err := s.process.Facts(s.pid)
	if err == nil && (f.Self || f.TracesUs) {
		return &DeniedError{PID: s.pid, Threads: 1, Failure: failure(s.pid, errnoEPERM, explain(nil, f))}
	}
	return nil
}

// Close detaches: every thread of the target runs on, and none was stopped for
// it. It returns when the last tracer thread is gone, may be called more than
// once, and leaves no thread, goroutine or file behind. An error says that a
// tracer failed while the session lasted, or that a thread is still traced.
//
// Threads that the arbiter holds run on, too.
func (s *Session) Close() error {
	s.closing.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Session) close() error {
	if a := s.arbiter.Load(); a != nil {
		if c, ok := (*a).(Closer); ok {
			c.Closing()
		}
	}
	s.closed.Store(true)
	s.cancel()
	var err error
	if s.births != nil {
		err = s.births.Close()
	}
	s.keeping.Wait()
	begin := s.now()
	crew := s.crew()
	if th, ok := s.set.Get(s.pid); ok {
		// The leader goes first, as it came last: see pass.
		if t := s.tracerOf(th.Owner); t != nil {
			dismiss(t)
		}
	}
	dismiss(crew...)
	err = errors.Join(err, s.pool.Wait())
	took := s.now().Sub(begin)
	close(s.guarded)
	s.guarding.Wait()
	confirmed := s.sampleFree()
	s.ledger.detached(took, confirmed)
	// It may have ended since the keeper looked last.
	if !s.isEnded() && s.targetEnded() {
		for _, t := range crew {
			if t.shard != nil { // or it has never owned anybody
				t.endAll() // nobody was there to reap them
			}
		}
		close(s.ended)
	}
	if f := s.trace.Detached; f != nil && s.ledger.isAttached() {
		f(s, took)
	}
	s.events.end()
	err = errors.Join(err, s.process.Close())
	if !confirmed {
		err = errors.Join(err, fmt.Errorf("detach %d: a thread is still traced", s.pid))
	}
	return err
}

// dismiss ends tracers, and returns when their threads are gone.
func dismiss(tracers ...*tracer) {
	// One that has ended already is as good as told.
	_ = tell(context.Background(), tracers, func(t *tracer) { t.quit = true })
	for _, t := range tracers {
		t.awaitEnd()
	}
}

// awaitEnd waits until the tracer's thread is gone: it is some time after the
// goroutine returned that the kernel lets the tracees go.
func (t *tracer) awaitEnd() {
	if t.k == nil {
		return
	}
	for i := 0; !t.k.Ended(); i++ {
		if i < 20 {
			runtime.Gosched()
		} else {
			t.s.kernel.Nap(20 * time.Microsecond)
		}
	}
}

// sampleFree looks whether some of the threads are indeed not ours any more;
// to look at all would take 11 µs each.
func (s *Session) sampleFree() bool {
	const sample = 16
	ours := make(map[int]bool)
	for _, t := range s.crew() {
		if t.k != nil {
			ours[t.k.ID()] = true
		}
	}
	n := s.set.Counts().Live()
	stride, i := max(1, n/sample), 0
	for th := range s.set.All() {
		if !th.Phase.Seized() {
			continue
		}
		if i++; i%stride != 0 {
			continue
		}
		if st, err := s.process.Status(th.TID); err == nil && ours[st.TracerPid] {
			return false
		}
	}
	return true
}

// PID is the process's.
func (s *Session) PID() int { return s.pid }

// Ended is closed when the target has ended, and the [Witness] has been told that
// all of its threads are lost.
func (s *Session) Ended() <-chan struct{} { return s.ended }

func (s *Session) isEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Threads iterates over the threads of the target as they are known at that
// moment.
func (s *Session) Threads() iter.Seq[threadset.Thread] { return s.set.All() }

// crew is the tracers that there are.
func (s *Session) crew() []*tracer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*tracer(nil), s.tracers...)
}

// tracing is how many tracers have a thread that has not ended.
func (s *Session) tracing() (n int) {
	for _, t := range s.crew() {
		if !t.isGone() {
			n++
		}
	}
	return n
}

func (s *Session) now() time.Time { return time.Now() }

// tracerOf is the tracer of this session whose thread has the id tid, nil when
// it is another's.
func (s *Session) tracerOf(tid int) *tracer {
	if tid == 0 {
		return nil
	}
	for _, t := range s.crew() {
		select {
		case <-t.bound:
			if t.k != nil && t.k.ID() == tid {
				return t
			}
		default: // it has seized nobody yet
		}
	}
	return nil
}

// summon asks the keeper to look after the session now: somebody is without a
// tracer, or the target may have ended. It never blocks.
func (s *Session) summon() {
	select {
	case s.probe <- struct{}{}:
	default:
	}
}

// stray asks the keeper to find another tracer for tid. It never blocks.
func (s *Session) stray(tid int) {
	s.mu.Lock()
	s.strays = append(s.strays, tid)
	s.mu.Unlock()
	s.summon()
}

// takeStrays answers who is without a tracer.
func (s *Session) takeStrays() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	tids := s.strays
	s.strays = nil
	return tids
}
