package procfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func fakeProcess(t *testing.T) (*Process, string) {
	t.Helper()
	root := t.TempDir()
	call := "7 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8"
	fakeTree(t, root, 5,
		fakeThread{tid: 5, comm: "main", state: "Z", syscall: "-1 0x0 0x0", wchan: "0", start: 50},
		fakeThread{tid: 11, comm: "pool/1", state: "S", syscall: call, wchan: "ep_poll", start: 51},
		fakeThread{tid: 12, comm: "pool/2", state: "R", syscall: "running", wchan: "0", start: 52},
		fakeThread{tid: 13, comm: "gc", state: "D", syscall: call, start: 53},          // no wchan
		fakeThread{tid: 14, comm: "pool/3", state: "S", wchan: "pipe_read", start: 54}) // no syscall
	return openProcess(t, FS{Root: root}, 5), root
}

func TestSelect(t *testing.T) {
	p, _ := fakeProcess(t)
	name := SyscallName(7)
	for _, c := range []struct {
		name string
		sel  Selection
		want []int
		err  error
	}{
		{"all", Selection{}, []int{5, 11, 12, 13, 14}, nil},
		{"tids", Selection{TIDs: []int{13, 99, 5, 13}}, []int{5, 13}, nil},
		{"no tids", Selection{TIDs: []int{}}, nil, nil},
		{"comm", Selection{Comm: "pool*"}, []int{11, 12, 14}, nil},
		{"comm and state", Selection{Comm: "pool?[12]", State: "SD"}, []int{11}, nil},
		{"state", Selection{State: "DZ"}, []int{5, 13}, nil},
		{"all of them", Selection{TIDs: []int{11, 12}, Comm: "p*", State: "S", Syscall: name}, []int{11}, nil},
		{"syscall", Selection{Syscall: name}, []int{11, 13}, errors.ErrUnsupported},
		{"syscall by number", Selection{Syscall: "syscall_7", State: "S"}, []int{11}, errors.ErrUnsupported},
		{"another syscall", Selection{Syscall: "syscall_8"}, nil, errors.ErrUnsupported},
		{"none", Selection{Syscall: NoSyscall, Comm: "[^p]*"}, []int{5}, nil},
		{"none, running", Selection{Syscall: NoSyscall, TIDs: []int{12, 13}}, []int{12}, nil},
		{"func", Selection{State: "S", Func: func(th Thread) bool { return th.Wchan == "pipe_read" && th.Comm == "pool/3" }}, []int{14}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := p.Select(c.sel, []int{1})
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("%v, want %v", err, c.err)
			}
			if d := cmp.Diff(c.want, sorted(got[1:])); got[0] != 1 || d != "" {
				t.Errorf("%v: %s", got, d)
			}
			tids := []int{14, 5, 11, 13, 12}
			got, err = p.Filter(c.sel, tids)
			if d := cmp.Diff(c.want, sorted(got)); !errors.Is(err, c.err) || d != "" {
				t.Errorf("filter: %v, %v %s", got, err, d)
			}
			var seen []int
			for th, e := range p.Threads(c.sel, 0) {
				if err = e; e == nil {
					seen = append(seen, th.TID)
				}
			}
			if d := cmp.Diff(c.want, sorted(seen)); !errors.Is(err, c.err) || d != "" {
				t.Errorf("threads: %v, %v %s", seen, err, d)
			}
		})
	}
}

// A matcher picks the same of what is known already.
func TestMatcher(t *testing.T) {
	p, _ := fakeProcess(t)
	name := SyscallName(7)
	for _, sel := range []Selection{
		{}, {TIDs: []int{13, 99, 5, 13}}, {TIDs: []int{}}, {Comm: "pool*"}, {Comm: "pool?[12]", State: "SD"}, {State: "DZ"},
		{TIDs: []int{5, 11, 12}, Comm: "p*", State: "SR", Syscall: name}, {Syscall: name, Comm: "gc"}, {Syscall: "syscall_7", TIDs: []int{11, 12}},
		{Syscall: "syscall_8", Comm: "gc"}, {Syscall: NoSyscall, TIDs: []int{5, 12, 13}},
	} {
		want, err := p.Select(sel, nil)
		if err != nil {
			t.Fatal(err)
		}
		match := sel.Matcher()
		var got []int
		for th, err := range p.Threads(Selection{}, DetailComm|DetailState) {
			if err != nil {
				t.Fatal(err)
			}
			call, err := p.Syscall(th.TID)
			if err != nil {
				call.Nr = -1 // nobody asks
			}
			if match(th.TID, th.Comm, th.State, call.Nr) {
				got = append(got, th.TID)
			}
		}
		if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
			t.Errorf("%+v: %s", sel, d)
		}
	}
}

func TestValidate(t *testing.T) {
	p, _ := fakeProcess(t)
	for _, sel := range []Selection{{TIDs: []int{0}}, {TIDs: []int{1, -1}}, {Comm: "["}, {State: "Q"}, {State: "S,"}, {State: "s"},
		{Syscall: "no such call"}, {Syscall: "syscall_"}} {
		if err := sel.Validate(); err == nil {
			t.Errorf("%+v is taken for good", sel)
		} else if sel.Comm != "" && !errors.Is(err, path.ErrBadPattern) {
			t.Error(err)
		}
		_, err1 := p.Select(sel, nil)
		_, err2 := p.Filter(sel, nil)
		n := 0
		for _, err3 := range p.Threads(sel, 0) {
			if n++; err3 == nil {
				t.Errorf("%+v: listed", sel)
			}
		}
		if err1 == nil || err2 == nil || n != 1 {
			t.Errorf("%+v: %v, %v, %d", sel, err1, err2, n)
		}
	}
	for _, sel := range []Selection{{}, {Comm: "a/[b]*"}, {State: States}, {Syscall: NoSyscall}, {Syscall: "syscall_460"}} {
		if err := sel.Validate(); err != nil {
			t.Error(err)
		}
	}
	if !(Selection{}).All() || !(Selection{Reads: DetailComm}).All() || (Selection{State: "S"}).All() || (Selection{TIDs: []int{}}).All() {
		t.Error("All")
	}
}

func TestThreads(t *testing.T) {
	p, _ := fakeProcess(t)
	name := SyscallName(7)
	got := map[int]Thread{}
	for th, err := range p.Threads(Selection{}, DetailAll) {
		if err != nil {
			t.Fatal(err)
		}
		got[th.TID] = th
	}
	want := map[int]Thread{
		5:  {TID: 5, Comm: "main", State: 'Z', Start: 50},
		11: {TID: 11, Comm: "pool/1", State: 'S', Start: 51, Syscall: name, Wchan: "ep_poll"},
		12: {TID: 12, Comm: "pool/2", State: 'R', Start: 52},
		13: {TID: 13, Comm: "gc", State: 'D', Start: 53, Syscall: name, Unreadable: DetailWchan},
		14: {TID: 14, Comm: "pool/3", State: 'S', Start: 54, Wchan: "pipe_read", Unreadable: DetailSyscall},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for th := range p.Threads(Selection{TIDs: []int{11}}, DetailComm) {
		if d := cmp.Diff(Thread{TID: 11, Comm: "pool/1"}, th); d != "" {
			t.Error(d)
		}
	}
	for range p.Threads(Selection{}, 0) { // stops when told to
		break
	}
}

// A thread of a program with another ABI: the numbers stay numbers.
func TestThreadsCompat(t *testing.T) {
	p, root := fakeProcess(t)
	write(t, root+"/5/task/11/auxv", "\x20\x00\x00\x00\x50\x05\xf0\xf7\x21\x00\x00\x00\x00\x00\xf0\xf7")
	sel := Selection{TIDs: []int{11}}
	for th, err := range p.Threads(sel, DetailSyscall) {
		if err != nil || th.Syscall != "syscall_7" {
			t.Errorf("%+v, %v", th, err)
		}
	}
	for name, want := range map[string]int{"syscall_7": 1, SyscallName(7): 0} {
		if name == "syscall_7" && want == 0 {
			continue // no table here
		}
		sel.Syscall = name
		if got, err := p.Select(sel, nil); err != nil || len(got) != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// Only what is asked for is opened, and nothing twice.
func TestReadsOnlyWhatItNeeds(t *testing.T) {
	p, root := fakeProcess(t)
	for _, tid := range []string{"5", "11", "12", "13", "14"} {
		for _, name := range []string{"stat", "syscall", "wchan"} {
			_ = os.Remove(root + "/5/task/" + tid + "/" + name)
		}
	}
	always := func(Thread) bool { return true }
	for _, c := range []struct {
		sel        Selection
		what       Detail
		unreadable Detail
	}{
		{Selection{}, 0, 0},
		{Selection{Comm: "*"}, DetailComm, 0},
		{Selection{Func: always, Reads: DetailTID}, 0, 0},
		{Selection{Func: always, Reads: DetailComm}, DetailTID, 0},
		{Selection{Func: always}, 0, DetailAll &^ DetailTID}, // stat is read for both
		{Selection{}, DetailWchan | DetailComm, DetailWchan},
	} {
		n := 0
		for th, err := range p.Threads(c.sel, c.what) {
			if err != nil || th.Unreadable != c.unreadable {
				t.Errorf("%+v, %v, want unreadable %b", th, err, c.unreadable)
			}
			n++
		}
		if n != 5 {
			t.Errorf("%d threads", n)
		}
	}
	if got, err := p.Select(Selection{State: "S"}, nil); !errors.Is(err, errors.ErrUnsupported) || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFuncSeesWhatItReads(t *testing.T) {
	p, _ := fakeProcess(t)
	var seen []Thread
	f := func(th Thread) bool { seen = append(seen, th); return false }
	_, err := p.Select(Selection{TIDs: []int{11}, Func: f, Reads: DetailWchan}, nil)
	_, err2 := p.Select(Selection{TIDs: []int{11}, Func: f, Reads: DetailState}, nil)
	want := []Thread{{TID: 11, Wchan: "ep_poll"}, {TID: 11, Comm: "pool/1", State: 'S', Start: 51}}
	if d := cmp.Diff(want, seen); d != "" || err != nil || err2 != nil {
		t.Error(d, err, err2)
	}
}

// The files of a thread that is not ours to trace.
func TestDenied(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // not unlocked: what it changes ends with it
		pid := os.Getpid()
		if os.Geteuid() != 0 {
			pid = 1
		} else if err := unix.Setfsuid(65534); err != nil {
			// Without root's rights over files; by its own thread, so there is
			// a process that may surely be listed.
			t.Error(err)
			return
		}
		p, err := FS{}.Open(pid)
		if err != nil {
			t.Log("skipped: ", err)
			return
		}
		defer func() { _ = p.Close() }()
		if _, err := p.Syscall(pid); err == nil {
			t.Log("skipped: may read it")
			return
		} else if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, fs.ErrPermission) || e.TID != pid {
			t.Errorf("syscall: %v", err)
		}
		n := 0
		for th, err := range p.Threads(Selection{}, DetailAll) {
			if err != nil || th.Comm == "" || th.State == 0 || th.Syscall != "" || th.Unreadable != DetailSyscall {
				t.Errorf("%+v, %v", th, err)
			}
			n++
		}
		if n == 0 {
			t.Error("nobody listed")
		}
		if got, err := p.Select(Selection{Syscall: NoSyscall}, nil); !errors.Is(err, fs.ErrPermission) || len(got) != 0 {
			t.Errorf("%v, %v", got, err)
		}
	}()
	<-done
}

func TestSelectVanished(t *testing.T) {
	threads := parkFor(t, 10, nil)
	p := self(t)
	for _, i := range []int{2, 3, 7} {
		threads.stop(i)
		eventually(t, "a thread ends", func() bool { return gone(p.exists(threads.tids[i])) })
	}
	want := slices.Clone(threads.tids)
	want = slices.DeleteFunc(want, func(tid int) bool { return gone(p.exists(tid)) })
	for _, sel := range []Selection{{TIDs: threads.tids}, {TIDs: threads.tids, Comm: "*"}} {
		if got, err := p.Select(sel, nil); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got, err := p.Filter(Selection{State: States}, slices.Clone(threads.tids)); err != nil || !slices.Equal(got, want) {
		t.Errorf("filter: %v, %v", got, err)
	}
}
