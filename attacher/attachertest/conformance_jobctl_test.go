package attachertest_test

// Job control.
var jobctlScripts = []script{
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
}
