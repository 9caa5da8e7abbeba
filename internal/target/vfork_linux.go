//go:build linux && (amd64 || arm64)

package target

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A vfork is a thread that waits for its child of vfork to end.
type vfork struct {
	index  int // of the control block
	script []step
	r, w   int // a pipe: what the child waits for
}

// startVfork makes a thread that vforks, and waits until it is blocked in that.
// The child has a copy of the memory: so the script holds the child's calls,
// and once there is a child, what its parent does when it has ended.
func (in *inner) startVfork() (Vfork, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return Vfork{}, fmt.Errorf("pipe2: %w", err)
	}
	i, err := in.take()
	if err != nil {
		return Vfork{}, err
	}
	t := &in.mem.tcbs[i]
	t.kind = timed
	if err := in.arm(t, timed); err != nil {
		return Vfork{}, err
	}
	v := &vfork{index: i, r: p[0], w: p[1]}
	v.script, t.script = in.mem.script(4)
	v.script[0] = step{nr: unix.SYS_CLONE, args: [6]uint64{unix.CLONE_VFORK}}
	v.script[1] = step{nr: unix.SYS_PRCTL, args: [6]uint64{unix.PR_SET_PDEATHSIG, uint64(unix.SIGKILL)}}
	v.script[2] = step{nr: unix.SYS_READ, args: [6]uint64{uint64(v.r), addr(&t.buf[0]), 1}}
	v.script[3] = step{nr: unix.SYS_EXIT_GROUP}
	t.steps = uint64(len(v.script))
	if err := in.start(i); err != nil {
		in.release(i)
		return Vfork{}, err
	}
	tid := int(t.tid)
	var child int
	born := func() bool {
		path := fmt.Sprintf("/proc/self/task/%d/children", tid)
		n, err := fmt.Sscan(string(readFile(path, nil)), &child)
		return n == 1 && err == nil
	}
	if err := waitFor("the child of vfork", born); err != nil {
		return Vfork{}, err
	}
	v.script[1] = step{nr: unix.SYS_WAIT4, args: [6]uint64{uint64(child), 0, unix.WALL}}
	v.script[2] = step{nr: unix.SYS_GETPPID}
	v.script[3] = step{nr: unix.SYS_GETPPID}
	in.vforks[tid] = v
	return Vfork{TID: tid, PID: child}, nil
}

// endVfork lets the child end, and with it the thread.
func (in *inner) endVfork(tid int) error {
	v := in.vforks[tid]
	if v == nil {
		return fmt.Errorf("thread %d has not called vfork", tid)
	}
	t := &in.mem.tcbs[v.index]
	if _, err := unix.Write(v.w, []byte{0}); err != nil {
		return fmt.Errorf("wake the child: %w", err)
	}
	if err := waitFor("the end of vfork", func() bool { return atomic.LoadUint32(&t.state) == 1 }); err != nil {
		return err
	}
	if child := v.script[0].ret; child <= 0 || v.script[1].ret != child {
		return errors.New("vfork answered " + resultName(child) + ", wait4 " + resultName(v.script[1].ret))
	}
	delete(in.vforks, tid)
	_ = unix.Close(v.r)
	_ = unix.Close(v.w)
	return in.end(tid)
}
