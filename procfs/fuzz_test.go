package procfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What every parser promises: no panic, and no difference between a file and
// what is read of it back.

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (sh)"+statTail), "sh")
	f.Add([]byte("42 ((sd) (pam))"+statTail), "(sd) \n)")
	f.Add([]byte("1 (\xff"), "\xff)")
	f.Fuzz(func(t *testing.T, b []byte, comm string) {
		if st, err := parseStat(b); err == nil {
			// Its own rendering reads the same.
			again, err := parseStat(formatStat(st))
			if d := cmp.Diff(st, again); err != nil || d != "" {
				t.Errorf("%q: %v %s", b, err, d)
			}
		}
		st, err := parseStat([]byte("42 (" + comm + ")" + statTail))
		if err != nil || st.Comm != comm || st.StartTime != 987654 {
			t.Errorf("%q: %+v, %v", comm, st, err)
		}
	})
}

func formatStat(s Stat) []byte {
	return fmt.Appendf(nil, "%d (%s) %s %d %d %d %d -1 %d 0 0 0 0 %d %d 0 0 20 0 %d 0 %d %d \n",
		s.TID, s.Comm, string([]byte{s.State}), s.PPID, s.PGRP, s.Session, s.TTY, s.Flags, s.UTime, s.STime, s.NumThreads, s.StartTime, s.VSize)
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(statusText), "name")
	f.Add([]byte("Name:\t\\\\\\n\\\nPid:\t1"), "a\\n\nb\\")
	f.Add([]byte("NSpid:\t1 2\t3  4x"), "\xff")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		st, err := parseStatus(b)
		if err == nil {
			// Half a line more changes nothing.
			whole := b[:bytes.LastIndexByte(b, '\n')+1]
			again, err := parseStatus(append(slices.Clip(whole), "Pid:\t4"...))
			if d := cmp.Diff(st, again); err != nil || d != "" {
				t.Errorf("%q: %v %s", b, err, d)
			}
		}
		escaped := strings.NewReplacer("\n", `\n`, `\`, `\\`).Replace(name)
		st, err = parseStatus([]byte("Name:\t" + escaped + "\nPid:\t7\n"))
		if err != nil || st.Name != name || st.Pid != 7 {
			t.Errorf("%q: %+v, %v", name, st, err)
		}
	})
}

func FuzzParseSyscall(f *testing.F) {
	f.Add([]byte("running\n"))
	f.Add([]byte("-1 0x7ffe10 0x401000\n"))
	f.Add([]byte("202 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSyscall(b)
		if err != nil {
			return
		}
		again, err := parseSyscall(formatSyscall(s))
		if err != nil || again != s {
			t.Errorf("%q: %+v, then %+v, %v", b, s, again, err)
		}
	})
}

func formatSyscall(s Syscall) []byte {
	switch {
	case s.Running:
		return []byte("running\n")
	case s.Nr < 0:
		return fmt.Appendf(nil, "%d 0x%x 0x%x\n", s.Nr, s.SP, s.PC)
	}
	a := s.Args
	return fmt.Appendf(nil, "%d 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x\n", s.Nr, a[0], a[1], a[2], a[3], a[4], a[5], s.SP, s.PC)
}

func FuzzParseSchedstat(f *testing.F) {
	f.Add([]byte("0 0 0\n"))
	f.Add([]byte("123456 789 42\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSchedstat(b)
		if err != nil {
			return
		}
		again, err := parseSchedstat(fmt.Appendf(nil, "%d %d %d\n", s.Run, s.Wait, s.Runs))
		if err != nil || again != s || s.Run < 0 || s.Wait < 0 {
			t.Errorf("%q: %+v, then %+v, %v", b, s, again, err)
		}
	})
}

func FuzzParseNames(f *testing.F) {
	f.Add("comm", []byte("futex_do_wait"))
	f.Add("a\nb", []byte("0\n"))
	f.Fuzz(func(t *testing.T, comm string, b []byte) {
		if got := parseComm([]byte(comm + "\n")); got != comm {
			t.Errorf("%q: %q", comm, got)
		}
		if got := parseWchan(b); got == "0" || strings.ContainsAny(got, "\n") && !strings.Contains(string(b), got) {
			t.Errorf("%q: %q", b, got)
		}
		if l, err := parseLoadavg(b); err == nil && min(l.lastPID, l.runnable, l.threads) < 0 {
			t.Errorf("%q: %d", b, l)
		}
		if kind := parseAuxv(b); len(b) < 16 && kind != abiUnknown {
			t.Errorf("%q: %d", b, kind)
		}
	})
}

func FuzzAppendNumbers(f *testing.F) {
	f.Add(direntBytes(".", "..", "1", "12345", "self", "007"), uint32(1))
	f.Add([]byte{}, uint32(4194304))
	f.Fuzz(func(t *testing.T, b []byte, n uint32) {
		for _, v := range appendNumbers(nil, b) {
			if v < 0 {
				t.Errorf("%q: %d", b, v)
			}
		}
		// Whatever comes before, what is there is found; whatever follows.
		name := fmt.Sprint(n)
		buf := append(direntBytes("..", name, "x"+name, name+"x"), b...)
		if got := appendNumbers([]int{7}, buf); len(got) < 2 || got[0] != 7 || got[1] != int(n) {
			t.Errorf("%q: %v", buf, got)
		}
	})
}

// direntBytes lays names out as getdents64 does.
func direntBytes(names ...string) (buf []byte) {
	for i, name := range names {
		rec := make([]byte, (direntName+len(name)+1+7)&^7)
		binary.NativeEndian.PutUint64(rec, uint64(i+1))
		binary.NativeEndian.PutUint16(rec[direntReclen:], uint16(len(rec)))
		rec[18] = 4 // DT_DIR
		copy(rec[direntName:], name)
		buf = append(buf, rec...)
	}
	return buf
}

func TestAppendNumbers(t *testing.T) {
	buf := direntBytes(".", "..", "1", "22", "loadavg", "12a", "-3", "4194304", "99999999999")
	want := []int{9, 1, 22, 4194304}
	if got := appendNumbers([]int{9}, buf); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for n := range buf { // cut off anywhere: a prefix of the answer
		if got := appendNumbers([]int{9}, buf[:n]); !slices.Equal(got, want[:len(got)]) {
			t.Errorf("%d bytes: %v", n, got)
		}
	}
	broken := direntBytes("1", "2")
	broken[direntReclen] = 0
	if got := appendNumbers(nil, broken); len(got) != 0 {
		t.Errorf("a record of no length: %v", got)
	}
}
