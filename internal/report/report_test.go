package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"massattach/attacher"
	. "massattach/internal/report"
	"massattach/procfs"
	"massattach/stopper"
	"massattach/stopper/notify"
	"massattach/threadset"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (go test -update writes it anew):\n got %s\nwant %s", path, got, want)
	}
}

func text(t *testing.T, write func(io.Writer, Style) error, style Style) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, style); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func line(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJSON(&b, v); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b.Bytes()) || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Errorf("not one line of JSON: %s", b.Bytes())
	}
	return b.Bytes()
}

// full is the account of a session in which much happened.
func full() attacher.Report {
	return attacher.Report{
		PID: 4211, Comm: "server", Leader: attacher.LeaderAlive, Converged: true, Passes: 2,
		Threads: threadset.Totals{Found: 10_003, Attached: 10_001, Vanished: 2, Born: 12, Exited: 8},
		Attach: attacher.AttachReport{Elapsed: 21_412_345, Latency: attacher.Quantiles{
			P50: 1_042, P99: 4_105, Max: 311_200,
		}, Gap: attacher.Quantiles{P50: 10_312_000, P99: 11_004_000, Max: 11_410_221}},
		Repair: attacher.RepairReport{Repaired: 14, Extended: 2},
		Events: attacher.EventReport{Signals: 1_024, Births: 12, Exits: 8, Execs: 0, GroupStops: 1, Overflows: 3},
		Detach: attacher.DetachReport{Elapsed: 1_302_000, Confirmed: true},
	}
}

func TestSession(t *testing.T) {
	failure := func(tid int, c attacher.Cause, detail, hint string) attacher.Failure {
		return attacher.Failure{TID: tid, Errno: syscall.EPERM, Cause: c, Detail: detail, Hint: hint}
	}
	for _, tc := range []struct {
		name string
		make func() *Session
	}{
		{"full", func() *Session {
			s := FromAttacher(full())
			s.Stayed = 5 * time.Second
			return s
		}},
		{"partial", func() *Session {
			r := full()
			r.Passes, r.Converged = 4, false
			r.Threads = threadset.Totals{Found: 101, Attached: 89, Failed: 12}
			r.Events, r.Repair = attacher.EventReport{}, attacher.RepairReport{Left: 1}
			r.Detach.Confirmed = false
			for i := range 11 {
				r.Failures = append(r.Failures, failure(4230+i, attacher.CauseAlreadyTraced,
					"already traced by 71 (strace)", "a thread has one tracer at a time: end 71 (strace) first"))
			}
			r.Failures = append(r.Failures, failure(4300, attacher.CauseUnknown, "", ""))
			return FromAttacher(r)
		}},
		{"many-failures", func() *Session {
			r := full()
			r.Threads = threadset.Totals{Found: 1_000, Attached: 500, Failed: 500}
			for i := range 100 {
				r.Failures = append(r.Failures, failure(5000+i, attacher.CauseOtherUser, "it belongs to user 0, and you are user 1000", ""))
			}
			return FromAttacher(r)
		}},
		{"zombie", func() *Session {
			r := full()
			r.Leader = attacher.LeaderZombie
			r.Threads = threadset.Totals{Found: 3, Attached: 2, Zombie: 1}
			r.Events, r.Repair = attacher.EventReport{}, attacher.RepairReport{}
			s := FromAttacher(r)
			s.NSPID, s.Stayed = 7, 1500*time.Millisecond
			return s
		}},
		{"ended", func() *Session {
			r := full()
			r.Ended, r.Converged = true, false
			r.Detach = attacher.DetachReport{Elapsed: 90_000, Confirmed: true}
			s := FromAttacher(r)
			s.Stayed = 3*time.Hour + 7*time.Minute
			return s
		}},
		{"interrupted", func() *Session {
			s := FromAttacher(attacher.Report{PID: 4211, Comm: "server", Leader: attacher.LeaderAlive})
			s.Threads.Found, s.Threads.Attached = 3_412, 3_412
			s.Interrupted, s.Listed = true, 10_000
			return s
		}},
		{"stop", stopped},
		{"stop-notify", func() *Session {
			s := stopped()
			s.Repair = Repair{}
			s.Stop = FromStopper(stopper.Report{Style: stopper.Notify, Mechanism: notify.TaskWork, Guarantee: notify.BestEffort, Complete: true,
				Requested: 5_025, Stopped: 18, InKernel: 5_007, BestEffort: 2, LateBirths: 1,
				Elapsed: 6_200_000, Held: 56 * time.Millisecond,
				Latency: attacher.Quantiles{P50: 4 * time.Millisecond, P99: 6 * time.Millisecond, Max: 6_200_000}})
			return s
		}},
		{"stop-partial", func() *Session {
			s := stopped()
			r := stopper.Report{Requested: 500, Stopped: 380, Missed: 120, Elapsed: time.Second, Held: 100 * time.Millisecond,
				Selecting: 3 * time.Millisecond, Born: 2}
			for i := range 120 {
				m := stopper.Missing{TID: 4230 + i, State: 'D', Wchan: "\x1bwait", Reason: stopper.Uninterruptible}
				if i == 1 {
					m = stopper.Missing{TID: 4231, State: 'D', Wchan: "kernel_clone", Reason: stopper.Vfork}
				}
				r.Missing = append(r.Missing, m)
			}
			s.Stop = FromStopper(r)
			s.Stop.Selected = true
			return s
		}},
		{"stop-interrupted", func() *Session {
			s := stopped()
			s.Stop = FromStopper(stopper.Report{Requested: 500, Stopped: 380, Missed: 1, Missing: []stopper.Missing{{TID: 4230, Reason: stopper.Unknown}}})
			s.Stop.Interrupted = true
			return s
		}},
		{"stop-nobody", func() *Session {
			s := stopped()
			s.Stop = FromStopper(stopper.Report{Complete: true, Selecting: time.Millisecond})
			s.Stop.Selected = true
			return s
		}},
		{"names", func() *Session {
			r := full()
			r.Comm = "\x1b[31m\n\xff\\\u009b\u202e"
			r.Threads = threadset.Totals{Found: 2, Attached: 1, Failed: 1}
			r.Failures = []attacher.Failure{failure(4230, attacher.CauseAlreadyTraced,
				"already traced by 71 (\x1b]0;x\x07)", "end 71 (\x1b]0;x\x07) first\n")}
			return FromAttacher(r)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.make()
			golden(t, tc.name+".json", line(t, s))
			golden(t, tc.name+".txt", text(t, s.Text, Style{}))
			coloured := text(t, s.Text, Style{Colour: true})
			if got := strip(coloured); !bytes.Equal(got, text(t, s.Text, Style{})) {
				t.Errorf("colours change more than colours: %q", coloured)
			}
		})
	}
}

// strip takes the colours away.
func strip(b []byte) []byte {
	for _, code := range []string{"0", "1", "2", "33"} {
		b = bytes.ReplaceAll(b, []byte("\x1b["+code+"m"), nil)
	}
	return b
}

// The keys of the report, in their order, are a contract: more may be added.
func TestContract(t *testing.T) {
	const want = `{"pid":1,"comm":"","leader":"","converged":false,"scan_passes":0,"ended":false,` +
		`"follow":"event","follow_missing":"",` +
		`"threads":{"found":0,"attached":0,"vanished":0,"zombie":0,"failed":0,"born":0,"exited":0},` +
		`"failures":[{"tid":1,"op":"seize","errno":"EPERM","cause":"already-traced","hint":""}],"failures_total":0,` +
		`"attach":{"elapsed_ns":0,"latency_ns":{"p50":0,"p99":0,"max":0},"gap_ns":{"p50":0,"p99":0,"max":0}},` +
		`"repair":{"eintr_repaired":0,"eintr_left":0,"timeouts_extended":0},` +
		`"events":{"signals":0,"births":0,"exits":0,"execs":0,"group_stops":0,"overflows":0},` +
		`"detach":{"elapsed_ns":0,"confirmed":false}}` + "\n"
	got := line(t, FromAttacher(attacher.Report{PID: 1, Failures: []attacher.Failure{
		{TID: 1, Errno: syscall.EPERM, Cause: attacher.CauseAlreadyTraced},
	}}))
	if string(got) != want {
		t.Errorf("session:\n got %swant %s", got, want)
	}
	if got := line(t, FromAttacher(attacher.Report{})); !bytes.Contains(got, []byte(`"failures":[]`)) {
		t.Errorf("an empty list is not []: %s", got)
	}
	if got := string(line(t, Failed{PID: 1})); got != `{"pid":1,"error":{"op":"","cause":"","hint":""}}`+"\n" {
		t.Errorf("error: %s", got)
	}
	threads := &Threads{PID: 1, Threads: []Thread{FromProc(procfs.Thread{
		TID: 1, State: 'S', Syscall: "epoll_wait", Wchan: "do_epoll_wait",
	})}}
	if got := string(line(t, threads)); got != `{"pid":1,"threads":[{"tid":1,"comm":"","state":"S","syscall":"epoll_wait","wchan":"do_epoll_wait"}]}`+"\n" {
		t.Errorf("threads: %s", got)
	}
}

func TestLists(t *testing.T) {
	threads := &Threads{
		PID: 4211, NSPID: 1, Comm: "server", Total: 10_001,
		Threads: []Thread{
			FromProc(procfs.Thread{TID: 4211, Comm: "server", State: 'R'}),
			FromProc(procfs.Thread{TID: 4230, Comm: "a\nb", State: 'S', Syscall: "epoll_wait", Wchan: "do_epoll_wait"}),
			FromProc(procfs.Thread{TID: 14230, Comm: ">ü", State: 'D', Unreadable: procfs.DetailSyscall | procfs.DetailWchan}),
			FromProc(procfs.Thread{TID: 14231, State: 'Z'}),
		},
	}
	for i := range threads.Threads {
		threads.Threads[i].NSTID = i + 1
	}
	golden(t, "threads.json", line(t, threads))
	golden(t, "threads.txt", text(t, threads.Text, Style{}))
	golden(t, "threads-none.txt", text(t, (&Threads{PID: 1, Comm: "init", Total: 3}).Text, Style{}))

	tally := func(values ...any) Tally {
		t := make(Tally)
		for i := 0; i < len(values); i += 2 {
			t[values[i].(string)] = values[i+1].(int)
		}
		return t
	}
	names := make(Tally)
	for i := range 13 {
		names[fmt.Sprintf("worker-%d", i)] = 100 - i
	}
	state := Counts{PID: 1, By: "state", Counts: tally("S", 9_999, "R", 1, "t", 1).Counts()}
	call := Counts{PID: 1, By: "syscall", Counts: tally("futex", 4_000, "", 2, "?", 4_000).Counts()}
	comm := Counts{PID: 1, By: "comm", Counts: names.Counts()}
	golden(t, "counts.json", append(line(t, state), line(t, call)...))
	golden(t, "counts.txt", text(t, func(w io.Writer, s Style) error {
		return TextCounts(w, s, "server[4211]", 10_001, true, state, call, comm)
	}, Style{}))
	golden(t, "counts-all.txt", text(t, func(w io.Writer, s Style) error {
		return TextCounts(w, s, "server[4211]", 1_222, false, comm)
	}, Style{}))

	processes := []Process{
		{PID: 4211, Comm: "server", State: "S", User: "root", ThreadCount: 10_001},
		{PID: 9, Comm: "\x1b", State: "Z", UID: 1000, User: "1000", ThreadCount: 2},
	}
	golden(t, "processes.json", line(t, processes[0]))
	golden(t, "processes.txt", text(t, func(w io.Writer, s Style) error {
		return TextProcesses(w, s, processes)
	}, Style{}))
}

func TestDuration(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 ns"}, {999, "999 ns"}, {1_000, "1.00 µs"}, {1_042, "1.04 µs"}, {99_949, "99.9 µs"}, {310_000, "310 µs"},
		{21_412_345, "21.4 ms"}, {time.Second, "1.00 s"}, {59_900 * time.Millisecond, "59.9 s"},
		{time.Minute, "1 min 0 s"}, {90 * time.Minute, "1 h 30 min"}, {-time.Second, "-1.00 s"},
	} {
		if got := Duration(tc.d); got != tc.want {
			t.Errorf("%d: %q, want %q", tc.d, got, tc.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{
		0: "0", 7: "7", 999: "999", 1_000: "1,000", 10_001: "10,001", 1_234_567: "1,234,567",
		-7: "-7", -999: "-999", -1_000: "-1,000",
	} {
		if got := Number(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := Plural(1, "thread") + ", " + Plural(2_000, "thread"); got != "1 thread, 2,000 threads" {
		t.Error(got)
	}
}

// Whatever a name is: as text it prints, on one line, and can be told from every
// other; as JSON it is one line that prints.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"server", "a b", "\x1b[31m", "\n", `\n`, "\xff", `\xff`, "\u202e", "\ufffd", "ü", "\u009b", "\U000e0001", "\x7f"} {
		f.Add(s, "")
	}
	printable := func(t *testing.T, s string) {
		if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(s) {
			t.Errorf("%q does not print", s)
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		printable(t, Quote(a))
		printable(t, Line(a))
		if a != b && Quote(a) == Quote(b) {
			t.Errorf("%q and %q are both %s", a, b, Quote(a))
		}
		j := line(t, &Session{Comm: a})
		printable(t, strings.TrimSuffix(string(j), "\n"))
		var back Session
		if err := json.Unmarshal(j, &back); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(a) && back.Comm != a {
			t.Errorf("%q came back as %q", a, back.Comm)
		}
	})
}
