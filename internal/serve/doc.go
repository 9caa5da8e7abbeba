// Package serve is the daemon: it watches processes, attaches to each of them from
// time to time, arrests its threads if that is asked for, lets them go, and shows
// how long all that took.
//
// A [Target] says which process, by its number, by a file that has it, or by a
// [Rule]; and what is done to it, and how often. A [Daemon] has a watcher for each,
// a goroutine that finds the process, waits for its end without a thread or a timer
// (a pidfd), and probes it. Between two probes of a process that is there nothing is
// read and nobody is traced.
//
// # What a probe is
//
// Attach, an arrest in each of the styles, one after the other, with no hold, and the
// detach; with Target.Keep the first and the last of these happen once, and a probe is
// the arrests. One probe is under way at a time, whatever the number of targets: two
// would measure each other. It is bounded by Target.Deadline, and a target that is
// still being probed when the next is due misses that one. Who is traced by somebody
// else is left alone, and counted.
//
// # What the network can do
//
// Read. The handler of [NewHandler] answers GET and HEAD, has the metrics, the state of
// the targets and the last report of each, and nothing that starts, stops or changes
// anything. [Server] bounds connections, sizes and times.
//
// # Order of locks
//
// A daemon's, then a watcher's. None is held while something is waited for.
package serve
