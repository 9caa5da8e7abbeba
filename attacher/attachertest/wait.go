package attachertest

import (
	"syscall"
	"time"

	"massattach/attacher"
	"massattach/internal/sys"
)

// Look is waitid with WEXITED|WSTOPPED|__WALL|__WNOTHREAD|WNOWAIT.
func (tr *tracer) Look(tid int, block bool) (attacher.WaitStatus, error) {
	if err := tr.begin("look", tid); err != nil {
		if tr.gone() {
			err = syscall.ECHILD
		}
		return attacher.WaitStatus{}, err
	}
	defer tr.m.unlock()
	ws, err := tr.wait(tid, false)
	if err != nil || ws.TID != 0 || !block {
		return tr.saw(ws), err
	}
	// Only from here on can the bell be heard.
	tr.inLook, tr.rung = true, false
	tr.sleep(tid, func() bool {
		ws, err = tr.wait(tid, false)
		return err != nil || ws.TID != 0 || tr.rung
	})
	tr.inLook = false
	if err == nil && ws.TID == 0 {
		err = syscall.EINTR // do_wait looks once more before it gives up
	}
	return tr.saw(ws), err
}

// saw notes that the tracer knows of a stop.
func (tr *tracer) saw(ws attacher.WaitStatus) attacher.WaitStatus {
	if t := tr.m.tasks[ws.TID]; t != nil {
		t.seen = true
	}
	return ws
}

// Reap is the same with WNOHANG and without WNOWAIT.
func (tr *tracer) Reap(tid int) (attacher.WaitStatus, error) { return tr.reap(tid, true) }

// ReapStop is the same without WEXITED, too: a zombie is nobody to wait for
// (kernel/exit.c, wait_consider_task).
func (tr *tracer) ReapStop(tid int) (attacher.WaitStatus, error) { return tr.reap(tid, false) }

func (tr *tracer) reap(tid int, exits bool) (attacher.WaitStatus, error) {
	if err := tr.begin("reap", tid); err != nil {
		if tr.gone() {
			err = syscall.ECHILD
		}
		return attacher.WaitStatus{}, err
	}
	defer tr.m.unlock()
	if t := tr.m.tasks[tid]; !exits && t != nil && t.tracer == tr && t.where == zombie {
		return attacher.WaitStatus{}, syscall.ECHILD
	}
	ws, err := tr.wait(tid, true)
	return tr.saw(ws), err
}

// ReapExit is waitid without __WNOTHREAD, for exits: [attacher.Kernel].
func (m *Machine) ReapExit(tid int) (attacher.WaitStatus, error) {
	if err := m.enter(0, "reapexit", tid); err != nil {
		return attacher.WaitStatus{}, err
	}
	defer m.unlock()
	t := m.tasks[tid]
	if t == nil || t.tracer == nil || t.tracer.foreign != "" {
		return attacher.WaitStatus{}, syscall.ECHILD
	}
	if t.where != zombie {
		return attacher.WaitStatus{}, nil
	}
	ws, _ := t.report(true)
	return ws, nil
}

// Nap is nanosleep, on the clock that the test runs on.
func (m *Machine) Nap(d time.Duration) { time.Sleep(d) }

func (tr *tracer) gone() bool {
	tr.m.mu.Lock()
	defer tr.m.mu.Unlock()
	return tr.ended
}

// wait is do_wait of kernel/exit.c over the tracees, the last one seized
// first. Tracees of others are none.
func (tr *tracer) wait(tid int, reap bool) (attacher.WaitStatus, error) {
	if tid != 0 {
		if t := tr.m.tasks[tid]; t != nil && t.tracer == tr {
			ws, _ := t.report(reap)
			return ws, nil
		}
		return attacher.WaitStatus{}, syscall.ECHILD
	}
	for i := len(tr.tracees) - 1; i >= 0; i-- {
		if ws, ok := tr.tracees[i].report(reap); ok {
			return ws, nil
		}
	}
	if len(tr.tracees) == 0 {
		return attacher.WaitStatus{}, syscall.ECHILD
	}
	return attacher.WaitStatus{}, nil
}

// report is wait_consider_task for a tracee: wait_task_zombie, or
// wait_task_stopped, which finds no stop that was reaped (its code is 0) or
// that listens.
func (t *task) report(reap bool) (attacher.WaitStatus, bool) {
	switch {
	case t.where == zombie:
		if t.delayed() {
			return attacher.WaitStatus{}, false
		}
		code := t.status()
		ws := attacher.WaitStatus{TID: t.tid, Code: sys.CodeExited, Status: code >> 8 & 0xff}
		if code&0x7f != 0 {
			ws.Code, ws.Status = sys.CodeKilled, code&0x7f
		}
		if reap {
			t.reapedByTracer()
		}
		return ws, true
	case t.job.traced && !t.job.listening && t.exitCode != 0:
		ws := attacher.WaitStatus{TID: t.tid, Code: sys.CodeTrapped, Status: t.exitCode}
		if reap {
			t.exitCode = 0
		}
		return ws, true
	}
	return attacher.WaitStatus{}, false
}
