package attacher_test

import (
	"errors"
	"testing"

	"massattach/attacher"
	"massattach/procfs"
)

func TestCountList(t *testing.T) {
	for list, want := range map[string]int{"0\n": 1, "0-1\n": 2, "0-3,8,10-11\n": 7, "255": 1} {
		if got, err := attacher.CountList(list); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", list, got, err, want)
		}
	}
	for _, list := range []string{"", "\n", "3-1", "0-", "a", "0,,1"} {
		if got, err := attacher.CountList(list); err == nil {
			t.Errorf("%q: %d", list, got)
		}
	}
	if _, err := attacher.CountList("3-1"); !errors.Is(err, procfs.ErrFormat) {
		t.Error(err)
	}
}

// The numbers of this machine are one turn of some length.
func TestNumbers(t *testing.T) {
	last, turn, err := attacher.ProcFS{}.Numbers()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || last <= 0 || turn <= 0 {
		t.Errorf("%d, %v, %v", last, turn, err)
	}
}
