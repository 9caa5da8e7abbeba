package attachertest_test

// Seizing, interrupting, waiting, letting go.
var attachScripts = []script{
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
}
