package attachertest_test

import "testing"

// The rules of the fake, each as a script that the real kernel obeys as well:
// see script_test.go for the language.
var scripts = []struct{ rule, script string }{
	{"seize neither stops nor wakes", `
		mark e1
		seize e1
		state e1 => S
		tracer e1 => A
		exit
		state e1 => S
		tracer e1 => 0
		switches e1 => 0
		eintr e1 => 0
	`},
	{"one tracer at a time, and requests are its own", `
		seize e1
		seize e1 => EPERM
		B: seize e1 => EPERM
		B: interrupt e1 => ESRCH
		B: look e1 => ECHILD
		B: look any => ECHILD
		seize nobody => ESRCH
		look nobody => ECHILD
		look e1 => none
		look any => none
	`},
	{"requests need a stopped tracee", `
		seize e1
		cont e1 => ESRCH
		listen e1 => ESRCH
		detach e1 => ESRCH
		result e1 => ESRCH
		message e1 => ESRCH
	`},
	{"interrupt: one stop, looked at until reaped, hidden from then on", `
		mark e1
		seize e1
		interrupt e1
		look e1 => trap
		look e1 => trap
		code e1 => 32773
		look any => e1 trap
		state e1 => t
		result e1 => -4
		incall e1 => true
		reap e1 => trap
		look e1 => none
		look any => none
		result e1 => -4
		cont e1
		state e1 => S
		eintr e1 => 1
		switches e1 => 2
	`},
	{"of several the one that was seized last is found first", `
		seize e1
		seize e2
		seize f1
		interrupt e1
		interrupt e2
		look e1 => trap
		look e2 => trap
		look any => e2 trap
		look any => e2 trap
		reap e2 => trap
		look any => e1 trap
	`},
	{"what was looked at only can be continued", `
		seize e1
		interrupt e1
		look e1 => trap
		cont e1
		state e1 => S
		look e1 => none
	`},
	{"a restarted call goes on, one block and one stop later", `
		mark e1
		seize e1
		interrupt e1
		look e1 => trap
		restart e1
		cont e1
		state e1 => S
		eintr e1 => 0
		early e1 => 0
		switches e1 => 2
	`},
	{"the result of a time-out can be written", `
		seize e1
		interrupt e1
		look e1 => trap
		setresult e1 0
		cont e1
		state e1 => S
		eintr e1 => 0
		early e1 => 1
	`},
	{"futex restarts by itself, unless there is a handler without SA_RESTART", `
		handle USR1 handler
		handle USR2 restart
		seize f1
		interrupt f1
		look f1 => trap
		result f1 => -512
		cont f1
		state f1 => S
		eintr f1 => 0
		signal f1 USR2
		look f1 => signal USR2
		result f1 => -512
		cont f1 USR2
		handled f1 => 1
		state f1 => S
		eintr f1 => 0
		signal f1 USR1
		look f1 => signal USR1
		cont f1 USR1
		handled f1 => 2
		state f1 => S
		eintr f1 => 1
		early f1 => 0
	`},
	{"nanosleep restarts, unless there is a handler", `
		handle USR2 restart
		seize n1
		interrupt n1
		look n1 => trap
		result n1 => -516
		cont n1
		state n1 => S
		eintr n1 => 0
		signal n1 USR2
		look n1 => signal USR2
		cont n1 USR2
		handled n1 => 1
		state n1 => S
		eintr n1 => 1
	`},
	{"a thread in user mode stops where it is", `
		seize s1
		interrupt s1
		look s1 => trap
		incall s1 => false
		state s1 => t
		cont s1
		state s1 => R
	`},
	{"interrupt of a stopped thread leaves another stop behind", `
		mark e1
		seize e1
		interrupt e1
		look e1 => trap
		interrupt e1
		interrupt e1
		reap e1 => trap
		look e1 => none
		cont e1
		look e1 => trap
		cont e1
		state e1 => S
		look e1 => none
		eintr e1 => 1
		switches e1 => 3
	`},
	{"an ignored signal is dropped, but wakes a traced thread", `
		handle USR1 ignore
		mark e1
		signal e1 CHLD
		signal e1 USR1
		state e1 => S
		switches e1 => 0
		seize e1
		signal e1 CHLD
		look e1 => signal CHLD
		code e1 => -6
		result e1 => -4
		cont e1 CHLD
		state e1 => S
		eintr e1 => 1
		signal e1 USR1
		look e1 => signal USR1
		restart e1
		cont e1 USR1
		state e1 => S
		eintr e1 => 1
	`},
	{"a handler runs once and the call returns EINTR, restarted or not", `
		handle USR1 handler
		seize e1
		signal e1 USR1
		look e1 => signal USR1
		restart e1
		cont e1 USR1
		handled e1 => 1
		state e1 => S
		eintr e1 => 1
	`},
	{"a signal can be suppressed", `
		handle USR1 handler
		seize e1
		signal e1 USR1
		look e1 => signal USR1
		restart e1
		cont e1
		state e1 => S
		handled e1 => 0
		eintr e1 => 0
	`},
	{"a signal that was looked at outlives its tracer", `
		handle USR1 handler
		seize e1
		signal e1 USR1
		look e1 => signal USR1
		exit
		handled e1 => 1
		state e1 => S
		eintr e1 => 1
	`},
	{"a signal that was reaped dies with its tracer", `
		handle USR1 handler
		seize e1
		signal e1 USR1
		look e1 => signal USR1
		reap e1 => signal USR1
		exit
		tracer e1 => 0
		state e1 => S
		handled e1 => 0
		eintr e1 => 1
	`},
	{"real-time signals queue, with their values, and in order", `
		seize r1
		flood r1 3
		look r1 => signal RT
		value r1 => 1
		cont r1 RT
		value r1 => 2
		look r1 => signal RT
		code r1 => -1
		cont r1 RT
		value r1 => 3
		cont r1 RT
		handled r1 => 3
		state r1 => S
		look r1 => none
	`},
	{"standard signals of a number merge", `
		handle USR1 handler
		seize e1
		interrupt e1
		look e1 => trap
		signal e1 USR1
		signal e1 USR1
		pending e1 => USR1
		cont e1
		look e1 => signal USR1
		pending e1 =>
		cont e1 USR1
		handled e1 => 1
		state e1 => S
		look e1 => none
	`},
	{"traps come before signals, low numbers before high, the second behind a handler is in no call", `
		handle USR1 handler
		handle USR2 handler
		seize e1
		interrupt e1
		look e1 => trap
		signal e1 USR2
		signal e1 USR1
		interrupt e1
		cont e1
		look e1 => trap
		incall e1 => true
		cont e1
		look e1 => signal USR1
		incall e1 => true
		cont e1 USR1
		look e1 => signal USR2
		handled e1 => 1
		incall e1 => false
		result e1 => -4
		cont e1 USR2
		handled e1 => 2
		state e1 => S
		eintr e1 => 1
	`},
	{"look, interrupt, continue: the thread stops at the first instruction of the handler", `
		handle USR1 handler
		seize e1
		signal e1 USR1
		look e1 => signal USR1
		restart e1
		interrupt e1
		cont e1 USR1
		look e1 => trap
		result e1 => 0
		handled e1 => 0
		reap e1 => trap
		cont e1
		handled e1 => 1
		state e1 => S
		eintr e1 => 1
	`},
	{"the same with the tracer's end", `
		handle USR1 handler
		seize e1
		signal e1 USR1
		look e1 => signal USR1
		interrupt e1
		cont e1 USR1
		look e1 => trap
		reap e1 => trap
		exit
		handled e1 => 1
		state e1 => S
		eintr e1 => 1
	`},
	{"a tracer's end lets a held thread go on", `
		seize e1
		interrupt e1
		look e1 => trap
		reap e1 => trap
		exit
		state e1 => S
		tracer e1 => 0
		eintr e1 => 1
	`},
	{"a blocked signal waits, and one that is injected does, too", `
		block e1 USR1
		handle USR1 handler
		handle USR2 handler
		mark e1
		seize e1
		signal e1 USR1
		pending e1 => USR1
		switches e1 => 0
		look e1 => none
		block e2 USR1
		seize e2
		signal e2 USR2
		look e2 => signal USR2
		restart e2
		cont e2 USR1
		state e2 => S
		pending e2 => USR1
		handled e2 => 0
		eintr e2 => 0
	`},
	{"what a request may not ask for", `
		seize e1
		interrupt e1
		look e1 => trap
		cont e1 BAD => EIO
		detach e1 BAD => EIO
		listen e1
		look e1 => none
		cont e1 => ESRCH
		interrupt e1
		look e1 => trap
		cont e1
		state e1 => S
		signal e1 CHLD
		look e1 => signal CHLD
		listen e1 => EIO
		cont e1 CHLD
	`},
	{"detach needs a stop, and may deliver", `
		handle USR1 handler
		seize e1
		seize e2
		interrupt e1
		look e1 => trap
		detach e1
		tracer e1 => 0
		state e1 => S
		eintr e1 => 1
		look e1 => ECHILD
		signal e2 USR1
		look e2 => signal USR1
		reap e2 => signal USR1
		detach e2 USR1
		handled e2 => 1
		state e2 => S
		look any => ECHILD
	`},
	{"the bell wakes a tracer that sleeps", `
		seize e1
		ring => EINTR
		ring => EINTR
		interrupt e1
		look e1 => trap
		ring => ok
		reap e1 => trap
		ring => EINTR
	`},
	{"group-stop: each thread reports it, the parent is told when all have", `
		seize l
		seize e1
		seize f1
		kill STOP
		look l => signal STOP
		look e1 => none
		parent =>
		cont l STOP
		look l => group STOP
		look e1 => group STOP
		look f1 => group STOP
		result e1 => -4
		parent => stopped
		listen l
		listen e1
		listen f1
		look any => none
		state e1 => t
		state e2 => T
		result e1 => ESRCH
		kill CONT
		look e1 => trap
		look f1 => trap
		look l => trap
		state e2 => S
		eintr e2 => 1
		cont l
		cont e1
		cont f1
		state l => S
		state e1 => S
		state f1 => S
		eintr e1 => 1
		eintr f1 => 0
		parent => stopped, continued
		look any => none
	`},
	{"a stop is not complete while a thread is in a signal-delivery-stop", `
		handle USR1 handler
		seize l
		seize e1
		signal e1 USR1
		look e1 => signal USR1
		kill STOP
		look l => signal STOP
		cont l STOP
		look l => group STOP
		state e2 => T
		parent =>
		cont e1 USR1
		look e1 => group STOP
		parent => stopped
		listen e1
		listen l
		kill CONT
		look l => trap
		look e1 => trap
		state e2 => S
		cont l
		cont e1
		handled e1 => 1
		state e1 => S
	`},
	{"interrupt of a listening thread reports the group-stop again", `
		seize l
		kill STOP
		look l => signal STOP
		cont l STOP
		look l => group STOP
		listen l
		look l => none
		interrupt l
		look l => group STOP
		reap l => group STOP
		listen l
		look l => none
		interrupt l
		look l => group STOP
		parent => stopped
		kill CONT
		look l => group STOP
		listen l
		look l => trap
		cont l
		look l => signal CONT
		cont l CONT
		state l => S
		parent => stopped, continued
	`},
	{"CONT out of a group-stop runs user code behind the parent's back", `
		seize s1
		kill STOP
		look s1 => group STOP
		parent => stopped
		state s1 => t
		cont s1
		state s1 => R
		parent => stopped
		state e1 => T
		kill CONT
		look s1 => trap
		cont s1
		parent => stopped, continued
	`},
	{"seize of a stopped process: group-stop, the parent hears nothing of it", `
		kill STOP
		parent => stopped
		state e1 => T
		seize e1
		look e1 => group STOP
		listen e1
		look e1 => none
		exit
		tracer e1 => 0
		state e1 => T
		parent => stopped
		B: seize e1
		B: look e1 => group STOP
		kill CONT
		B: listen e1
		B: look e1 => trap
		B: cont e1
		state e1 => S
		parent => stopped, continued
	`},
	{"a tracer's end leaves a stopped process stopped", `
		seize l
		seize e1
		seize e2
		kill STOP
		look l => signal STOP
		cont l STOP
		look l => group STOP
		look e1 => group STOP
		look e2 => group STOP
		listen l
		reap e1 => group STOP
		exit
		tracer l => 0
		state l => T
		state e1 => T
		state e2 => T
		parent => stopped
		kill CONT
		state l => S
		state e1 => S
		parent => stopped, continued
	`},
	{"a stop signal that was looked at outlives its tracer", `
		seize l
		kill STOP
		look l => signal STOP
		exit
		state l => T
		state e1 => T
		parent => stopped
		kill CONT
		state e1 => S
	`},
	{"SIGCONT undoes a stop signal that is being delivered", `
		seize l
		seize e1
		kill STOP
		look l => signal STOP
		kill CONT
		look e1 => trap
		cont l STOP
		look l => trap
		cont l
		look l => signal CONT
		cont l CONT
		cont e1
		state l => S
		state e1 => S
		parent =>
	`},
	{"a signal that a traced leader is too busy for wakes an untraced thread, ignored or not", `
		seize l
		signal l CHLD
		look l => signal CHLD
		kill WINCH
		eintr e1 => 1
		state e1 => S
		cont l CHLD
		state l => S
		look l => none
	`},
	{"SIGCONT to a running process traps each seized thread", `
		seize l
		seize e1
		seize s1
		kill CONT
		look l => trap
		look e1 => trap
		look s1 => trap
		result e1 => -4
		restart e1
		cont l
		look l => signal CONT
		cont l CONT
		cont e1
		cont s1
		state l => S
		state e1 => S
		state s1 => R
		eintr e1 => 0
		parent =>
	`},
	{"a stopped thread keeps a signal waiting, and a group-stop", `
		handle USR1 handler
		seize l
		seize e1
		interrupt e1
		look e1 => trap
		reap e1 => trap
		signal e1 USR1
		kill STOP
		look l => signal STOP
		cont l STOP
		look l => group STOP
		look e1 => none
		parent =>
		cont e1
		look e1 => group STOP
		parent => stopped
		listen e1
		listen l
		kill CONT
		look e1 => trap
		look l => trap
		cont l
		look l => signal CONT
		cont l CONT
		cont e1
		look e1 => signal USR1
		cont e1 USR1
		handled e1 => 1
	`},
	{"a thread's exit waits for its tracer", `
		seize e1
		end e1
		look e1 => exited 0
		look any => e1 exited 0
		state e1 => Z
		interrupt e1
		cont e1 => ESRCH
		seize e1 => EPERM
		reap e1 => exited 0
		look e1 => ECHILD
		look any => ECHILD
		interrupt e1 => ESRCH
		state e1 => gone
		end e2
		state e2 => gone
	`},
	{"a tracer's end buries its dead", `
		seize e1
		end e1
		look e1 => exited 0
		exit
		state e1 => gone
	`},
	{"a zombie leader can't be seized, the others can", `
		end l
		state l => Z
		seize l => EPERM
		seize e1
		interrupt e1
		look e1 => trap
		cont e1
		state e1 => S
	`},
	{"the exit of a leader is reported last", `
		seize l
		seize e1
		end l
		state l => Z
		look l => none
		look any => none
		kill KILL
		look e1 => killed KILL
		look l => none
		reap e1 => killed KILL
		look l => killed KILL
		parent =>
		reap l => killed KILL
		parent => killed 9
		look any => ECHILD
	`},
	{"the end of a leader's tracer hands its exit on", `
		seize l
		kill KILL
		look l => killed KILL
		parent =>
		exit
		parent => killed 9
	`},
	{"SIGKILL ends every stop", `
		seize e1
		seize e2
		seize f1
		interrupt e1
		look e1 => trap
		signal e2 CHLD
		look e2 => signal CHLD
		kill KILL
		look e1 => killed KILL
		look e2 => killed KILL
		look f1 => killed KILL
		cont e1 => ESRCH
		cont e2 CHLD => ESRCH
		reap e1 => killed KILL
		reap e2 => killed KILL
		reap f1 => killed KILL
		look any => ECHILD
		parent => killed 9
	`},
	{"a fatal signal stops before it kills", `
		seize e1
		signal e1 TERM
		look e1 => signal TERM
		state e2 => S
		cont e1 TERM
		look e1 => killed TERM
		reap e1 => killed TERM
		parent => killed 15
	`},
	{"an exit can be made to stop first", `
		seize e1 exit
		end e1
		look e1 => exit-stop
		message e1 =>
		state e1 => t
		cont e1
		look e1 => exited 0
		reap e1 => exited 0
		look any => ECHILD
	`},
	{"a thread that stops at its exit takes no interrupt, and stops when it is killed", `
		seize e1 exit
		seize e2 exit
		end e1
		look e1 => exit-stop
		interrupt e1
		cont e1
		look e1 => exited 0
		reap e1 => exited 0
		kill KILL
		look e2 => exit-stop
		cont e2
		look e2 => killed KILL
		reap e2 => killed KILL
		parent => killed 9
	`},
	{"exit_group ends all with one code", `
		seize l
		seize e1
		exit_group 3
		look e1 => exited 3
		look l => none
		reap e1 => exited 3
		look l => exited 3
		reap l => exited 3
		parent => exited 3
	`},
	{"a birth stops creator and child, which is born a tracee", `
		seize c1 clone
		birth c1
		look c1 => clone
		message c1 => new
		look new => trap
		tracer new => A
		cont new
		look new => exited 0
		reap new => exited 0
		look new => ECHILD
		interrupt c1
		cont c1
		look c1 => trap
	`},
	{"exec by the leader can be answered after a look", `
		seize l exec
		exec l
		look l => exec
		message l => l
		cont l
		state l => S
		look l => none
		tracer l => A
	`},
	{"seize sleeps while the target execs", `
		seize e1
		exec l
		look e1 => exited 0
		B: begin seize l
		begun B => false
		reap e1 => exited 0
		begun B => true
		tracer l => B
		B: look l => none
	`},
	{"exec by another: takes the leader's number, and has to be reaped first", `
		B: seize l exec
		seize e1 exec
		seize f1 exec
		exec e1
		look f1 => exited 0
		B: look l => none
		reap f1 => exited 0
		look l => exec
		B: look any => ECHILD
		look any => l exec
		look e1 => ECHILD
		message l => ESRCH
		cont l => ESRCH
		interrupt l
		reap l => exec
		message l => e1
		look l => none
		cont l
		look l => trap
		cont l
		state l => S
		tracer l => A
	`},
}

func TestConformanceFake(t *testing.T) {
	for _, s := range scripts {
		t.Run(s.rule, func(t *testing.T) { runScript(t, newFakeWorld(t, cast(s.script)), s.script) })
	}
}
