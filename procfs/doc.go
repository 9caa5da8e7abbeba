// Package procfs finds the threads of a process and reads what /proc says of
// each of them. It traces nobody, starts no goroutines and keeps one file
// descriptor a process.
//
// [FS] is a mounted proc file system (its zero value is /proc), [FS.Open]
// gives a [Process], and a Process lists its threads ([Process.AppendTIDs],
// [Process.Chunks]), reads one ([Process.Stat], [Process.Status],
// [Process.Syscall], ...) or picks some of them ([Process.Select],
// [Process.Threads]). A [Task] is one thread that was opened, for who looks at it
// again and again.
//
// # What is read
//
// For a thread only PID/task/TID/FILE, by openat(2) on the directory that Open
// opened. There are three reasons:
//
//   - PID/stat of a process sums its whole thread group: 25 ms a read where
//     there are 100,000 threads. PID/task/TID/stat of the same thread costs 8 µs.
//   - The directory belongs to the process, not to its number: when the process
//     is gone every read answers that it does not exist, also when the number
//     has been given to another. In the same way a thread number that belongs
//     to another process by now is not found in there.
//   - PID/maps and the like are empty for a zombie leader (below).
//
// # Caveats
//
// A pass over the list is no snapshot. The kernel (fs/proc/base.c,
// proc_task_readdir) hands the list out a buffer at a time and finds its place
// again by the number of the thread that did not fit. When that thread has
// ended it falls back to counting positions, and the list has shrunk by then:
// as many live threads are skipped as have ended before that place. When the
// thread at which it stands ends during a call, that call ends early, and the
// next one counts positions, too. So a pass during which threads end may miss
// live ones; a thread that is born during a pass may be in it or not; and one
// that was listed may be gone.
//
// The length of a pass does not show it. Of 100 threads 8 are listed, then those
// end, and the ninth, where the kernel would have gone on: the next 8 are
// skipped, and a pass of 91 agrees with the 91 that [Process.NumThreads] counts.
// What can be relied on:
//
//   - Holes come only from threads that were listed in this pass (or were about
//     to be, a window of nanoseconds) and left the list before its end. A pass
//     is whole if all it listed are still in the next one; [Process.Select] and
//     [Process.Threads] pass again, a few times, until that is so.
//   - A tracer that reaps none of its tracees during a pass keeps them in the
//     list, so they make no holes.
//   - Who knows as many threads that live as NumThreads counts knows all.
//
// A zombie leader is the first thread of a process, ended before the others. It
// stays in the list, in state Z, and the process lives on. It is one more
// thread, nothing else; the rest can be listed and read as ever.
//
// A vanished thread is a result. Errors for it, and for a process that is gone,
// answer true to errors.Is(err, fs.ErrNotExist), whether the kernel said ENOENT
// (when the file was opened) or ESRCH (when it was read).
//
// A thread name is up to 15 bytes (longer for kernel threads) of anything but
// NUL: slashes, parentheses, newlines, bytes that are no UTF-8. It is given as
// it is; who prints it has to quote it.
//
// All numbers of processes and threads are those of the PID namespace that the
// proc file system was mounted for. [Status.NSpid] has the others.
//
// Signals are no reason to fail: EINTR is retried everywhere.
//
// On systems other than Linux the package builds, and every read answers an
// error that wraps [errors.ErrUnsupported].
package procfs

//go:generate go run gen_syscalls.go
