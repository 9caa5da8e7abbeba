package target_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"massattach/internal/target"
)

// The words of a pair, and two arguments of its call, are the number of the round
// whenever the thread sleeps in one, and never otherwise for long.
func TestPair(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Pair: 2})
	kinds, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tid := kinds[target.KindPair][0]
	a, err := p.Thread(ctx, tid)
	if err != nil || a.Kind != target.KindPair || a.Pair == 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", p.PID()))
	if err != nil {
		t.Skip(err)
	}
	defer mem.Close()
	words := func() (first, second uint64) {
		var b [16]byte
		if _, err := mem.ReadAt(b[:], int64(a.Pair)); err != nil {
			t.Fatal(err)
		}
		return binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:])
	}
	eventually(t, "they match, and the call has them", func() bool {
		before, _ := words()
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", p.PID(), tid))
		first, second := words()
		if err != nil {
			t.Skip(err)
		}
		f := strings.Fields(string(b))
		round := fmt.Sprintf("%#x", first)
		return before == first && first == second && len(f) == 9 && f[5] == round && f[6] == round
	})
	was, _ := words()
	eventually(t, "the rounds go on", func() bool { is, _ := words(); return is > was+100 })
	if a, err := p.Thread(ctx, tid); err != nil || a.Calls < 100 || a.EINTR != 0 || a.Early != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := p.End(ctx, tid); err != nil {
		t.Error(err)
	}
}
