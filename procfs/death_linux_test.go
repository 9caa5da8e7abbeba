package procfs

import (
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that has ended, before and after its parent took note.
func TestDeadProcess(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	pid := cmd.Process.Pid
	p := openProcess(t, FS{}, pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a zombie", func() bool {
		st, err := p.Stat(pid)
		return err == nil && st.State == 'Z'
	})
	if tids, err := p.AppendTIDs(nil); err != nil || !slices.Equal(tids, []int{pid}) {
		t.Errorf("a zombie lists %v, %v", tids, err)
	}
	if call, err := p.Syscall(pid); !errors.Is(err, fs.ErrPermission) && (err != nil || call.Nr != -1) {
		t.Errorf("a zombie's call: %+v, %v", call, err)
	}
	_ = cmd.Wait()
	_, err1 := p.AppendTIDs(nil)
	_, err2 := p.NumThreads()
	_, err3 := p.Stat(pid)
	_, err4 := p.Wchan(pid)
	_, err5 := p.Select(Selection{}, nil)
	_, err6 := FS{}.Open(pid)
	_, err7 := FS{}.TGID(pid)
	_, err8 := p.Identify(pid)
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
	if got, err := p.Select(Selection{TIDs: []int{pid}}, nil); err != nil || len(got) != 0 {
		t.Errorf("a vanished thread is none: %v, %v", got, err)
	}
}

func TestZombieLeader(t *testing.T) {
	pid := zombieLeader(t).Process.Pid
	p := openProcess(t, FS{}, pid)
	tids, err := p.AppendTIDs(nil)
	if err != nil || len(tids) < 4 || !slices.Contains(tids, pid) {
		t.Fatalf("%v, %v", tids, err)
	}
	if n, err := p.NumThreads(); n < 4 || err != nil {
		t.Errorf("%d threads, %v", n, err)
	}
	if st, err := p.Status(pid); err != nil || st.State != 'Z' || st.Tgid != pid {
		t.Errorf("leader: %+v, %v", st, err)
	}
	zombies, err := p.Select(Selection{State: "Z"}, nil)
	if err != nil || !slices.Equal(zombies, []int{pid}) {
		t.Errorf("zombies: %v, %v", zombies, err)
	}
	for th, err := range p.Threads(Selection{}, DetailAll) {
		if err != nil || th.Start == 0 || th.Comm == "" {
			t.Errorf("%+v, %v", th, err)
		}
	}
}

// ESRCH comes from a file that was opened while its thread lived.
func TestGoneBetweenOpenAndRead(t *testing.T) {
	threads := parkFor(t, 1, nil)
	p := self(t)
	fd, err := p.openFile(strconv.Itoa(threads.tids[0]) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	threads.stop(0)
	eventually(t, "the thread ends", func() bool { return p.exists(threads.tids[0]) != nil })
	buf := files.Get().(*file)
	defer buf.free()
	_, err = buf.readAll(fd)
	if err = p.fail("read stat", 1, err); !errors.Is(err, unix.ESRCH) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
