// Package threadset remembers the threads of one process while they are
// traced: who they are, what phase each is in, whose tracee each is; and it
// refuses moves between phases that can't be.
//
// # Phases
//
// A thread is found in a listing and given to a tracer. When that has seized
// it, it is running, and stays so whatever it does: signals that are
// forwarded and events that are let pass don't stop it in the sense of this
// package. Who wants it stopped makes it stopping; its stop, when it comes
// and is kept, makes it held; resumed, it is running again. A group-stop
// leaves it listening. In notify style it is parked while it is confirmed to
// be in the kernel. It ends as exited; or it never was ours: vanished before
// its SEIZE, a zombie leader, or failed. Whether job control has it stopped
// is a bit beside the phase.
//
// [Next] is the one transition function, a total one; this is its table, as
// [Diagram] draws it:
//
//	stateDiagram-v2
//	    [*] --> found
//	    found --> running : seized
//	    found --> vanished : missing
//	    found --> zombie : leader-zombie
//	    found --> failed : refused
//	    running --> running : passed, execed
//	    running --> stopping : interrupted
//	    running --> held : stopped
//	    running --> listening : listened
//	    running --> parked : in-kernel
//	    running --> exited : ended
//	    running --> vanished : let-go
//	    stopping --> running : resumed
//	    stopping --> stopping : interrupted, passed, execed
//	    stopping --> held : stopped
//	    stopping --> listening : listened
//	    stopping --> parked : in-kernel
//	    stopping --> exited : ended
//	    stopping --> vanished : let-go
//	    held --> running : passed, resumed
//	    held --> held : stopped, execed
//	    held --> listening : listened
//	    held --> exited : ended
//	    held --> vanished : let-go
//	    listening --> running : passed, continued
//	    listening --> stopping : interrupted
//	    listening --> held : stopped
//	    listening --> listening : listened
//	    listening --> exited : ended
//	    listening --> vanished : let-go
//	    parked --> running : unparked
//	    parked --> stopping : interrupted
//	    parked --> held : stopped
//	    parked --> listening : listened
//	    parked --> parked : passed, in-kernel, execed
//	    parked --> exited : ended
//	    parked --> vanished : let-go
//	    exited --> [*]
//	    vanished --> [*]
//	    zombie --> [*]
//	    failed --> [*]
//
// # Ownership
//
// A [Set] has one [Shard] for each tracer. One tracee has one owner, the
// tracer that seized it, and only that adds and moves its record; anybody may
// read at any time. Nothing here makes a system call, starts a goroutine or
// calls back with a lock held.
//
// Lock order: shards by their number, then the index of the set. All but
// [Set.Rename] hold at most one shard's lock.
//
// # Size
//
// A thread takes about 55 bytes, all indexes included, and no pointers;
// [Set.Missing] borrows up to 22 more while it runs. The record of a thread
// that exited or vanished is dropped in the move that ends it, that of a
// zombie or failed one when a listing lacks it, and the room is used again: a
// target that makes and ends threads for days takes what its largest number
// of threads at one time did. [Totals] keep the account.
package threadset
