package procfs

import "bytes"

// Status is the part of task/TID/status that has a use here, with the kernel's
// names; proc_pid_status(5), fs/proc/array.c proc_pid_status.
//
// A line that this kernel does not print (each says since when it is there) or
// that was cut off leaves its field at 0 or empty, or at -1 where 0 is an
// answer.
type Status struct {
	Name      string // the thread's name, the kernel's escapes undone
	State     byte   // one of [States]
	Tgid      int    // the process; equal to Pid for its leader
	Ngid      int    // NUMA group, 0: none. Linux 3.13
	Pid       int    // the thread: the kernel calls a tid that
	PPid      int
	TracerPid int    // the tracing thread (its tid, not its process), 0: not traced
	Uid       [4]int // real, effective, saved, file system
	Gid       [4]int // real, effective, saved, file system
	NStgid    []int  // the process in each PID namespace, see NSpid. Linux 4.1
	NSpid     []int  // the thread in each PID namespace, from that of the proc mount to its own. Linux 4.1
	Kthread   int    // 1: a thread of the kernel's own, 0: not, -1: unknown. Linux 6.8
	Threads   int    // of the process; 0 for an ended one

	SigQ      uint64 // signals queued for the real user
	SigQLimit uint64 // and how many may be
	SigPnd    uint64 // pending for the thread; bit n-1 is signal n, here and below
	ShdPnd    uint64 // pending for the process
	SigBlk    uint64
	SigIgn    uint64
	SigCgt    uint64

	CapInh uint64
	CapPrm uint64
	CapEff uint64
	CapBnd uint64

	NoNewPrivs int // 0 or 1, -1: unknown. Linux 4.10
	Seccomp    int // 0 off, 1 strict, 2 filter, -1: unknown. Linux 3.8, if configured

	VoluntarySwitches    uint64 // the thread gave up the CPU
	NonvoluntarySwitches uint64 // it was taken from the thread
}

// InnermostPID is the thread's number in its own PID namespace, the one that the
// thread knows itself by: the same as Pid, unless it is in a container that the
// proc mount is outside of. Kernels before 4.1 don't tell: Pid.
func (s Status) InnermostPID() int {
	if len(s.NSpid) == 0 {
		return s.Pid
	}
	return s.NSpid[len(s.NSpid)-1]
}

// parseStatus reads the lines that it knows and passes over the others. The last
// one counts only if it is whole. It fails if there is none at all.
func parseStatus(b []byte) (Status, error) {
	s := Status{Kthread: -1, NoNewPrivs: -1, Seccomp: -1}
	known := false
	for {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			break
		}
		b = rest
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && s.set(key, value) {
			known = true
		}
	}
	if !known {
		return s, ErrFormat
	}
	return s, nil
}

// set takes one line and says whether it knew its key.
func (s *Status) set(key, value []byte) bool {
	if string(key) == "Name" {
		// Only the separator is cut off: a name may begin or end with blanks.
		s.Name = unescape(bytes.TrimPrefix(value, []byte("\t")))
		return true
	}
	value = bytes.TrimSpace(value)
	switch string(key) {
	case "State": // "S (sleeping)"
		if len(value) > 0 {
			s.State = value[0]
		}
	case "Tgid":
		setInt(&s.Tgid, value)
	case "Ngid":
		setInt(&s.Ngid, value)
	case "Pid":
		setInt(&s.Pid, value)
	case "PPid":
		setInt(&s.PPid, value)
	case "TracerPid":
		setInt(&s.TracerPid, value)
	case "Uid":
		setInts(&s.Uid, value)
	case "Gid":
		setInts(&s.Gid, value)
	case "NStgid":
		s.NStgid = appendInts(nil, value)
	case "NSpid":
		s.NSpid = appendInts(nil, value)
	case "Kthread":
		setInt(&s.Kthread, value)
	case "Threads":
		setInt(&s.Threads, value)
	case "SigQ": // "0/96365"
		queued, limit, _ := bytes.Cut(value, []byte("/"))
		setUint(&s.SigQ, queued)
		setUint(&s.SigQLimit, limit)
	case "SigPnd":
		setHex(&s.SigPnd, value)
	case "ShdPnd":
		setHex(&s.ShdPnd, value)
	case "SigBlk":
		setHex(&s.SigBlk, value)
	case "SigIgn":
		setHex(&s.SigIgn, value)
	case "SigCgt":
		setHex(&s.SigCgt, value)
	case "CapInh":
		setHex(&s.CapInh, value)
	case "CapPrm":
		setHex(&s.CapPrm, value)
	case "CapEff":
		setHex(&s.CapEff, value)
	case "CapBnd":
		setHex(&s.CapBnd, value)
	case "NoNewPrivs":
		setInt(&s.NoNewPrivs, value)
	case "Seccomp":
		setInt(&s.Seccomp, value)
	case "voluntary_ctxt_switches":
		setUint(&s.VoluntarySwitches, value)
	case "nonvoluntary_ctxt_switches":
		setUint(&s.NonvoluntarySwitches, value)
	default:
		return false
	}
	return true
}

// A value that is no number leaves the field as if the line were not there.

func setInt(dst *int, b []byte) {
	if n, ok := parseInt(b); ok {
		*dst = n
	}
}

func setUint(dst *uint64, b []byte) {
	if n, ok := parseUint(b); ok {
		*dst = n
	}
}

func setHex(dst *uint64, b []byte) {
	if n, ok := parseHex(b); ok {
		*dst = n
	}
}

func setInts(dst *[4]int, b []byte) {
	var buf [4]int
	if got := appendInts(buf[:0], b); len(got) == 4 {
		*dst = [4]int(got)
	}
}

// appendInts appends numbers that are separated by blanks, up to the first that
// is none.
func appendInts(dst []int, b []byte) []int {
	for {
		b = bytes.TrimLeft(b, " \t")
		i := bytes.IndexAny(b, " \t")
		if i < 0 {
			i = len(b)
		}
		n, ok := parseInt(b[:i])
		if !ok {
			return dst
		}
		dst = append(dst, n)
		b = b[i:]
	}
}

// unescape undoes what proc_task_name (fs/proc/array.c) does to a name in status,
// and only there: a newline becomes \n, a backslash \\.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\\' && i+1 < len(b) {
			switch b[i+1] {
			case 'n':
				c = '\n'
				i++
			case '\\':
				i++
			}
		}
		out = append(out, c)
	}
	return string(out)
}
