package attachertest_test

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"massattach/attacher/attachertest"
	"massattach/procfs"
)

func list(t *testing.T, m *attachertest.Machine) (tids []int) {
	t.Helper()
	p, err := m.Open(100)
	must(t, err)
	must(t, p.Chunks(func(c []int) error { tids = append(tids, c...); return nil }))
	return tids
}

// A listing goes on by the thread that comes next. When that one has died it
// goes on by how many came before, and each other one of those that has died
// as well hides a living thread.
func TestReaddirTrap(t *testing.T) {
	for _, test := range []struct {
		die    []int
		hidden []int
	}{
		{nil, nil},
		{[]int{103}, nil},             // the one that comes next
		{[]int{101}, nil},             // one that was listed
		{[]int{101, 103}, []int{104}}, // both
		{[]int{101, 102, 103}, []int{104, 105}},
	} {
		m := attachertest.New(100, 9)
		m.ChunkSize = 3
		chunks := 0
		m.Before = func(op string, _ int) error {
			if op == "list" {
				if chunks++; chunks == 2 {
					for _, tid := range test.die {
						m.Exit(tid, 0)
					}
				}
			}
			return nil
		}
		got := list(t, m)
		var hidden []int
		for _, tid := range m.Threads() {
			if !slices.Contains(got, tid) {
				hidden = append(hidden, tid)
			}
		}
		if !slices.Equal(hidden, test.hidden) {
			t.Errorf("%v die: %v are hidden, want %v (listed %v)", test.die, hidden, test.hidden, got)
		}
	}
}

func TestListingOfAProcessThatIsGone(t *testing.T) {
	m := attachertest.New(100, 5)
	m.ChunkSize = 2
	p, err := m.Open(100)
	must(t, err)
	err = p.Chunks(func([]int) error { m.Kill(100, syscall.SIGKILL); return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Chunks: %v", err)
	}
	if _, err := p.Status(100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Status: %v", err)
	}
	if _, err := m.Open(100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open: %v", err)
	}
	if got := m.Account().Parent; !slices.Equal(got, []string{"killed 9"}) {
		t.Errorf("the parent saw %v", got)
	}
}

func TestOpenByThread(t *testing.T) {
	var e *procfs.NotLeaderError
	if _, err := attachertest.New(100, 3).Open(102); !errors.As(err, &e) || e.TGID != 100 {
		t.Error(err)
	}
}

func TestSelect(t *testing.T) {
	m := attachertest.New(100, 4)
	m.SetName(102, "worker")
	m.Spin(103)
	p, err := m.Open(100)
	must(t, err)
	for _, test := range []struct {
		sel  procfs.Selection
		want []int
	}{
		{procfs.Selection{}, []int{100, 101, 102, 103}},
		{procfs.Selection{TIDs: []int{103, 999}}, []int{103}},
		{procfs.Selection{Comm: "work*"}, []int{102}},
		{procfs.Selection{State: "R"}, []int{103}},
		{procfs.Selection{Syscall: procfs.NoSyscall}, []int{103}},
	} {
		got, err := p.Select(test.sel, nil)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, %v", test.sel, got, err)
		}
	}
}
