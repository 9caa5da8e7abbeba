//go:build linux && (amd64 || arm64)

package bpf_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/bpf"
	"massattach/internal/target"
)

func open(t testing.TB, pid int) *bpf.Births {
	t.Helper()
	need(t, "births", bpf.BirthsSupported)
	b, err := bpf.OpenBirths(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func spawn(t testing.TB, p *target.Target, n int) []int {
	t.Helper()
	tids, err := p.Spawn(t.Context(), target.KindEpoll, n)
	if err != nil {
		t.Fatal(err)
	}
	return tids
}

func end(t testing.TB, p *target.Target, tids ...int) {
	t.Helper()
	for _, tid := range tids {
		if err := p.End(t.Context(), tid); err != nil {
			t.Fatal(err)
		}
	}
}

func tids(births []bpf.Birth) (tids []int) {
	for _, b := range births {
		tids = append(tids, b.TID)
	}
	return tids
}

// Births are told in their order and when they were; who has ended before is
// not, and nobody else's threads are.
func TestBirths(t *testing.T) {
	p, other := start(t, target.Spec{Epoll: 5}), start(t, target.Spec{Epoll: 5})
	b := open(t, p.PID())
	before := time.Now()
	born := spawn(t, p, 20)
	spawn(t, other, 10)
	after := time.Now()
	if n := b.Alive(); n != 20 {
		t.Errorf("%d alive", n)
	}
	end(t, p, born[3], born[7])
	eventually(t, "two have ended", func() bool { return b.Alive() == 18 })
	if !b.Pending(born[0]) || b.Pending(born[3]) || b.Pending(p.PID()) || b.Pending(other.PID()) {
		t.Error("pending are not those who live and were not told")
	}

	var h bpf.Heard
	eventually(t, "the log is read", func() bool { b.Hear(time.Hour, &h); return !h.Next.IsZero() })
	if len(h.Ripe) != 0 || h.Next.Before(before.Add(time.Hour)) || h.Next.After(after.Add(time.Hour)) {
		t.Errorf("none is an hour old: %+v", h)
	}
	h = hearAll(t, b, 20)
	want := slices.DeleteFunc(slices.Clone(born), func(tid int) bool { return tid == born[3] || tid == born[7] })
	if !slices.Equal(tids(h.Ripe), want) || h.Short != 2 || h.Lost != 0 || h.Execs != 0 || !h.Next.IsZero() {
		t.Errorf("heard %+v, want %v", h, want)
	}
	last := before
	for _, n := range h.Ripe {
		if n.At.Before(last) || n.At.After(after) {
			t.Errorf("thread %d was born %v after the one before", n.TID, n.At.Sub(last))
		}
		last = n.At
	}
	if b.Hear(0, &h); len(h.Ripe) != 0 || b.Pending(born[0]) || b.Alive() != 0 {
		t.Errorf("told twice: %+v", h)
	}
}

// hearMore adds to h what there is to be heard.
func hearMore(b *bpf.Births, h *bpf.Heard) {
	var more bpf.Heard
	b.Hear(0, &more)
	h.Ripe = append(h.Ripe, more.Ripe...)
	h.Short, h.Lost, h.Execs, h.Next = h.Short+more.Short, h.Lost+more.Lost, h.Execs+more.Execs, more.Next
}

// hearAll hears of so many births, who may have ended.
func hearAll(t testing.TB, b *bpf.Births, n int) (h bpf.Heard) {
	t.Helper()
	eventually(t, "all of the log is read", func() bool {
		hearMore(b, &h)
		return len(h.Ripe)+h.Short >= n
	})
	return h
}

// Wait sleeps through what others do, and no birth; Close ends it.
func TestBirthsWait(t *testing.T) {
	p := start(t, target.Spec{Epoll: 5})
	b := open(t, p.PID())
	woken, closed := make(chan struct{}, 1), make(chan error)
	go func() {
		var h bpf.Heard
		for {
			if err := b.Wait(); err != nil {
				closed <- err
				return
			}
			if b.Hear(0, &h); len(h.Ripe) > 0 || h.Execs > 0 {
				select {
				case woken <- struct{}{}:
				default:
				}
			}
		}
	}()
	for range 100 {
		spawn(t, p, 1)
		select {
		case <-woken:
		case <-time.After(time.Minute):
			t.Fatal("a birth went unheard")
		}
	}
	if err := p.Exec(t.Context(), target.Exec{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-woken:
	case <-time.After(time.Minute):
		t.Fatal("an exec went unheard")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := b.Wait(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	var h bpf.Heard
	if b.Hear(0, &h); len(h.Ripe) != 0 || b.Pending(p.PID()) || b.Alive() != 0 {
		t.Error("something is heard after Close")
	}
}

// Whatever came too fast is counted, and what is still in the log is told; also
// when the queue of those who are not old enough is full.
func TestBirthsOverflow(t *testing.T) {
	for _, stalled := range []bool{true, false} {
		p := start(t, target.Spec{Churn: 2})
		b := open(t, p.PID())
		born := func() int64 {
			a, err := p.Account(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return a.Born
		}
		goOn := func() {}
		if stalled {
			goOn = b.Stall()
		}
		before := born()
		// However long that takes, as long as it goes on.
		for now := before; now-before <= 80_000; now = born() {
			eventually(t, "more births", func() bool { return born() > now })
		}
		last := spawn(t, p, 1)[0]
		if !b.Pending(last) {
			t.Error("the last one is not pending")
		}
		goOn()
		total, lost := 0, 0
		var h bpf.Heard
		eventually(t, "the last one is told", func() bool {
			b.Hear(0, &h)
			total += len(h.Ripe) + h.Short + h.Lost
			lost += h.Lost
			return slices.Contains(tids(h.Ripe), last)
		})
		// On a busy machine a reader that nobody stalls may fall behind, too.
		if after := born(); int64(total) < 80_000 || int64(total) > after-before+1_000 || stalled && lost == 0 {
			t.Errorf("stalled %v: %d of %d births are accounted for, %d of them lost", stalled, total, after-before, lost)
		}
		b.Close()
		p.Close()
	}
}

// Several processes are followed at once, by one log, and each hears of its own;
// two may want the same place in it.
func TestBirthsOfSeveral(t *testing.T) {
	var ps []*target.Target
	var bs []*bpf.Births
	for range 4 {
		p := start(t, target.Spec{Epoll: 3})
		ps, bs = append(ps, p), append(bs, open(t, p.PID()))
	}
	bs[3].Close()
	again := open(t, ps[0].PID()) // twice the same
	stranger := open(t, ps[0].PID()+65536)
	if n := bpf.Logs(); n != 2 {
		t.Errorf("%d logs", n)
	}
	if err := ps[1].Exec(t.Context(), target.Exec{}); err != nil {
		t.Fatal(err)
	}
	for i, p := range ps {
		want := spawn(t, p, i+2)
		if i == 3 {
			want = nil
		}
		hears(t, bs[i], want)
		if i == 0 {
			hears(t, again, want)
		}
	}
	hears(t, stranger, nil)
	for _, b := range append(bs, again, stranger) {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := bpf.Logs(); n != 0 {
		t.Errorf("%d logs are left", n)
	}
}

// hears checks that b hears of these births, among those of runtimes that have
// been exec'ed.
func hears(t *testing.T, b *bpf.Births, want []int) {
	t.Helper()
	var got []int
	var h bpf.Heard
	eventually(t, "all births are heard of", func() bool {
		b.Hear(0, &h)
		got = append(got, tids(h.Ripe)...)
		return !slices.ContainsFunc(want, func(tid int) bool { return !slices.Contains(got, tid) })
	})
	if len(want) == 0 && len(got) > 0 {
		t.Errorf("heard of %v", got)
	}
}

// surrounded is what this program does in a process of its own.
var surrounded = map[string]func() error{
	"births": func() error {
		b, err := bpf.OpenBirths(os.Getpid())
		if err != nil {
			if m := missing(err); m != nil {
				err = errors.New(m.Reason)
			}
			return err
		}
		return b.Close()
	},
	"notify": func() error {
		if err := bpf.NotifySupported(); err != nil {
			if m := missing(err); m != nil {
				err = errors.New(m.Reason)
			}
			return err
		}
		return nil
	},
	"clock": func() error {
		p, err := target.Start(context.Background(), target.Spec{Epoll: 3})
		if err != nil {
			return err
		}
		defer p.Close()
		b, err := bpf.OpenBirths(p.PID())
		if err != nil {
			return err
		}
		defer b.Close()
		before := time.Now()
		if _, err := p.Spawn(context.Background(), target.KindEpoll, 1); err != nil {
			return err
		}
		var h bpf.Heard
		for end := time.Now().Add(time.Minute); len(h.Ripe) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			b.Hear(0, &h)
		}
		if len(h.Ripe) != 1 || h.Ripe[0].At.Before(before) {
			return errors.New("it is not as old as it is")
		}
		return nil
	},
	// In a PID namespace of its own the numbers are that one's, here and below.
	"tasks": func() error {
		p, err := target.Start(context.Background(), target.Spec{Epoll: 3})
		if err != nil {
			return err
		}
		defer p.Close()
		r, err := bpf.OpenTasks(p.PID())
		if err != nil {
			return err
		}
		defer r.Close()
		kinds, err := p.List(context.Background())
		if err != nil {
			return err
		}
		seen := make(map[int]bool)
		for task, err := range r.All() {
			if err != nil {
				return err
			}
			seen[task.TID] = true
		}
		for _, tid := range kinds[target.KindEpoll] {
			if !seen[tid] || tid > 100 {
				return errors.New("the numbers are not those of the namespace")
			}
		}
		return nil
	},
	"namespace": func() error {
		p, err := target.Start(context.Background(), target.Spec{Epoll: 3})
		if err != nil {
			return err
		}
		defer p.Close()
		if p.PID() > 100 {
			return errors.New("this is no new PID namespace")
		}
		b, err := bpf.OpenBirths(p.PID())
		if err != nil {
			return err
		}
		defer b.Close()
		born, err := p.Spawn(context.Background(), target.KindEpoll, 5)
		if err != nil {
			return err
		}
		if err := p.End(context.Background(), born[1]); err != nil {
			return err
		}
		var h bpf.Heard
		for end := time.Now().Add(time.Minute); b.Alive() != 4; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				return errors.New("the death was not heard of")
			}
		}
		for end := time.Now().Add(time.Minute); len(h.Ripe)+h.Short < 5 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			hearMore(b, &h)
		}
		if !slices.Equal(tids(h.Ripe), slices.Delete(born, 1, 2)) || h.Short != 1 {
			return errors.New("the births were not heard of")
		}
		return nil
	},
}

// Where the clock is another, births are as old as they are.
func TestBirthsInTimeNamespace(t *testing.T) {
	needRoot(t)
	need(t, "births", bpf.BirthsSupported)
	for _, ahead := range []string{"3600", "-10"} {
		if out := run(t, "clock", nil, "unshare", "--time", "--fork", "--monotonic", ahead); out != "" {
			t.Errorf("%s s ahead: %s", ahead, out)
		}
	}
}

func TestBirthsInPIDNamespace(t *testing.T) {
	needRoot(t)
	need(t, "births", bpf.BirthsSupported)
	if out := run(t, "namespace", nil, "unshare", "--pid", "--fork", "--mount-proc"); out != "" {
		t.Error(out)
	}
}

// Who can't hear is told why.
func TestBirthsMissing(t *testing.T) {
	needRoot(t)
	need(t, "births", bpf.BirthsSupported)
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out := run(t, "births", nobody); !strings.Contains(out, "CAP_BPF") {
		t.Errorf("as a user: %q", out)
	}
	if out := run(t, "births", nil, "unshare", "--user", "--map-root-user"); !strings.Contains(out, "initial user namespace") {
		t.Errorf("in a user namespace: %q", out)
	}
	hide := []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /sys/kernel/btf && exec "$0"`}
	if out := run(t, "births", nil, hide...); !strings.Contains(out, "/sys/kernel/btf/vmlinux") {
		t.Errorf("without BTF: %q", out)
	}
}

// Nothing is left of those that were closed.
func TestBirthsLeaveNothing(t *testing.T) {
	open(t, os.Getpid()).Close()
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before := count()
	for range 5 {
		b, err := bpf.OpenBirths(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}
