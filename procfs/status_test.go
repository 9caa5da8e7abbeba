package procfs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const statusText = "Name:\tte\\\\st\\n(1)\nUmask:\t0022\nState:\tt (tracing stop)\nTgid:\t3334\nNgid:\t7\nPid:\t3335\n" +
	"PPid:\t3328\nTracerPid:\t77\nUid:\t0\t1\t2\t4294967295\nGid:\t4\t5\t6\t7\nFDSize:\t256\nGroups:\t1 2 3 \n" +
	"NStgid:\t3334\t12\t1\nNSpid:\t3335\t13\t2\nNSpgid:\t3328\nKthread:\t0\nVmPeak:\t    3060 kB\nThreads:\t9\n" +
	"SigQ:\t3/96365\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000002\nSigBlk:\tfffffffe7ffbfeff\n" +
	"SigIgn:\t0000000000001000\nSigCgt:\tffffffffffc1feff\nCapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\n" +
	"CapEff:\t000001fffefffff0\nCapBnd:\t000001fffeffff00\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n" +
	"Seccomp_filters:\t4\nCpus_allowed:\t3\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n"

var statusWant = Status{
	Name: "te\\st\n(1)", State: 't', Tgid: 3334, Ngid: 7, Pid: 3335, PPid: 3328, TracerPid: 77,
	Uid: [4]int{0, 1, 2, 4294967295}, Gid: [4]int{4, 5, 6, 7},
	NStgid: []int{3334, 12, 1}, NSpid: []int{3335, 13, 2}, Kthread: 0, Threads: 9,
	SigQ: 3, SigQLimit: 96365, SigPnd: 1, ShdPnd: 2, SigBlk: 0xfffffffe7ffbfeff, SigIgn: 0x1000, SigCgt: 0xffffffffffc1feff,
	CapPrm: 0x1fffeffffff, CapEff: 0x1fffefffff0, CapBnd: 0x1fffeffff00,
	NoNewPrivs: 1, Seccomp: 2, VoluntarySwitches: 150, NonvoluntarySwitches: 545,
}

func TestParseStatus(t *testing.T) {
	got, err := parseStatus([]byte(statusText))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(statusWant, got); d != "" {
		t.Error(d)
	}
	if got.InnermostPID() != 2 {
		t.Errorf("innermost %d", got.InnermostPID())
	}
}

// A kernel without a line leaves that field at its unknown, and no other.
func TestParseStatusLacksLine(t *testing.T) {
	blank := map[string]func(*Status){
		"Name": func(s *Status) { s.Name = "" }, "State": func(s *Status) { s.State = 0 },
		"Tgid": func(s *Status) { s.Tgid = 0 }, "Ngid": func(s *Status) { s.Ngid = 0 },
		"Pid": func(s *Status) { s.Pid = 0 }, "PPid": func(s *Status) { s.PPid = 0 },
		"TracerPid": func(s *Status) { s.TracerPid = 0 }, "Uid": func(s *Status) { s.Uid = [4]int{} },
		"Gid": func(s *Status) { s.Gid = [4]int{} }, "NStgid": func(s *Status) { s.NStgid = nil },
		"NSpid": func(s *Status) { s.NSpid = nil }, "Kthread": func(s *Status) { s.Kthread = -1 },
		"Threads": func(s *Status) { s.Threads = 0 }, "SigQ": func(s *Status) { s.SigQ, s.SigQLimit = 0, 0 },
		"SigPnd": func(s *Status) { s.SigPnd = 0 }, "ShdPnd": func(s *Status) { s.ShdPnd = 0 },
		"SigBlk": func(s *Status) { s.SigBlk = 0 }, "SigIgn": func(s *Status) { s.SigIgn = 0 },
		"SigCgt": func(s *Status) { s.SigCgt = 0 }, "CapPrm": func(s *Status) { s.CapPrm = 0 },
		"CapEff": func(s *Status) { s.CapEff = 0 }, "CapBnd": func(s *Status) { s.CapBnd = 0 },
		"NoNewPrivs": func(s *Status) { s.NoNewPrivs = -1 }, "Seccomp": func(s *Status) { s.Seccomp = -1 },
		"voluntary_ctxt_switches":    func(s *Status) { s.VoluntarySwitches = 0 },
		"nonvoluntary_ctxt_switches": func(s *Status) { s.NonvoluntarySwitches = 0 },
	}
	lines := strings.SplitAfter(statusText, "\n")
	for i, line := range lines {
		key, _, _ := strings.Cut(line, ":")
		want := statusWant
		if f := blank[key]; f != nil {
			f(&want)
		}
		text := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
		got, err := parseStatus([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("without %s: %s", key, d)
		}
		delete(blank, key)
	}
	for key := range blank {
		t.Errorf("no line %s", key)
	}
	if got := (Status{Pid: 5}).InnermostPID(); got != 5 {
		t.Errorf("innermost without NSpid: %d", got)
	}
}

// Cut off anywhere it has what was whole before, and nothing of a cut number.
func TestParseStatusCutOff(t *testing.T) {
	for n := range statusText {
		got, err := parseStatus([]byte(statusText[:n]))
		whole := statusText[:strings.LastIndexByte(statusText[:n], '\n')+1]
		if whole == "" {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%q: %v", statusText[:n], err)
			}
			continue
		}
		want, _ := parseStatus([]byte(whole))
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Fatalf("%d bytes: %v %s", n, err, d)
		}
	}
}

func TestParseStatusOdd(t *testing.T) {
	for in, want := range map[string]Status{
		"Name:\t  a: b  \n":            {Name: "  a: b  "},
		"Name:\t\n":                    {},
		"Name:\t\\x\\\n":               {Name: `\x\`},
		"Name:\t\xff\xfe\n":            {Name: "\xff\xfe"},
		"Pid:\tx\nTgid:\t4\n":          {Tgid: 4},
		"Pid:\t12 3\nState:\n":         {},
		"Uid:\t1\t2\t3\nTgid:\t1\n":    {Tgid: 1},
		"SigBlk:\t-1\nPid:\t1\n":       {Pid: 1},
		"SigQ:\t5\n":                   {SigQ: 5},
		"no colon\n\n:\n::\nPid:\t2\n": {Pid: 2},
	} {
		want.Kthread, want.NoNewPrivs, want.Seccomp = -1, -1, -1
		got, err := parseStatus([]byte(in))
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%q: %v %s", in, err, d)
		}
	}
	for _, in := range []string{"", "\n", "Umask:\t0022\n", "Pid:\t1"} {
		if got, err := parseStatus([]byte(in)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}
