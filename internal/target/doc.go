// Package target is a process with a chosen mix of threads that counts, by
// itself, every way in which a tracer disturbs it: system calls that came back
// with EINTR or early, the longest hole a spinning thread saw, the rate of a
// loop of system calls, births, and signals lost, doubled, reordered or
// changed on their way. It is the oracle of the tests, the demo and the
// benchmarks, and shares no code with what it judges: it imports nothing of
// the module.
//
// A program that calls [Main] first thing can start a target by running itself
// again:
//
//	func TestMain(m *testing.M) {
//		target.Main()
//		os.Exit(m.Run())
//	}
//
//	t, err := target.Start(ctx, target.Mix(10_000))
//	...
//	account, err := t.Close()
//
// By hand, or from a script:
//
//	MASSATTACH_TARGET='{"futex":100,"epoll":100}' massattach
//
// prints one line {"ready":true,"pid":1,"threads":201,...}, obeys commands that
// come as JSON lines on standard input, and at the end of its input prints its
// account as one JSON line and exits.
//
// # How it works
//
// The threads under test are not Go's. They are made by clone(2), have no TLS
// and no g, and run a loop of assembly: make a system call, compare the result,
// count. Ten thousand of them are there in 0.3 s and cost 9 MB, a hundred
// thousand in 3 s and 46 MB (their kernel stacks come on top); all stacks are
// in one mapping. Each thread has a control block (the type tcb) that it alone
// writes counters to, so that an account is read without touching the thread.
// The main thread is one of them.
//
// Signal dispositions are the kernel's own: all start as SIG_DFL, as in a C
// program, none of the Go runtime's handlers is left, and a handler, where one
// is asked for, is a few instructions of assembly that need no g.
//
// Beside them there are the few threads of the Go runtime, which block every
// signal: one that reads commands, one for each sender of signals and each
// creator of short-lived threads, and the runtime's idle ones. They make
// system calls only, no goroutine is started and nothing is collected once the
// target is ready, so that no thread is born in it but those that were asked for.
//
// # Caveats
//
// A target that is stopped, by SIGSTOP or by a tracer, cannot answer. Commands
// wait until their context ends; [Target.Close] continues it, then kills it.
package target
