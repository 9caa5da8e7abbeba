// Package attacher attaches by ptrace to all threads of a process that may
// have tens of thousands, without stopping or waking a single one, keeps them
// attached while signals and job control go on as ever, and lets go again
// without a trace.
//
//	s, err := attacher.Attach(ctx, pid, nil)
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//
// # Who owns what
//
// A pool of tracers does the work, each an OS thread that is locked to its
// goroutine until it ends. A tracee has one owner, the tracer that seized it:
// it alone makes requests for it, waits for it, and moves its phase in the
// session's [threadset.Set]. A tracer owns about 500 tracees, because each
// report that it waits for costs it time for every one of them. Others ask by
// a command for a whole batch ([Session.Do]) and read by snapshot
// ([Session.Threads], [Session.Subscribe]).
//
// A tracer that sleeps in waitid hears of a command by a signal to its
// thread (SIGVTALRM), sent again until the command was taken: a signal that
// comes just before the sleep wakes nobody.
//
// No lock is held across a system call. Where there are several: a session's
// list of tracers or a tracer's inbox first, then the set's shards, then the
// set's index.
//
// # The life of a stop
//
// A tracer looks at a report (waitid with WNOWAIT), says what it means (decode,
// which is pure), and reacts in one place (handle). A signal-delivery-stop is
// never reaped: a tracer that dies after the look loses no signal, one that
// dies after a reap does. A thread that is woken for a stop returns from some
// system calls with EINTR where an untraced one would have slept on; that is
// repaired at each stop that the target did not cause itself (repair.go).
//
// No thread is stopped of this package's own accord. Who wants that asks the
// owners ([Owner.Interrupt], [Owner.Expect], [Owner.Resume]), decides as the
// session's [Arbiter], and hears as its [Witness] what became of it: package stopper.
//
// Detaching is the end of the tracer threads: Linux then lets their tracees go
// without stopping them, and the same happens when the whole program is
// killed.
//
// # Births and execs
//
// The kernel tells of new threads ([FollowEvent], the default), they are found by
// listing again ([FollowScan]), or the kernel makes them tracees of their
// creator's tracer ([FollowClone]). A list may also show
// somebody who is a tracee already, and an exec changes numbers: the set keeps
// one record of a thread whoever meets it first (threadset's Claim, Withdraw,
// Rename).
//
// While the target execs, a SEIZE of any of its threads sleeps, and the exec
// waits until each other thread is reaped. A tracer inside SEIZE can't reap, so
// the session's lifeguard does it for one that stays there for 5 ms.
//
// # What a target feels
//
// No other debugger can attach meanwhile. Each signal costs a stop of 10 to 50
// µs before its handler runs. With FollowClone each birth stops both threads. An
// ignored signal wakes a blocked thread, which
// is repaired where it can be: a short result of write, sendfile and the like
// cannot. An exited thread stays a zombie until its tracer reaps it, some µs
// later. A set-uid exec gains no privilege when the tracer lacks
// CAP_SYS_PTRACE over it. SIGKILL and fatal signals act as ever. A target that
// traces others or reads its TracerPid can tell. While the tracing program
// itself is stopped or frozen the first signal freezes its receiver.
//
// # Before an attach
//
// What stands in the way can be asked for without attaching: [ProcFS.Open] a
// process, and the [Facts] of its threads have [Facts.Obstacles]. A refusal is
// explained by the first of them.
//
// # What a host program feels
//
// A program that uses this package must not wait for any child without
// __WNOTHREAD (a reaper in a container's init does): such a wait takes
// tracees' stops. Its SIGCHLD gets SA_NOCLDSTOP (see
// [Options.KeepChildStops]), the handler of SIGVTALRM loses SA_RESTART,
// and must be there: a signal.Ignore of it fails an attach, a signal.Notify hears
// the tracers being woken. No process is started. With FollowEvent three BPF
// programs are loaded, one set for all sessions, and two threads have the best nice
// value that is allowed.
//
// A target that is a child of the program itself is a special case. Its exit
// status stays its parent's. But a wait for it that is blocked while the
// session lasts, such as [os/exec.Cmd.Wait], returns at the next stop of the
// leader with "stop signal: …", because Linux makes no difference between the
// two waits; the session looks for such a stop every 20 ms and lets the thread
// run on. Wait for such a child when [Session.Ended] is closed, or after Close.
//
// # Limits
//
// On arm64 interrupted calls are not repaired but counted
// ([RepairReport.Left]). On systems other than linux/amd64 and linux/arm64
// the package builds, and Attach answers an error that is
// [errors.ErrUnsupported].
package attacher
