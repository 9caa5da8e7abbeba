// Package attachertest is a kernel to test against: a simulated machine whose
// processes can be seized, signalled, stopped and killed at any moment that a
// test chooses, without privileges and without a process.
//
// A [Machine] implements both attacher.Kernel and attacher.Proc:
//
//	m := attachertest.New(100, 4000) // process 100, 4,000 threads in epoll_wait
//	s, err := attacher.Attach(ctx, 100, &attacher.Options{Kernel: m, Proc: m})
//
// Three things make it more than a stub.
//
// It is faithful. Signals, group-stops, ptrace-stops, exits, exec, waiting and
// the end of a tracer follow the kernel's own rules, function by function; the
// comments name them. Each rule that can be shown on a real kernel is a
// conformance script of this package's tests, which runs on both.
//
// It can be disturbed at any call. [Machine.Before] runs ahead of every call of
// the attacher, with nothing locked: it may answer an errno in the call's
// stead, or do something to the processes.
//
// It keeps an account of what the target noticed ([Machine.Account]): calls
// that failed with EINTR and would not have done so untraced, signals that
// were lost, user code that ran in a stopped process, a parent whose child's
// exit status was taken. [Machine.Check] says what of that must never be, at
// any time; [Machine.Quiet] says what must not be left after a session.
//
// # Time
//
// Nothing in the machine takes time. What a call sets off, it finishes: after
// Interrupt the tracee has stopped, unless it can't. That is one of the
// orders that the kernel may choose. With Manual set a thread that has
// something to do waits until [Machine.Run] lets it, and a test or a seeded
// scheduler chooses the order; with Gate set that scheduler owns the order of
// the attacher's own calls as well.
//
// # What is left out
//
// A signal handler blocks all signals while it runs. System calls have no time
// but what a test gives them ([Machine.Return]). Breakpoints, single steps and
// system call stops, EXITKILL, core dumps, signals of the processor's, PID
// namespaces and the freezer are not there.
package attachertest
