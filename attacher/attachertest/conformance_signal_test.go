package attachertest_test

// Signals, handlers, and what becomes of the interrupted call.
var signalScripts = []script{
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
	{"a tracer's end lets a thread that is held there run its handler", `
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
	{"a call that is about to be restarted stays so behind a second handler", `
		handle USR1 restart
		handle USR2 handler
		seize f1
		interrupt f1
		look f1 => trap
		result f1 => -512
		signal f1 USR1
		signal f1 USR2
		cont f1
		look f1 => signal USR1
		cont f1 USR1
		look f1 => signal USR2
		incall f1 => false
		cont f1 USR2
		handled f1 => 2
		state f1 => S
		eintr f1 => 0
		early f1 => 0
	`},
}
