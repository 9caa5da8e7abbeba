package attacher

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"massattach/internal/sys"
	"massattach/procfs"
)

// ProcFS is a mounted proc file system, as [Options.Proc] wants it.
type ProcFS struct{ procfs.FS }

// Open opens a process; an error that is fs.ErrNotExist says that there is
// none, a *[procfs.NotLeaderError] that pid is a thread of another, and
// [ErrForeignProc] that the numbers here are no use to who traces.
func (p ProcFS) Open(pid int) (Process, error) {
	if own, err := p.OwnNamespace(); err == nil && !own {
		return nil, ErrForeignProc
	}
	process, err := p.FS.Open(pid)
	if err != nil {
		return nil, err
	}
	return &procProcess{Process: process, fs: p.FS}, nil
}

// LastPID moves whenever a thread or process is born in the reader's PID
// namespace. Where p is the /proc of another one (a host's, mounted in a
// container) that says nothing, and it answers errors.ErrUnsupported.
func (p ProcFS) LastPID() (int, error) {
	if err := p.countsOurs(); err != nil {
		return 0, err
	}
	return p.FS.LastPID()
}

// countsOurs has an error where p's numbers are not those of our PID namespace.
func (p ProcFS) countsOurs() error {
	own, err := p.OwnNamespace()
	if err == nil && !own {
		err = errors.ErrUnsupported
	}
	return err
}

// birthTakes is what a birth takes a CPU at the least.
const birthTakes = 10 * time.Microsecond

// Numbers is about the same namespace, and has the same errors.
func (p ProcFS) Numbers() (last int, turn time.Duration, err error) {
	if err := p.countsOurs(); err != nil {
		return 0, 0, err
	}
	last, free, err := p.FS.Numbers()
	if err != nil {
		return 0, 0, err
	}
	// Of the machine: runtime.NumCPU are those that we may run on.
	b, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return 0, 0, err
	}
	cpus, err := countList(string(b))
	if err != nil {
		return 0, 0, err
	}
	return last, time.Duration(free/cpus) * birthTakes, nil
}

// countList counts the members of a list as sysfs has it: "0-3,8".
func countList(list string) (n int, err error) {
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		first, last, ok := strings.Cut(part, "-")
		if !ok {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err := errors.Join(err1, err2); err != nil || from > to {
			return 0, fmt.Errorf("%q is no list of CPUs: %w", list, cmp.Or(err, procfs.ErrFormat))
		}
		n += to - from + 1
	}
	return n, nil
}

type procProcess struct {
	*procfs.Process
	fs   procfs.FS
	once sync.Once
	us   procfs.Status // of our own main thread
	ns   string        // our user namespace, "" when unknown
	yama int
}

// Facts reads what may explain why tid can't be seized. What can't be read is
// as it would be if it stood in nobody's way.
func (p *procProcess) Facts(tid int) (Facts, error) {
	p.once.Do(p.readOurs)
	st, err := p.Status(tid)
	if err != nil {
		return Facts{}, err
	}
	pid := p.PID()
	f := Facts{
		TID:          tid,
		State:        st.State,
		KernelThread: st.Kthread == 1,
		Self:         pid == os.Getpid(),
		TracesUs:     p.us.TracerPid != 0 && p.tgid(p.us.TracerPid) == pid,
		TracerTID:    st.TracerPid,
		UID:          st.Uid[0],
		OurUID:       p.us.Uid[0],
		SameUser:     sameUser(p.us.Uid[0], st.Uid) && sameUser(p.us.Gid[0], st.Gid),
		Privileged:   p.us.CapEff&(1<<sys.CapSysPtrace) != 0,
		MoreCaps:     st.CapPrm&^p.us.CapPrm != 0,
		SameUserNS:   true,
		Dumpable:     p.dumpable(tid, st.Uid[1]),
		Yama:         p.yama,
		Seccomp:      p.us.Seccomp > 0,
	}
	p.findUserNS(&f)
	if p.yama == 1 {
		f.Descendant = p.descends(st.PPid)
	}
	if st.Kthread < 0 {
		// Linux before 6.8 has no such line.
		if s, err := p.Stat(tid); err == nil {
			f.KernelThread = s.KernelThread()
		}
	}
	if f.TracerTID != 0 {
		f.TracerPID = p.tgid(f.TracerTID)
		if f.TracerPID != 0 {
			f.TracerComm = p.name(f.TracerPID)
		}
	}
	return f, nil
}

func (p *procProcess) readOurs() {
	p.yama = -1
	if scope, err := p.fs.YamaScope(); err == nil {
		p.yama = scope
	}
	p.ns, _ = os.Readlink(p.path("self", "ns", "user"))
	us, err := p.fs.Open(os.Getpid())
	if err != nil {
		return
	}
	defer us.Close()
	p.us, _ = us.Status(os.Getpid())
}

// sameUser is the kernel's test: all of the target's ids are our real one
// (kernel/ptrace.c, __ptrace_may_access with PTRACE_MODE_REALCREDS).
func sameUser(ours int, theirs [4]int) bool {
	return theirs[0] == ours && theirs[1] == ours && theirs[2] == ours
}

func (p *procProcess) tgid(tid int) int {
	pid, err := p.fs.TGID(tid)
	if err != nil {
		return 0
	}
	return pid
}

func (p *procProcess) name(pid int) string {
	q, err := p.fs.Open(pid)
	if err != nil {
		return ""
	}
	defer q.Close()
	comm, _ := q.Comm(pid)
	return comm
}

func (p *procProcess) path(elem ...string) string {
	root := p.fs.Root
	if root == "" {
		root = "/proc"
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// InitialUserNS is the link of the user namespace that all others are in; its
// number is fixed (include/linux/proc_ns.h, PROC_USER_INIT_INO).
const InitialUserNS = "user:[4026531837]"

// findUserNS finds out whether the process lives in our user namespace, and
// whether we have CAP_SYS_PTRACE in its own. No file says so of a namespace that
// is not ours, but the kernel shows the link of one only to who has the
// capability there (PTRACE_MODE_READ; security/commoncap.c,
// cap_ptrace_access_check).
func (p *procProcess) findUserNS(f *Facts) {
	theirs, err := os.Readlink(p.path(strconv.Itoa(p.PID()), "ns", "user"))
	switch {
	case p.ns == "":
	case err == nil && theirs != p.ns:
		f.SameUserNS, f.Privileged = false, true
	case !errors.Is(err, fs.ErrPermission) || p.ns == InitialUserNS:
	case f.Privileged, f.SameUser && f.Dumpable && !f.MoreCaps:
		// Within one namespace that is enough.
		f.SameUserNS, f.Privileged = false, false
	}
}

// descends follows the parents of a process, as Yama does
// (security/yama/yama_lsm.c, task_is_descendant).
func (p *procProcess) descends(parent int) bool {
	for parent > 1 && parent != os.Getpid() {
		q, err := p.fs.Open(parent)
		if err != nil {
			return false
		}
		st, err := q.Status(parent)
		q.Close()
		if err != nil {
			return false
		}
		parent = st.PPid
	}
	return parent == os.Getpid()
}

// AskAccess asks the kernel whether it would let this process attach to the
// thread tid, and attaches to nobody: process_vm_readv(2) takes the same right,
// of a byte at address 0. It has no answer for a thread without memory, and must
// not be asked under a seccomp filter that has something against that call.
func AskAccess(tid int) Access {
	var b [1]byte
	switch err := sys.ReadMemory(tid, 0, b[:]); {
	case err == nil, errors.Is(err, syscall.EFAULT):
		return AccessGranted
	case errors.Is(err, syscall.EPERM):
		return AccessDenied
	}
	return AccessUnknown
}

// dumpable asks who owns the files of a thread: root when the process is not
// dumpable (fs/proc/base.c, task_dump_owner).
func (p *procProcess) dumpable(tid, euid int) bool {
	fi, err := os.Stat(p.path(strconv.Itoa(p.PID()), "task", strconv.Itoa(tid), "status"))
	if err != nil {
		return true
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == euid
}
