package procfs

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const statTail = " S 1 42 43 34816 42 4194368 1 2 3 4 50 60 7 8 20 0 12 0 987654 1048576 99 18446744073709551615 0\n"

func TestParseStat(t *testing.T) {
	want := Stat{TID: 42, State: 'S', PPID: 1, PGRP: 42, Session: 43, TTY: 34816,
		Flags: 4194368, UTime: 50, STime: 60, NumThreads: 12, StartTime: 987654, VSize: 1048576}
	for _, comm := range []string{"sh", "", " ", ")", "(", ") S 1 (", "a b", "new\nline", "\n",
		"\xff\xfe", "kworker/0:1-ev", "))))", "x) R 9 9 9 9 9"} {
		t.Run(comm, func(t *testing.T) {
			want.Comm = comm
			got, err := parseStat([]byte("42 (" + comm + ")" + statTail))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseStatCutOff(t *testing.T) {
	line := "42 (a) b)" + statTail
	want, err := parseStat([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	start := strings.Index(line, "987654") + len("987654 ")
	size := strings.Index(line, "1048576") + len("1048576 ")
	for n := range line {
		got, err := parseStat([]byte(line[:n]))
		switch {
		case n < start: // also within the start time: 98765 would be wrong
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%q: %v", line[:n], err)
			}
		case err != nil:
			t.Fatalf("%q: %v", line[:n], err)
		default:
			if n < size {
				got.VSize = want.VSize
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%q: %s", line[:n], d)
			}
		}
	}
}

func TestParseStatRefuses(t *testing.T) {
	for _, line := range []string{"", "\n", "42", "42 ()", "x (a)" + statTail, "(a)" + statTail, "42 (a)S 1",
		"42 a)" + statTail, "42 (a" + statTail,
		strings.Replace("42 (a)"+statTail, " S ", " SS ", 1),
		strings.Replace("42 (a)"+statTail, "987654", "-1", 1),
		strings.Replace("42 (a)"+statTail, "987654", "18446744073709551616", 1),
		strings.Replace("42 (a)"+statTail, "4194368", "4294967296", 1),
	} {
		if st, err := parseStat([]byte(line)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %+v, %v", line, st, err)
		}
	}
}

func TestStatKernelThread(t *testing.T) {
	if (Stat{Flags: 0x00400040}).KernelThread() || !(Stat{Flags: 0x04208040}).KernelThread() {
		t.Error("PF_KTHREAD is 0x00200000")
	}
}

func TestParseSyscall(t *testing.T) {
	for in, want := range map[string]Syscall{
		"running\n":              {Running: true, Nr: -1},
		"-1 0x7ffe10 0x401000\n": {Nr: -1, SP: 0x7ffe10, PC: 0x401000},
		"-1 0x0 0x0\n":           {Nr: -1},
		"-4095 0x1 0x2\n":        {Nr: -1, SP: 1, PC: 2},
		"0 0x1 0x2 0x3 0x4 0x5 0xffffffffffffffff 0x7 0x8\n": {
			Args: [6]uint64{1, 2, 3, 4, 5, math.MaxUint64}, SP: 7, PC: 8},
	} {
		got, err := parseSyscall([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", in, d)
		}
	}
	for _, in := range []string{"", "\n", "running", "runnin\n", "-1 0x0\n", "-1 0x0 0x0", "0\n", "0 0x0 0x0\n",
		"0 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8 0x9\n", "0 1 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n", "-1 0x0 0x10000000000000000\n", "x 0x0 0x0\n"} {
		if got, err := parseSyscall([]byte(in)); !errors.Is(err, ErrFormat) || got != (Syscall{Nr: -1}) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestParseSchedstat(t *testing.T) {
	for in, want := range map[string]Schedstat{
		"0 0 0\n":          {},
		"123456 789 42\n":  {Run: 123456, Wait: 789, Runs: 42},
		"1 2 3 and more\n": {Run: 1, Wait: 2, Runs: 3},
	} {
		if got, err := parseSchedstat([]byte(in)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "\n", "1 2\n", "1 2 3", "1 -2 3\n", "9223372036854775808 0 0\n"} {
		if got, err := parseSchedstat([]byte(in)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestParseComm(t *testing.T) {
	for in, want := range map[string]string{"": "", "\n": "", "a\n": "a", "a": "a", "a\nb\n": "a\nb", "\n\n": "\n", " a \n": " a ", "\xff\n": "\xff"} {
		if got := parseComm([]byte(in)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestParseWchan(t *testing.T) {
	for in, want := range map[string]string{"": "", "0": "", "0\n": "", "futex_do_wait": "futex_do_wait", "ep_poll\n": "ep_poll"} {
		if got := parseWchan([]byte(in)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestParseLoadavg(t *testing.T) {
	if got, err := parseLoadavg([]byte("0.00 0.01 0.05 1/123 4567\n")); got != (loadavg{1, 123, 4567}) || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	for _, in := range []string{"", "\n", "0.00 0.01 0.05 1/123 45", "0.00 0.01 0.05 1/123\n", "1 2 -3\n"} {
		if got, err := parseLoadavg([]byte(in)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
}

func TestParseAuxv(t *testing.T) {
	word64 := func(w ...uint64) (b []byte) {
		for _, w := range w {
			for i := range 8 {
				b = append(b, byte(w>>(8*i)))
			}
		}
		return b
	}
	word32 := func(w ...uint32) (b []byte) {
		for _, w := range w {
			b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
		}
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want abi
	}{
		{"empty", nil, abiUnknown},
		{"zombie", make([]byte, 16), abiUnknown},
		{"64", word64(33, 0x7ffd00000000, 16, 0xbfebfbff, 6, 4096, 4, 56, 0, 0), abiNative},
		{"64, no vdso", word64(6, 4096, 0, 0), abiNative},
		{"32", word32(32, 0xf7f00550, 33, 0xf7f00000, 6, 4096, 0, 0), abiCompat},
		{"32, value 0 first", word32(32, 0, 33, 0, 16, 0x1fcbfbff, 6, 4096, 17, 100, 0, 0), abiCompat},
		{"cut off", word64(33, 1)[:15], abiUnknown},
	} {
		if got := parseAuxv(c.b); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestSyscallName(t *testing.T) {
	for nr, want := range map[int]string{-1: "", -5: "", 100000: "syscall_100000", 1 << 30: "syscall_1073741824"} {
		if got := SyscallName(nr); got != want {
			t.Errorf("%d: %q", nr, got)
		}
	}
	for nr := range max(len(syscallNames), 500) {
		name := SyscallName(nr)
		got, named, ok := parseSyscallName(name)
		if got != nr || !ok || named == strings.HasPrefix(name, syscallPrefix) {
			t.Errorf("%d is %q is %d, %v, %v", nr, name, got, named, ok)
		}
	}
	for _, name := range []string{"", "syscall_", "syscall_x", "syscall_-1", "syscall_99999999999999999999", "Read", "no such"} {
		if nr, _, ok := parseSyscallName(name); ok {
			t.Errorf("%q is %d", name, nr)
		}
	}
	if (Syscall{Running: true}).Name() != "" || (Syscall{Nr: -1}).Name() != "" || (Syscall{Nr: 7}).Name() != SyscallName(7) {
		t.Error("Syscall.Name")
	}
}
