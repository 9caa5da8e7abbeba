package attachertest_test

// Births, exits, exec.
var exitScripts = []script{
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
	{"a thread that is killed out of a group-stop may be in its exit stop", `
		seize l
		seize e1 exit
		kill STOP
		look l => signal STOP
		cont l STOP
		look l => group STOP
		look e1 => group STOP
		reap e1 => group STOP
		kill KILL
		look e1 => exit-stop
		listen e1 => EIO
		look e1 => exit-stop
		cont e1
		look e1 => killed KILL
	`},
	{"a stop can be reaped without its thread's exit", `
		seize l
		seize e1
		interrupt e1
		look e1 => trap
		reapstop e1 => trap
		reapstop e1 => none
		kill KILL
		look e1 => killed KILL
		reapstop e1 => ECHILD
		look e1 => killed KILL
		reap e1 => killed KILL
		reapstop e1 => ECHILD
	`},
	{"an exec waits for threads in their exit stops", `
		seize e1 exit
		exec l
		look e1 => exit-stop
		B: begin seize l
		begun B => false
		cont e1
		look e1 => exited 0
		reap e1 => exited 0
		begun B => true
		tracer l => B
	`},
}
