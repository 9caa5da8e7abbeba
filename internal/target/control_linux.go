//go:build linux && (amd64 || arm64)

package target

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// control obeys commands until its input ends. It is one goroutine on one
// thread, makes system calls only, and never waits for another goroutine.
func (in *inner) control() {
	setComm("control")
	setMask(^uint64(0))
	serve(0, 1, in.obey)
	pause(in.spec.For)
	line, _ := json.Marshal(in.account())
	_ = writeAll(1, append(line, '\n'))
	in.quit(0)
}

// quit ends the process and what would outlive it. Those who wait for a
// semaphore leave when it is removed: thousands that called again and again
// would keep the CPUs from everybody else.
func (in *inner) quit(code int) {
	for i := range in.used {
		if t := &in.mem.tcbs[i]; t.used && int(t.kind) == sem {
			atomic.StoreUint32(&t.ctl, ctlEnd)
		}
	}
	removeSysV(in.sysV())
	_, _ = call(unix.SYS_EXIT_GROUP, uint64(code))
}

// serve reads requests, one a line, and writes their replies.
func serve(from, to int, obey func(request) (any, error)) {
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := unix.Read(from, chunk)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}}, -1)
			continue
		case n <= 0 || err != nil:
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			line, rest, ok := bytes.Cut(buf, []byte("\n"))
			if !ok {
				break
			}
			if len(bytes.TrimSpace(line)) > 0 {
				if writeAll(to, answer(line, obey)) != nil {
					return
				}
			}
			buf = rest
		}
	}
}

func answer(line []byte, obey func(request) (any, error)) []byte {
	var q request
	var r reply
	var result any
	err := json.Unmarshal(line, &q)
	if err == nil {
		r.ID = q.ID
		result, err = obey(q)
	}
	if err == nil && result != nil {
		r.Result, err = json.Marshal(result)
	}
	if err != nil {
		r.Error = err.Error()
		var errno syscall.Errno
		if errors.As(err, &errno) {
			r.Errno = int(errno)
		}
	}
	b, _ := json.Marshal(r)
	return append(b, '\n')
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// obey carries out one command.
func (in *inner) obey(q request) (any, error) {
	if q.Signal < 0 || q.Signal > 64 {
		return nil, fmt.Errorf("no signal %d", q.Signal)
	}
	for _, sig := range slices.Concat(q.Block, q.Unblock) {
		if sig < 1 || sig > 64 {
			return nil, fmt.Errorf("no signal %d", sig)
		}
	}
	switch q.Op {
	case "account":
		return in.account(), nil
	case "reset":
		in.reset()
		return nil, nil
	case "threads":
		return in.threads()
	case "thread":
		return in.threadAccount(q.TID)
	case "spawn":
		return in.spawnMany(q.Kind, max(1, q.N))
	case "end":
		return nil, in.end(q.TID)
	case "comm":
		return nil, writeFile("/proc/self/task/"+strconv.Itoa(q.TID)+"/comm", q.Name)
	case "exit":
		in.quit(q.N)
		return nil, nil
	case "exec":
		return nil, in.exec(q)
	case "dumpable":
		return nil, unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(q.N), 0, 0, 0)
	case "disposition":
		return nil, setDisposition(q.Signal, Disposition(q.Name))
	case "get_disposition":
		return getAction(q.Signal), nil
	case "mask":
		return nil, in.mask(q.TID, q.Kind, q.Block, q.Unblock)
	case "send":
		if q.Send == nil {
			return nil, errors.New("send: nothing to send")
		}
		return nil, in.send(*q.Send)
	case "flood":
		if q.Flood == nil {
			return nil, errors.New("flood: nothing to send")
		}
		return nil, in.order(*q.Flood)
	case "flood_state":
		if in.senders == nil {
			return nil, errors.New("no sender")
		}
		return in.senders.state(), nil
	case "sender":
		atomic.StoreUint32(&handlers.sender, uint32(q.PID))
		return nil, nil
	case "calls":
		return callNames(), nil
	case "start_call":
		return in.startCall(q.Name, q.Timeout)
	case "call_result":
		return in.callResult(q.N)
	case "start_vfork":
		return in.startVfork()
	case "end_vfork":
		return nil, in.endVfork(q.TID)
	}
	return nil, fmt.Errorf("no command %q", q.Op)
}

func writeFile(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (in *inner) spawnMany(kind string, n int) ([]int, error) {
	k := kindOf(kind)
	if k <= leader || k == birth || k == timed {
		return nil, fmt.Errorf("no thread of kind %q can be made", kind)
	}
	if k == hot || k == recv && in.senders == nil {
		if err := setDisposition(HotSignal, SigHandle); err != nil {
			return nil, err
		}
	}
	if k == recv && in.senders == nil {
		return nil, errors.New("no sender: the target was made without receivers")
	}
	tids := make([]int, 0, n)
	for range n {
		i, err := in.spawn(k)
		if err != nil {
			return nil, err
		}
		t := &in.mem.tcbs[i]
		tids = append(tids, int(t.tid))
		var path, b []byte
		if err := waitFor("the new thread to reach its place", func() bool { return in.placed(t, &path, &b) }); err != nil {
			return nil, err
		}
	}
	return tids, nil
}

// threads lists all threads by kind; the rest is the runtime's.
func (in *inner) threads() (map[string][]int, error) {
	all, err := listTasks()
	if err != nil {
		return nil, err
	}
	m := map[string][]int{}
	ours := map[int]bool{}
	for k, name := range kinds {
		if tids := in.tids(k); len(tids) > 0 {
			m[name] = tids
			for _, tid := range tids {
				ours[tid] = true
			}
		}
	}
	m[kindRuntime] = []int{}
	for _, tid := range all {
		if !ours[tid] {
			m[kindRuntime] = append(m[kindRuntime], tid)
		}
	}
	return m, nil
}

func (in *inner) threadAccount(tid int) (ThreadAccount, error) {
	_, t, err := in.find(tid)
	if err != nil {
		return ThreadAccount{}, err
	}
	a := ThreadAccount{
		TID: tid, Kind: kinds[t.kind],
		EINTR: int64(atomic.LoadUint64(&t.eintr)), Early: int64(atomic.LoadUint64(&t.early)),
		Calls: int64(atomic.LoadUint64(&t.calls)), Handled: int64(atomic.LoadUint64(&t.handled)),
		Counters: addr(&t.eintr),
	}
	if a.Early > 0 {
		a.Result = resultName(atomic.LoadInt64(&t.last))
	}
	if int(t.kind) == pair {
		a.Pair = addr(&t.first)
	}
	return a, nil
}
