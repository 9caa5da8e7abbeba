// Package report is what the command says: the JSON contract as Go structs,
// and the same told to people.
//
// A [Session] is the account of one process that was attached to. [Threads],
// [Counts] and [Process] are lists from /proc, [Exams] are what threads were found
// to do. [Demo] compares what a process
// noticed of several treatments. [Failed] stands in the place of any of them
// where there is nothing to report. Each has a method Text, which writes it for
// people, and is an object of its own for [WriteJSON]. An [Event] is one of many
// that happen to a process, and appends itself to a buffer in either way.
//
// The keys of the JSON are a contract: they stay, and more may be added. Times
// are in nanoseconds, empty lists are [], and what is absent is said so at the
// field.
//
// Names of threads and processes are any bytes but NUL. In text they go through
// [Quote], so that none of them moves a cursor, ends a line or looks like
// another name. JSON can't carry bytes that are no UTF-8: each becomes U+FFFD,
// and whatever does not print is escaped.
package report
