package dashboard

// Rows answers the dashboard, from top to bottom. An ID stays with what it was given
// to: links and alerts refer to it.
func Rows() []Row {
	return []Row{
		{ID: 100, Title: "Overview", Panels: overview()},
		{ID: 200, Title: "Latencies by style", Panels: latencies()},
		{ID: 300, Title: "Threads", Panels: threads()},
		{ID: 400, Title: "Perturbation", Panels: perturbation()},
		{ID: 500, Title: "Events", Panels: events()},
		{ID: 600, Title: "Errors", Panels: failures()},
	}
}

// who names a target: two instances may have one of the same name.
var who = []string{"target", "instance"}

func overview() []Panel {
	slow := quantile(0.5, "attach_duration_seconds", who...)
	return []Panel{
		{ID: 101, Title: "Slowest target", Kind: Number, Unit: Seconds, Width: 8, Height: 5,
			About:   "The target that takes longest to attach to, and how long (p50 of whole attaches).",
			Queries: []Query{{Expr: top(1, slow), Legend: "{{target}} on {{instance}}"}}},
		{ID: 102, Title: "Targets", Kind: Number, Unit: Count, Width: 4, Height: 5,
			About:   "How many targets are watched.",
			Queries: []Query{{Expr: "count(" + sum(metric("target_threads"), who...) + ")", Legend: "targets"}}},
		{ID: 103, Title: "Not converged", Kind: Number, Unit: Count, Width: 4, Height: 5, Alarm: new(1.0),
			About:   "Targets whose last attach did not find and reach every thread, or failed.",
			Queries: []Query{{Expr: "sum(1 - " + metric("converged") + ")", Legend: "not converged"}}},
		{ID: 104, Title: "Oldest probe", Kind: Number, Unit: Seconds, Width: 4, Height: 5,
			About:   "How long ago the target that waits longest was probed.",
			Queries: []Query{{Expr: "max(time() - " + metric("last_probe_timestamp_seconds") + ")", Legend: "age"}}},
		{ID: 105, Title: "Threads", Kind: Number, Unit: Count, Width: 4, Height: 5,
			About:   "Threads of all targets.",
			Queries: []Query{{Expr: sum(metric("target_threads")), Legend: "threads"}}},
		{ID: 106, Title: "Targets, the slowest first", Kind: Table, Width: 24, Height: 9,
			About: "The newest figures of each target. Converged is 1 when the last attach reached every thread.",
			Queries: []Query{
				{Expr: slow, Legend: "attach p50", Unit: Seconds},
				{Expr: quantile(0.99, "attach_duration_seconds", who...), Legend: "attach p99", Unit: Seconds},
				{Expr: sum(metric("target_threads"), who...), Legend: "threads", Unit: Count},
				{Expr: "min by (target, instance) (" + metric("converged") + ")", Legend: "converged", Unit: Count},
				{Expr: "max by (target, instance) (time() - " + metric("last_probe_timestamp_seconds") + ")", Legend: "probe age", Unit: Seconds},
			}},
		{ID: 107, Title: "The five slowest targets", Kind: Lines, Unit: Seconds, Width: 12, Height: 8,
			About:   "p50 of whole attaches.",
			Queries: []Query{{Expr: top(5, slow), Legend: "{{target}} on {{instance}}"}}},
		{ID: 108, Title: "Attach time per thread", Kind: Lines, Unit: Seconds, Width: 12, Height: 8,
			About: "Mean time of whole attaches by the number of threads: flat while an attach only grows as its target does.",
			Queries: []Query{{
				Expr:   top(5, "("+mean("attach_duration_seconds", who...)+") / "+sum(metric("target_threads"), who...)),
				Legend: "{{target}} on {{instance}}"}}},
	}
}

func latencies() []Panel {
	manner := []string{"style", "mechanism"}
	heat := func(name string, more ...string) []Query {
		return []Query{{Expr: sum(rate(name, more...)), Legend: "a second"}}
	}
	return []Panel{
		{ID: 201, Title: "Arrest, all threads", Kind: Lines, Unit: Seconds, Log: true, Width: 12, Height: 8,
			About:   "From the first request to the last thread that is confirmed to be stopped, or in the kernel.",
			Queries: quantiles("stop_duration_seconds", manner...)},
		{ID: 202, Title: "Arrest, per thread", Kind: Lines, Unit: Seconds, Log: true, Width: 12, Height: 8,
			About:   "From a thread's own request to its stop, or to the confirmation that it is in the kernel.",
			Queries: quantiles("stop_latency_seconds", manner...)},
		{ID: 203, Title: "Stops by how long they took, interrupt", Kind: Heatmap, Unit: Seconds, Width: 12, Height: 8,
			About:   "Threads a second, by how long their stop took. Needs native histograms.",
			Queries: heat("stop_latency_seconds", `style="interrupt"`)},
		{ID: 204, Title: "Stops by how long they took, notify", Kind: Heatmap, Unit: Seconds, Width: 12, Height: 8,
			About:   "Threads a second, by how long their stop took. Needs native histograms.",
			Queries: heat("stop_latency_seconds", `style="notify"`)},
		{ID: 205, Title: "Attach, all threads", Kind: Lines, Unit: Seconds, Log: true, Width: 8, Height: 8,
			About:   "From the first look at the list of threads to the last SEIZE.",
			Queries: quantiles("attach_duration_seconds")},
		{ID: 206, Title: "Attach, per thread", Kind: Lines, Unit: Seconds, Log: true, Width: 8, Height: 8,
			About:   "Duration of one SEIZE.",
			Queries: quantiles("seize_latency_seconds")},
		{ID: 207, Title: "Scan and detach", Kind: Lines, Unit: Seconds, Log: true, Width: 8, Height: 8,
			About: "A pass over the list of threads; and until all are let go.",
			Queries: append(named("scan", quantiles("scan_duration_seconds")),
				named("detach", quantiles("detach_duration_seconds"))...)},
		{ID: 208, Title: "Attaches by how long they took", Kind: Heatmap, Unit: Seconds, Width: 12, Height: 8,
			About:   "Attaches a second, by how long they took. Needs native histograms.",
			Queries: heat("attach_duration_seconds")},
		{ID: 209, Title: "Seized threads by how long it took", Kind: Heatmap, Unit: Seconds, Width: 12, Height: 8,
			About:   "Threads a second, by how long their SEIZE took. Needs native histograms.",
			Queries: heat("seize_latency_seconds")},
	}
}

func threads() []Panel {
	return []Panel{
		{ID: 301, Title: "Threads by state", Kind: Stack, Unit: Count, Width: 12, Height: 8,
			About:   "As /proc has them: R runs or is ready, S sleeps, D can't be interrupted, T is stopped by job control, t by a tracer, Z is a zombie.",
			Queries: []Query{{Expr: sum(metric("target_threads"), "state"), Legend: "{{state}}"}}},
		{ID: 302, Title: "Threads by phase", Kind: Stack, Unit: Count, Width: 12, Height: 8,
			About:   "Of the sessions that are open; a detach counts all as running.",
			Queries: []Query{{Expr: sum(metric("threads", `phase=~"found|running|stopping|held|listening|parked"`), "phase"), Legend: "{{phase}}"}}},
		{ID: 303, Title: "Threads in D, by target", Kind: Lines, Unit: Count, Width: 12, Height: 8,
			About:   "Threads that can't be interrupted; they pile up behind a slow disk or file server.",
			Queries: []Query{{Expr: top(5, sum(metric("target_threads", `state="D"`), who...)), Legend: "{{target}} on {{instance}}"}}},
		{ID: 304, Title: "Tracer threads", Kind: Lines, Unit: Count, Width: 12, Height: 8,
			About:   "Of massattach: one for some 500 threads, while a target is attached.",
			Queries: []Query{{Expr: sum(metric("tracers"), "instance"), Legend: "{{instance}}"}}},
	}
}

func perturbation() []Panel {
	return []Panel{
		{ID: 401, Title: "Interrupted calls", Kind: Lines, Unit: Rate, Width: 12, Height: 8,
			About: "Calls that went on unseen after a stop (repaired), and those that may have shown it (left).",
			Queries: []Query{
				{Expr: sum(rate("eintr_repaired_total")), Legend: "repaired"},
				{Expr: sum(rate("eintr_left_total")), Legend: "left"},
			}},
		{ID: 402, Title: "EINTR left, by target", Kind: Lines, Unit: Rate, Width: 12, Height: 8,
			About:   "Calls that may have returned early or with EINTR because of a stop. Should be 0.",
			Queries: []Query{{Expr: top(5, sum(rate("eintr_left_total"), who...)), Legend: "{{target}} on {{instance}}"}}},
		{ID: 403, Title: "Hold", Kind: Lines, Unit: Seconds, Log: true, Width: 12, Height: 8,
			About:   "How long threads were held, from the end of the arrest.",
			Queries: quantiles("hold_duration_seconds", "style")},
		{ID: 404, Title: "Signals forwarded", Kind: Lines, Unit: Seconds, Log: true, Width: 12, Height: 8,
			About:   "By how much a signal of the target's own was delayed while it was attached.",
			Queries: quantiles("signal_forward_latency_seconds")},
	}
}

func events() []Panel {
	return []Panel{
		{ID: 501, Title: "Events", Kind: Lines, Unit: Rate, Width: 24, Height: 8,
			About:   "What happened to the targets while they were attached. An overflow is a birth that the kernel's log had no room for; the thread is found by the next look.",
			Queries: []Query{{Expr: sum(rate("events_total"), "event"), Legend: "{{event}}"}}},
	}
}

func failures() []Panel {
	return []Panel{
		{ID: 601, Title: "Attach errors", Kind: Lines, Unit: Rate, Width: 12, Height: 8,
			About:   "Threads that could not be seized and attaches that came to nothing, by cause. massattach doctor PID says what to do about it.",
			Queries: []Query{{Expr: sum(rate("attach_errors_total"), "cause"), Legend: "{{cause}}"}}},
		{ID: 602, Title: "Threads missed by arrests", Kind: Lines, Unit: Rate, Width: 12, Height: 8,
			About:   "By reason: uninterruptible is D, vfork waits for its child, frozen is in a frozen cgroup, not-scheduled got no CPU.",
			Queries: []Query{{Expr: sum(rate("stop_missed_total"), "reason"), Legend: "{{reason}}"}}},
	}
}
