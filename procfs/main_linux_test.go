package procfs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const helperVar = "PROCFS_TEST_HELPER"

// The helper is this test binary as another process. Its main thread is the
// initial one only as long as init has locked it.
func init() {
	if os.Getenv(helperVar) != "zombie-leader" {
		return
	}
	runtime.LockOSThread()
	park(3, nil)
	go func() {
		for !leaderEnded() {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("ready")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the test is done
		os.Exit(0)
	}()
	// exit(2), not exit_group(2): of this thread alone.
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
}

func leaderEnded() bool {
	b, err := os.ReadFile("/proc/self/stat")
	return err == nil && strings.Contains(string(b), ") Z ")
}

// TestMain fails the run if a descriptor was left open.
func TestMain(m *testing.M) {
	before := descriptors()
	code := m.Run()
	runtime.GC()
	if after := descriptors(); code == 0 && len(after) > len(before)+1 { // +1: the runtime's epoll
		fmt.Fprintf(os.Stderr, "descriptors left open:\nbefore %v\nafter  %v\n", before, after)
		code = 1
	}
	os.Exit(code)
}

func descriptors() (open []string) {
	names, _ := filepath.Glob("/proc/self/fd/*")
	for _, name := range names {
		if to, err := os.Readlink(name); err == nil && !strings.Contains(to, "anon_inode") {
			open = append(open, filepath.Base(name)+" "+to)
		}
	}
	return open
}

// parked are goroutines that each hold an OS thread and block.
type parked struct {
	tids []int
	end  []chan struct{}
}

// park starts n of them. Each calls setup first, if there is one. Never on the
// main thread: Go does not end that one with its goroutine.
func park(n int, setup func(i, tid int)) *parked {
	p := &parked{tids: make([]int, n), end: make([]chan struct{}, n)}
	onMain := make(chan struct{})
	defer close(onMain)
	for i := range n {
		end := make(chan struct{})
		p.end[i] = end
		ready := make(chan bool)
		start := func() {
			runtime.LockOSThread()
			if p.tids[i] = unix.Gettid(); p.tids[i] == os.Getpid() {
				ready <- false
				<-onMain // occupied until the others are elsewhere
				runtime.UnlockOSThread()
				return
			}
			if setup != nil {
				setup(i, p.tids[i])
			}
			ready <- true
			<-end
			// Never unlocked: the thread ends with the goroutine.
		}
		go start()
		if !<-ready {
			go start()
			<-ready
		}
	}
	return p
}

// stop ends thread i.
func (p *parked) stop(i int) {
	if p.end[i] != nil {
		close(p.end[i])
		p.end[i] = nil
	}
}

// sortBy puts them in the order of list, which has them all.
func (p *parked) sortBy(list []int) {
	end := map[int]chan struct{}{}
	for i, tid := range p.tids {
		end[tid] = p.end[i]
	}
	slices.SortFunc(p.tids, func(a, b int) int { return slices.Index(list, a) - slices.Index(list, b) })
	for i, tid := range p.tids {
		p.end[i] = end[tid]
	}
}

// parkFor ends them with the test, and waits until they are gone: a test that
// follows might see them go.
func parkFor(t testing.TB, n int, setup func(i, tid int)) *parked {
	p := park(n, setup)
	t.Cleanup(func() {
		for i := range p.end {
			p.stop(i)
		}
		for _, tid := range p.tids {
			eventually(t, "a thread ends", func() bool {
				_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
				return err != nil
			})
		}
	})
	return p
}

// listed says whether all of tids are in list.
func listed(tids, list []int) bool { return contained(sorted(tids), sorted(list)) }

func openProcess(t testing.TB, f FS, pid int) *Process {
	t.Helper()
	p, err := f.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func self(t testing.TB) *Process { return openProcess(t, FS{}, os.Getpid()) }

// zombieLeader starts a process whose first thread has ended.
func zombieLeader(t testing.TB) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperVar+"=zombie-leader")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("helper: %q, %v", line, err)
	}
	return cmd
}

// eventually waits for what another thread is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 10_000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("never: " + what)
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// fakeThread is one of a tree that fakeTree writes; "" is a file that is missing.
type fakeThread struct {
	tid                         int
	comm, state, syscall, wchan string
	start                       int
}

// fakeTree writes a proc file system with one process.
func fakeTree(t testing.TB, root string, pid int, threads ...fakeThread) {
	t.Helper()
	for _, th := range threads {
		dir := filepath.Join(root, strconv.Itoa(pid), "task", strconv.Itoa(th.tid))
		write(t, dir+"/comm", th.comm+"\n")
		write(t, dir+"/stat", fmt.Sprintf("%d (%s) %s 1 1 1 0 -1 64 0 0 0 0 5 6 0 0 20 0 %d 0 %d 4096 1\n",
			th.tid, th.comm, th.state, len(threads), th.start))
		escaped := strings.NewReplacer("\n", `\n`, `\`, `\\`).Replace(th.comm)
		write(t, dir+"/status", fmt.Sprintf("Name:\t%s\nState:\t%s (?)\nTgid:\t%d\nPid:\t%d\nUid:\t7\t7\t7\t7\nThreads:\t%d\n",
			escaped, th.state, pid, th.tid, len(threads)))
		if th.syscall != "" {
			write(t, dir+"/syscall", th.syscall+"\n")
		}
		if th.wchan != "" {
			write(t, dir+"/wchan", th.wchan)
		}
	}
}

func sorted(tids []int) []int { return slices.Sorted(slices.Values(tids)) }
