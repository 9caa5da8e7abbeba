package stopper_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/procfs"
	"massattach/stopper"
)

// permutations of 0 to n-1.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

// subsets of 0 to n-1, but for the empty one.
func subsets(n int) (all [][]int) {
	for set := 1; set < 1<<n; set++ {
		var s []int
		for i := range n {
			if set&(1<<i) != 0 {
				s = append(s, i)
			}
		}
		all = append(all, s)
	}
	return all
}

// Two and three holders of all subsets of three threads, which let go in every
// order: a thread stands still as long as one of them holds it, and no longer.
func TestHoldersExhaustively(t *testing.T) {
	onFake(t, 3, attacher.Options{}, func(f *fake) {
		all := subsets(3)
		for _, a := range all {
			for _, b := range all {
				for _, order := range permutations(2) {
					f.holders([][]int{a, b}, order)
				}
				for _, c := range all {
					for _, order := range permutations(3) {
						f.holders([][]int{a, b, c}, order)
					}
				}
			}
		}
	})
}

func (f *fake) holders(sets [][]int, order []int) {
	f.t.Helper()
	held := make([]*stopper.Held, len(sets))
	want := func() (tids []int) {
		for i := range 3 {
			for j, set := range sets {
				if held[j] != nil && slices.Contains(set, i) {
					tids = append(tids, 100+i)
					break
				}
			}
		}
		return tids
	}
	for j, set := range sets {
		var r stopper.Request
		if len(set) < 3 { // who holds three holds all
			r.Selection.TIDs = []int{}
			for _, i := range set {
				r.Selection.TIDs = append(r.Selection.TIDs, 100+i)
			}
		}
		held[j] = f.arrest(r)
		if got := held[j].TIDs(); len(got) != len(set) {
			f.t.Fatalf("%v of %v are held", got, set)
		}
		f.areStopped(want()...)
	}
	for _, j := range order {
		must(f.t, held[j].Resume())
		held[j] = nil
		f.areStopped(want()...)
	}
}

// A holder's context that ends lets go, of what nobody else holds.
func TestContextLetsGo(t *testing.T) {
	onFake(t, 4, attacher.Options{}, func(f *fake) {
		ctx, cancel := context.WithCancel(context.Background())
		h, err := f.Arrest(ctx, stopper.Request{})
		must(t, err)
		other := f.arrest(some(102))
		f.areStopped(100, 101, 102, 103)
		cancel()
		f.areStopped(102)
		must(t, h.Resume())
		var r attacher.Regs
		if err := h.Regs(101, &r); !errors.Is(err, stopper.ErrReleased) {
			t.Errorf("registers: %v", err)
		}
		if err := other.Regs(101, &r); !errors.Is(err, stopper.ErrNotHeld) {
			t.Errorf("registers of another: %v", err)
		}
		must(t, other.Regs(102, &r))
		must(t, other.Resume())
		f.areStopped()
	})
}

// The closure's threads run on whatever becomes of it.
func TestHoldResumes(t *testing.T) {
	onFake(t, 3, attacher.Options{}, func(f *fake) {
		wrong := errors.New("wrong")
		err := f.Hold(context.Background(), stopper.Request{}, func(h *stopper.Held) error {
			f.areStopped(100, 101, 102)
			return wrong
		})
		if !errors.Is(err, wrong) {
			t.Errorf("%v", err)
		}
		f.areStopped()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = f.Hold(context.Background(), stopper.Request{}, func(h *stopper.Held) error { panic("in the closure") })
		}()
		f.areStopped()
	})
}

// What the process does during a hold of some: the others go on.
func TestSelection(t *testing.T) {
	onFake(t, 6, attacher.Options{}, func(f *fake) {
		f.m.SetName(103, "worker-3")
		f.m.SetName(104, "worker-4")
		f.m.Set(105, attachertest.Semop)
		for _, c := range []struct {
			sel  procfs.Selection
			want []int
		}{
			{procfs.Selection{Comm: "worker-*"}, []int{103, 104}},
			{procfs.Selection{TIDs: []int{101, 999}}, []int{101}},
			{procfs.Selection{Syscall: "semop"}, []int{105}},
			{procfs.Selection{State: "S", TIDs: []int{100, 101}}, []int{100, 101}},
			{procfs.Selection{Func: func(th procfs.Thread) bool { return th.TID%2 == 1 }}, []int{101, 103, 105}},
			{procfs.Selection{TIDs: []int{}}, nil},
		} {
			h := f.arrest(stopper.Request{Selection: c.sel})
			f.areStopped(c.want...)
			born := f.m.Spawn(100)
			f.areStopped(c.want...)
			f.m.Exit(born, 0)
			must(t, h.Resume())
			f.areStopped()
		}
		if _, err := f.Arrest(context.Background(), stopper.Request{Selection: procfs.Selection{Comm: "["}}); err == nil {
			t.Error("a broken pattern was taken")
		}
	})
}

// Memory of held threads is read and written.
func TestMemory(t *testing.T) {
	onFake(t, 2, attacher.Options{}, func(f *fake) {
		f.m.Poke(0x1000, []byte("hello"))
		h := f.arrest(stopper.Request{})
		b := make([]byte, 4)
		must(t, h.WriteAt(101, []byte("j"), 0x1000))
		must(t, h.ReadAt(101, b, 0x1000))
		if string(b) != "jell" {
			t.Errorf("read %q", b)
		}
		if err := h.ReadAt(101, b, 0x9000); !errors.Is(err, syscall.EFAULT) {
			t.Errorf("%v", err)
		}
		must(t, h.Resume())
	})
}

// The hook hears of each end of a hold, and of each arrest that failed.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 4)
		m.Set(101, attachertest.Disk)
		s, err := attacher.Attach(context.Background(), 100, &attacher.Options{Kernel: m, Proc: m})
		must(t, err)
		defer s.Close()
		var resumed []stopper.Report
		var stops [][]time.Duration
		st, err := stopper.New(s, &stopper.Options{Trace: &stopper.Trace{
			Resumed: func(r stopper.Report, took []time.Duration) {
				resumed, stops = append(resumed, r), append(stops, took)
			},
		}})
		must(t, err)
		if _, err := stopper.New(s, nil); err == nil {
			t.Error("a session has taken a second stopper")
		}
		h, err := st.Arrest(context.Background(), stopper.Request{Within: time.Second, Partial: true})
		must(t, err)
		time.Sleep(time.Minute)
		must(t, h.Resume())
		must(t, h.Resume())
		if _, err := st.Arrest(context.Background(), stopper.Request{Within: time.Second}); err == nil {
			t.Error("no error")
		}
		if len(resumed) != 2 || resumed[0].Missed != 1 || resumed[0].Stopped != 3 || resumed[0].Complete || resumed[0].Held != time.Minute {
			t.Fatalf("resumed %+v", resumed)
		}
		for i, took := range stops {
			if q := attacher.QuantilesOf(took); len(took) != 3 || q != resumed[i].Latency {
				t.Errorf("%v took %v", resumed[i], took)
			}
		}
		m.Return(101, 0)
	})
}
