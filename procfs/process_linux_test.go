package procfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestListOwnThreads(t *testing.T) {
	threads := parkFor(t, 200, nil)
	p := self(t)
	if p.PID() != os.Getpid() {
		t.Errorf("PID %d", p.PID())
	}
	for pass := range 3 { // one descriptor, passed over again
		got, err := p.AppendTIDs([]int{-1})
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != -1 || !slices.Contains(got, os.Getpid()) || !listed(threads.tids, got) {
			t.Errorf("pass %d: %v", pass, got)
		}
	}
	if n, err := p.NumThreads(); n < 201 || err != nil {
		t.Errorf("%d threads, %v", n, err)
	}
}

func TestChunks(t *testing.T) {
	threads := parkFor(t, 50, nil)
	p := self(t)
	p.buf = make([]byte, 256)
	var got []int
	chunks := 0
	err := p.Chunks(func(tids []int) error {
		if len(tids) == 0 {
			t.Error("an empty chunk")
		}
		if _, err := p.Stat(tids[0]); err != nil { // allowed meanwhile
			t.Error(err)
		}
		if _, err := p.AppendTIDs(nil); !errors.Is(err, ErrListing) { // not allowed
			t.Errorf("listing within a listing: %v", err)
		}
		got = append(got, tids...)
		chunks++
		return nil
	})
	if err != nil || chunks < 5 || !listed(threads.tids, got) {
		t.Errorf("%d chunks, %v: %v", chunks, err, got)
	}

	stop := errors.New("stop")
	chunks = 0
	if err := p.Chunks(func([]int) error { chunks++; return stop }); err != stop || chunks != 1 {
		t.Errorf("%v after %d chunks", err, chunks)
	}
	if _, err := p.AppendTIDs(nil); err != nil { // starts anew
		t.Error(err)
	}
}

// The list is in the order of births, and can be read from any place.
func TestNewest(t *testing.T) {
	parkFor(t, 50, nil)
	p := self(t)
	p.buf = make([]byte, 256)
	// from lists from a place on, and all; the runtime may have a thread born in
	// between.
	from := func(skip func(all []int) int) (got, all []int) {
		t.Helper()
		eventually(t, "nobody is born beside it", func() bool {
			before, err1 := p.AppendTIDs(nil)
			got = nil
			err2 := p.Newest(skip(before), func(tids []int) error {
				got = append(got, tids...)
				return nil
			})
			after, err3 := p.AppendTIDs(nil)
			if err := errors.Join(err1, err2, err3); err != nil {
				t.Fatal(err)
			}
			all = after
			return slices.Equal(before, after)
		})
		return got, all
	}
	for _, skip := range []func(all []int) int{
		func([]int) int { return 0 },
		func([]int) int { return 1 },
		func(all []int) int { return len(all) / 2 },
		func(all []int) int { return len(all) - 1 },
		func(all []int) int { return len(all) },
		func(all []int) int { return 10 * len(all) },
	} {
		got, all := from(skip)
		if want := all[min(skip(all), len(all)):]; !slices.Equal(got, want) {
			t.Errorf("from %d: %v, want %v", skip(all), got, want)
		}
	}
	_, before := from(func([]int) int { return 0 })
	born := parkFor(t, 5, nil)
	got, _ := from(func([]int) int { return len(before) })
	for _, tid := range born.tids {
		if !slices.Contains(got, tid) && !slices.Contains(before, tid) { // an idle thread of the runtime
			t.Errorf("%d is new, and not among %v", tid, got)
		}
	}
}

func TestListDoesNotAllocate(t *testing.T) {
	parkFor(t, 100, nil)
	p := self(t)
	buf, err := p.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	buf = slices.Grow(buf, 100)
	if n := testing.AllocsPerRun(20, func() { buf, _ = p.AppendTIDs(buf[:0]) }); n != 0 {
		t.Errorf("AppendTIDs: %v allocations", n)
	}
	if n := testing.AllocsPerRun(20, func() { _ = p.Chunks(func([]int) error { return nil }) }); n != 0 {
		t.Errorf("Chunks: %v allocations", n)
	}
	if n := testing.AllocsPerRun(20, func() { _, _ = p.NumThreads() }); n != 0 {
		t.Errorf("NumThreads: %v allocations", n)
	}
}

// The caveat of the package, made to happen: threads that were listed end during
// the pass, and as many of the living are not listed. The length agrees with the
// count, so it cannot tell; the next pass can.
func TestDeathHidesTheLiving(t *testing.T) {
	threads := parkFor(t, 100, nil)
	p := self(t)
	p.buf = make([]byte, 512)
	end := func(i int) {
		threads.stop(i)
		eventually(t, "a thread ends", func() bool { return gone(p.exists(threads.tids[i])) })
	}
	// Ours in the order of the list, which is that of births; idle threads of
	// the runtime were taken over, so it is not that of park.
	first, err := p.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	threads.sortBy(first)

	var pass []int
	ended := 0
	err = p.Chunks(func(tids []int) error {
		pass = append(pass, tids...)
		if i := slices.Index(threads.tids, tids[len(tids)-1]); ended == 0 && i >= 10 {
			for ; ended < 6; ended++ {
				end(i - ended)
			}
			end(i + 1) // the one that the kernel would resume at
		}
		return nil
	})
	if err != nil || ended == 0 {
		t.Fatal(err, ended)
	}
	hidden := 0
	for i, tid := range threads.tids {
		if threads.end[i] != nil && !slices.Contains(pass, tid) {
			hidden++
		}
	}
	n, _ := p.NumThreads()
	t.Logf("%d ended, %d of the living hidden; %d listed, %d counted", ended+1, hidden, len(pass), n)
	next, err := p.AppendTIDs(nil)
	if err != nil || contained(pass, next) {
		t.Errorf("the next pass does not show that the last one had holes (%v)", err)
	}
	var living []int
	for i, tid := range threads.tids {
		if threads.end[i] != nil {
			living = append(living, tid)
		}
	}
	all, err := p.Select(Selection{}, nil)
	if err != nil || !listed(living, all) {
		t.Errorf("Select misses some of the living, %v", err)
	}
}

func TestContained(t *testing.T) {
	for _, c := range []struct {
		a, b []int
		want bool
	}{
		{nil, nil, true}, {nil, []int{1}, true}, {[]int{1}, nil, false}, {[]int{1, 3}, []int{1, 2, 3}, true},
		{[]int{1, 3}, []int{3, 1}, false}, {[]int{1, 2}, []int{1}, false},
	} {
		if got := contained(c.a, c.b); got != c.want {
			t.Errorf("%v in %v: %v", c.a, c.b, got)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for _, pid := range []int{0, -1, 1 << 30} {
		p, err := FS{}.Open(pid)
		if e, ok := errors.AsType[*Error](err); p != nil || !errors.Is(err, fs.ErrNotExist) || !ok || e.PID != pid {
			t.Errorf("%d: %v", pid, err)
		}
	}
	tid := parkFor(t, 1, nil).tids[0]
	_, err := FS{}.Open(tid)
	e, ok := errors.AsType[*NotLeaderError](err)
	if !ok || *e != (NotLeaderError{TID: tid, TGID: os.Getpid()}) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a thread for a process: %v", err)
	}
	if want := "is a thread of process " + strconv.Itoa(os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q lacks %q", err, want)
	}
	if _, err := (FS{Root: t.TempDir() + "/none"}).Open(1); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no proc file system is no missing process: %v", err)
	}
}

func TestClosed(t *testing.T) {
	p := self(t)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, p := range map[string]*Process{"closed": p, "zero": {}} {
		_, err1 := p.AppendTIDs(nil)
		_, err2 := p.NumThreads()
		_, err3 := p.Stat(os.Getpid())
		_, err4 := p.Select(Selection{TIDs: []int{1}}, nil)
		for _, err := range []error{err1, err2, err3, err4, p.Chunks(nil)} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// Closed in the middle of a listing.
	p = self(t)
	p.buf = make([]byte, 64)
	parkFor(t, 5, nil)
	if err := p.Chunks(func([]int) error { return p.Close() }); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed meanwhile: %v", err)
	}
}

func TestThreadOfAnotherProcess(t *testing.T) {
	p := self(t)
	for _, tid := range []int{os.Getppid(), 1 << 30, 0, -1} {
		_, err := p.Stat(tid)
		if e, ok := errors.AsType[*Error](err); !errors.Is(err, fs.ErrNotExist) || !ok || e.PID != p.PID() || e.TID != tid {
			t.Errorf("%d: %v", tid, err)
		}
	}
}

func TestConcurrentReads(t *testing.T) {
	threads := parkFor(t, 20, nil)
	p := self(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, tid := range threads.tids {
				st, err := p.Stat(tid)
				if err != nil || st.TID != tid {
					t.Errorf("%d: %+v, %v", tid, st, err)
				}
				if s, err := p.Status(tid); err != nil || s.Pid != tid {
					t.Errorf("%d: %+v, %v", tid, s, err)
				}
			}
		})
	}
	wg.Wait()
}
