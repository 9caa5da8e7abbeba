package procfs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestTGID(t *testing.T) {
	tid := parkFor(t, 1, nil).tids[0]
	for _, id := range []int{tid, os.Getpid()} {
		if got, err := (FS{}).TGID(id); got != os.Getpid() || err != nil {
			t.Errorf("%d: %d, %v", id, got, err)
		}
	}
	_, err := FS{}.TGID(1 << 30)
	if e, ok := errors.AsType[*Error](err); !errors.Is(err, fs.ErrNotExist) || !ok || e.TID != 1<<30 {
		t.Error(err)
	}
	root := t.TempDir()
	write(t, root+"/5/status", "Name:\tx\n")
	if _, err := (FS{Root: root}).TGID(5); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestLastPID(t *testing.T) {
	if own, err := (FS{}).OwnNamespace(); err != nil || !own {
		t.Skipf("/proc is of another PID namespace: %v, %v", own, err)
	}
	before, err := FS{}.LastPID()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || before <= 0 {
		t.Fatal(before, err)
	}
	if err := exec.Command("true").Run(); err != nil {
		t.Skip(err)
	}
	if after, err := (FS{}).LastPID(); err != nil || after == before {
		t.Errorf("a birth does not move it: %d, %d, %v", before, after, err)
	}
	root := t.TempDir()
	if _, err := (FS{Root: root}).LastPID(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	write(t, root+"/loadavg", "0.00 0.01 0.05 1/123 4567\n")
	if got, err := (FS{Root: root}).LastPID(); got != 4567 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	write(t, root+"/loadavg", "0.00")
	if _, err := (FS{Root: root}).LastPID(); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestNumbers(t *testing.T) {
	if last, free, err := (FS{}).Numbers(); (last <= 0 || free <= 0) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%d, %d, %v", last, free, err)
	}
	root := t.TempDir()
	f := FS{Root: root}
	if _, _, err := f.Numbers(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	write(t, root+"/loadavg", "0.00 0.01 0.05 1/123 4567\n")
	if _, _, err := f.Numbers(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.MkdirAll(root+"/sys/kernel", 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{"32768\n": 32768 - 300 - 123, "400\n": 0} {
		write(t, root+"/sys/kernel/pid_max", text)
		if last, free, err := f.Numbers(); last != 4567 || free != want || err != nil {
			t.Errorf("%q: %d, %d, %v; want %d free", text, last, free, err, want)
		}
	}
	write(t, root+"/sys/kernel/pid_max", "many\n")
	if _, _, err := f.Numbers(); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestOwnNamespace(t *testing.T) {
	root := t.TempDir()
	f := FS{Root: root}
	if own, err := f.OwnNamespace(); own || err != nil {
		t.Errorf("no number for us: %v, %v", own, err)
	}
	for text, want := range map[string]bool{"NSpid:\t7\n": true, "NSpid:\t7\t1\n": false} {
		write(t, root+"/self/status", text)
		if own, err := f.OwnNamespace(); own != want || err != nil {
			t.Errorf("%q: %v, %v", text, own, err)
		}
	}
	write(t, root+"/self/status", "Pid:\t7\n")
	if _, err := f.OwnNamespace(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestYamaScope(t *testing.T) {
	if scope, err := (FS{}).YamaScope(); (err == nil) != (scope >= 0) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d, %v", scope, err)
	}
	root := t.TempDir()
	f := FS{Root: root}
	if scope, err := f.YamaScope(); scope != -1 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without: %d, %v", scope, err)
	}
	for text, want := range map[string]int{"0\n": 0, "3\n": 3} {
		write(t, root+"/sys/kernel/yama/ptrace_scope", text)
		if scope, err := f.YamaScope(); scope != want || err != nil {
			t.Errorf("%q: %d, %v", text, scope, err)
		}
	}
	write(t, root+"/sys/kernel/yama/ptrace_scope", "x\n")
	if scope, err := f.YamaScope(); scope != -1 || !errors.Is(err, ErrFormat) {
		t.Errorf("%d, %v", scope, err)
	}
}

func TestTop(t *testing.T) {
	parkFor(t, 100, nil)
	all, err := FS{}.Top(0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b ProcessInfo) int {
		return cmp.Or(cmp.Compare(b.Threads, a.Threads), cmp.Compare(a.PID, b.PID))
	}) {
		t.Error("not in order")
	}
	i := slices.IndexFunc(all, func(p ProcessInfo) bool { return p.PID == os.Getpid() })
	if i < 0 || all[i].Threads < 101 || all[i].UID != os.Getuid() || all[i].Comm == "" || all[i].State == 0 {
		t.Errorf("we are not in it: %+v", all)
	}
	if one, err := (FS{}).Top(1); err != nil || len(one) != 1 || one[0].Threads < 101 {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestTopFake(t *testing.T) {
	root := t.TempDir()
	fakeTree(t, root, 5, fakeThread{tid: 5, comm: "five\n", state: "S"})
	fakeTree(t, root, 9, fakeThread{tid: 9, comm: "nine", state: "Z"}, fakeThread{tid: 10, comm: "x", state: "S"}, fakeThread{tid: 11, comm: "y", state: "S"})
	fakeTree(t, root, 7, fakeThread{tid: 7, comm: "seven", state: "S"})
	write(t, root+"/loadavg", "")
	write(t, root+"/12/task/12/comm", "ending\n") // no status: it has just ended
	if n, err := openProcess(t, FS{Root: root}, 9).NumThreads(); err != nil {
		t.Skip("link counts here: ", err)
	} else if n != 3 {
		t.Errorf("%d threads", n)
	}
	want := []ProcessInfo{{9, "nine", 3, 'Z', 7}, {5, "five\n", 1, 'S', 7}, {7, "seven", 1, 'S', 7}}
	for n, want := range [][]ProcessInfo{0: want, 1: want[:1], 2: want[:2], 9: want} {
		if want == nil {
			continue
		}
		got, err := FS{Root: root}.Top(n)
		if d := gocmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("top %d: %v %s", n, err, d)
		}
	}
	if _, err := (FS{Root: root + "/none"}).Top(1); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestRunning(t *testing.T) {
	if n, err := (FS{}).Running(); err != nil || n < 1 { // we are
		t.Errorf("%d, %v", n, err)
	}
}
