package procfs

import (
	"bytes"
	"math"
)

// Stat is the part of task/TID/stat that has a use here; proc_pid_stat(5),
// fs/proc/array.c do_task_stat.
type Stat struct {
	TID        int
	Comm       string // the thread's name, as it is
	State      byte   // one of [States]
	PPID       int
	PGRP       int
	Session    int
	TTY        int // device number, 0: none
	Flags      uint32
	UTime      uint64 // in user mode, clock ticks (1/100 s), of this thread alone
	STime      uint64 // in the kernel, clock ticks, of this thread alone
	NumThreads int
	StartTime  uint64 // since boot, clock ticks
	VSize      uint64 // bytes; 0 also where the file ends before it
}

// pfKthread is PF_KTHREAD, include/linux/sched.h.
const pfKthread = 0x00200000

// KernelThread says whether the thread is one of the kernel's own, which cannot
// be traced.
func (s Stat) KernelThread() bool { return s.Flags&pfKthread != 0 }

// ID is the thread's identity.
func (s Stat) ID() ID { return ID{TID: s.TID, Start: s.StartTime} }

// ID tells a thread from another one that was given the same number after it.
// It is comparable. Two threads share an ID only if the kernel gave out all
// other numbers within one clock tick (10 ms).
type ID struct {
	TID   int
	Start uint64 // clock ticks since boot, Stat.StartTime
}

// parseStat reads a line of stat. The name stands in parentheses and may have
// some of its own, so it ends at the last one of the line: no field after it
// has any.
//
// Everything up to the start time has to be there, each number whole.
func parseStat(b []byte) (Stat, error) {
	var s Stat
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open || b[open-1] != ' ' {
		return s, ErrFormat
	}
	var ok bool
	if s.TID, ok = parseInt(b[:open-1]); !ok {
		return s, ErrFormat
	}
	s.Comm = string(b[open+1 : end])
	rest, ok := bytes.CutPrefix(b[end+1:], []byte(" "))
	if !ok {
		return s, ErrFormat
	}
	for i := 3; i <= 23; i++ { // numbered as in the man page
		var f []byte
		if f, rest, ok = cutField(rest); !ok {
			if i == 23 {
				break
			}
			return s, ErrFormat
		}
		var u uint64
		switch i {
		case 3:
			if ok = len(f) == 1; ok {
				s.State = f[0]
			}
		case 4:
			s.PPID, ok = parseInt(f)
		case 5:
			s.PGRP, ok = parseInt(f)
		case 6:
			s.Session, ok = parseInt(f)
		case 7:
			s.TTY, ok = parseInt(f)
		case 9:
			u, ok = parseUint(f)
			ok = ok && u <= math.MaxUint32
			s.Flags = uint32(u)
		case 14:
			s.UTime, ok = parseUint(f)
		case 15:
			s.STime, ok = parseUint(f)
		case 20:
			s.NumThreads, ok = parseInt(f)
		case 22:
			s.StartTime, ok = parseUint(f)
		case 23:
			s.VSize, ok = parseUint(f)
		}
		if !ok {
			return s, ErrFormat
		}
	}
	return s, nil
}
