// Package stopper stops threads of a process that package attacher is attached
// to, on request, under a deadline, for several holders at a time, and lets them
// run on as if nothing had happened.
//
//	st, err := stopper.New(session, nil)
//	...
//	err = st.Hold(ctx, stopper.Request{}, func(h *stopper.Held) error {
//		return h.Each(func(t stopper.Thread) error {
//			var r attacher.Regs
//			return t.Regs(&r)
//		})
//	})
//
// # Words
//
// To arrest is to have threads stop; they are held then, by a holder, until that
// one lets go; and a thread is resumed when its last holder has let go. Holders
// need not know of each other, and their threads may overlap.
//
// # What an arrest is
//
// Each owner sends PTRACE_INTERRUPT to those of its tracees that are asked for,
// and collects their stops by tid. A call that this interrupts is mended
// (package attacher): it goes on after the resume. What can't be mended is
// counted in [attacher.RepairReport]. A signal that comes meanwhile is delivered
// once, after the resume.
//
// An arrest of all threads is complete when nobody is left who is unknown and
// could run: whoever was born meanwhile is seized and arrested, too, in every
// follow mode. As long as such a hold lasts a newborn, of a thread that could not
// be stopped say, is arrested as soon as it is seized.
//
// # Notify style
//
// With [Notify] no thread runs another instruction in user mode, and what goes on in
// the kernel is left alone. Who is in user mode stops; who is in the kernel is held
// there ([Held.InKernel]): it sleeps on, is not interrupted, and stops at the moment
// at which it would return. The arrest is done when a mechanism (package
// stopper/notify) has confirmed that of everybody; [Report.Guarantee] says what that is
// worth, and is never [notify.Strict] when a call that was under way in the kernel has
// given birth to a thread meanwhile, which may have run until it was found and stopped
// ([Report.LateBirths]). A thread that blocks every signal which the mechanism may
// send is interrupted instead ([Report.BestEffort]).
//
// Memory is not frozen: a read that is under way may still be completed into it.
//
// Holders of both styles may overlap. A thread that somebody wants stopped stops, and
// stays so when that one lets go and another still holds it.
//
// # What a deadline does
//
// A thread in D state, or one that waits for its vfork child, does not stop. When
// the context of an arrest ends first, or Request.Within, all run on and the
// error is a *[PartialError] that names the others; with Request.Partial those
// that have stopped are held. An INTERRUPT can't be withdrawn: when such a thread
// comes to its stop at last it is let go at once.
//
// Each thread is resumed by what its last stop was. One that job control has
// stopped stays stopped for its parent, before, during and after a hold; a
// SIGCONT or a SIGSTOP that comes during a hold acts when it ends.
//
// # A look without an arrest
//
// [Examine], [ExamineAll], the methods of a [Stopper] by the same names and an
// [Examiner] look at threads that nobody stops, signals or wakes. They take no
// session, and no tracer.
//
//	err := stopper.Examine(ctx, pid, tid, func(e *stopper.Exam) error {
//		return e.ReadAt(stack, e.Call.SP)
//	})
//
// What is seen is of one moment if the thread does not run meanwhile, and that can
// be told: the kernel counts how often it has put each thread on a CPU. So the count
// is read first; then the thread has to be off the CPU, and in no run queue; then
// comes what there is to see; and then the same count. To run, a thread has to be
// queued, and is counted when it is picked from the queue, before its first
// instruction. By /proc it is the kernel that waits until the thread is off, when
// it is asked for its system call; a record of the iterator (internal/bpf) says so
// itself, and a second pass has the second count. Where the kernel keeps no account
// (schedstat reads 0 0 0) how often the thread has left a CPU does as well: it is
// found off the CPU before what there is to see and after it, and has left none in
// between.
//
// A thread is known by its directory in /proc, once opened, or by its record: who is
// given its number later is never taken for it.
//
// # Who owns what
//
// What a tracer's tracees are held for is in a ward, one a tracer, and changed on
// the tracer's thread: nobody else resumes a thread, so that between a look and a
// resume nothing happens. A ward's lock is for those who only look, and for an
// exec, which takes the leader away from its tracer without a word. Who is armed in
// notify style is changed by one goroutine at a time, see arms. Lock order:
// the stopper's, then a ward's, then a holder's. None is held across a system
// call.
//
// # Limits
//
// Session.Close lets everybody run, whoever holds them. Threads that an exec ends
// are out of every hold; the one that is left stays in those that it was in, and comes
// into the arrests of the leader, whose number it has then, as far as the leader's end is
// not known yet.
package stopper
