package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"massattach/internal/report"
	"massattach/internal/target"
)

// build makes the command that whole processes are of.
func build(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "massattach")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/massattach").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return []string{path}
}

// brisk is a plan that measures everything, and nothing well.
func brisk() *plan {
	return &plan{rounds: 1, least: 1, window: 50 * time.Millisecond, limit: 30 * time.Second, noise: 3, idle: 200 * time.Millisecond, once: 5 * time.Second, noiseSize: 500}
}

// ofThisTest has all that is started from now on carry a mark, and answers who does that
// is still there.
func ofThisTest(t *testing.T) (left func() []string) {
	t.Helper()
	word := fmt.Sprintf("MASSATTACH_TEST=%s-%d", t.Name(), time.Now().UnixNano())
	name, value, _ := strings.Cut(word, "=")
	t.Setenv(name, value)
	return func() (all []string) {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, d := range dirs {
			env, err := os.ReadFile(d + "/environ")
			if err != nil || d == fmt.Sprintf("/proc/%d", os.Getpid()) || !bytes.Contains(env, []byte(word)) {
				continue
			}
			cmdline, _ := os.ReadFile(d + "/cmdline")
			all = append(all, d+" "+string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
		return all
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("not root")
	}
	t.Skip("some cases need root; by hand: sudo go test ./bench")
}

// All cases give figures of ours, and each peer a figure or a word. Nothing is noticed
// by the target, and nothing left.
func TestRun(t *testing.T) {
	needRoot(t)
	left := ofThisTest(t)
	const n = 200
	b, err := Run(t.Context(), &Options{Sizes: []int{n}, Command: build(t), Peers: []string{"strace", "gdb", "eu-stack", "sigstop", "freezer"},
		pace: brisk(), Progress: func(s Step) { t.Logf("%s at %d threads", s.Case, s.Threads) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Cases {
		cell, _ := b.Cell(c.Name, n, report.SubjectOurs, c.Figure)
		if cell.Outcome != report.OutcomeOK || cell.Runs == 0 || cell.Runs != len(cell.Samples) || cell.Min > cell.Median || cell.Median > cell.Max {
			t.Errorf("%s: %+v", c.Name, cell)
		}
		if early, ok := b.Cell(c.Name, n, report.SubjectOurs, report.FigureEINTR); ok && early.Max != 0 {
			t.Errorf("%s: the target saw %v EINTR", c.Name, early.Max)
		}
		if c.Kind == report.InProcess && !slices.Contains(b.Subjects(c.Name), report.SubjectRaw) {
			t.Errorf("%s has no bare loop", c.Name)
		}
	}
	for _, c := range b.Cells {
		if !slices.Contains([]string{report.OutcomeOK, report.OutcomeTimeout, report.OutcomeRefused, report.OutcomeAbsent}, c.Outcome) {
			t.Errorf("outcome %q", c.Outcome)
		}
		if (c.Outcome == report.OutcomeOK) == (c.Runs == 0) || c.Runs == 0 && c.Detail == "" {
			t.Errorf("%+v", c)
		}
	}
	for _, peer := range []string{"sigstop", "strace"} {
		kase := "session"
		if peer == "sigstop" {
			kase = "stop"
		}
		if c, ok := b.Cell(kase, n, peer, report.FigureEINTR); ok && c.Median == 0 {
			t.Errorf("the target saw no EINTR of %s: does it count?", peer)
		}
	}
	if b.Noise.Low > b.Noise.Median || b.Noise.Median > b.Noise.High || b.Noise.ProcessSeconds <= 0 {
		t.Errorf("%+v", b.Noise)
	}
	if all := left(); len(all) > 0 {
		t.Errorf("left behind: %q", all)
	}
}

// Ctrl-C in the middle of a tool's run: what is done is the result, and neither the tool
// nor its children nor the target stay, nor is anybody stopped.
func TestRunEndsAtOnce(t *testing.T) {
	left := ofThisTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &stage{Options: new(Options), plan: new(Options).plan(), ctx: ctx}
	p, err := target.Start(ctx, mix(100))
	if err != nil {
		t.Skip(err)
	}
	s.target = p
	go func() {
		defer cancel()
		for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(time.Millisecond) {
			if st, err := s.look(); err != nil || st.stopped > 0 {
				return
			}
		}
	}()
	_, err = s.process(ctx, command{argv: []string{"sh", "-c", fmt.Sprintf("sleep 1000 & kill -STOP %d; wait", s.pid())}})
	if err != context.Canceled {
		t.Errorf("%v", err)
	}
	if got := markedProcesses(); len(got) != 0 {
		t.Errorf("still there: %v", got)
	}
	if s.damage != "left it stopped" {
		t.Errorf("the target: %q", s.damage)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if all := left(); len(all) > 0 {
		t.Errorf("left behind: %q", all)
	}
}

func TestRunInterruptedInTheMiddle(t *testing.T) {
	left := ofThisTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, err := Run(ctx, &Options{Cases: []string{"scan", "stop"}, Sizes: []int{500}, Command: []string{"true"}, Peers: []string{"sigstop"}, pace: brisk(),
		Progress: func(s Step) {
			if s.Case == "scan" {
				cancel()
			}
		}})
	if err != nil || !b.Interrupted {
		t.Fatalf("%v, %+v", err, b)
	}
	if c, ok := b.Cell("stop", 500, "sigstop", report.FigureSeconds); !ok || c.Runs == 0 {
		t.Errorf("what was done is gone: %+v", b.Cells)
	}
	if all := left(); len(all) > 0 {
		t.Errorf("left behind: %q", all)
	}
}

// Where no target can be started everybody is refused who is measured at other sizes, and
// the others are measured.
func TestRunRefused(t *testing.T) {
	const n, most = 100, 1 << 22 // which is all that kernel.pid_max can be
	b, err := Run(t.Context(), &Options{Cases: []string{"scan", "stop"}, Sizes: []int{n, most}, Command: build(t), Peers: []string{"sigstop"}, pace: brisk()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Cases {
		for _, subject := range b.Subjects(c.Name) {
			small, _ := b.Cell(c.Name, n, subject, c.Figure)
			large, _ := b.Cell(c.Name, most, subject, c.Figure)
			if small.Outcome == "" || large.Outcome != report.OutcomeRefused || large.Detail == "" {
				t.Errorf("%s of %s: %q with %d threads, %q with %d: %s", c.Name, subject, small.Outcome, n, large.Outcome, most, large.Detail)
			}
		}
		if (c.Kind == report.InProcess) != slices.Contains(b.Subjects(c.Name), report.SubjectRaw) {
			t.Errorf("%s: %v", c.Name, b.Subjects(c.Name))
		}
	}
	if c, _ := b.Cell("stop", n, "sigstop", report.FigureSeconds); c.Outcome != report.OutcomeOK {
		t.Errorf("%+v", c)
	}
}

// What there was no time for is in the report, too.
func TestRunLate(t *testing.T) {
	pace := brisk()
	pace.budget = 1 // over before the first
	b, err := Run(t.Context(), &Options{Cases: []string{"scan", "attach"}, Sizes: []int{100, 200}, Command: []string{"true"}, Peers: []string{}, pace: pace})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Cases {
		for _, n := range []int{100, 200} {
			for _, subject := range []string{report.SubjectOurs, report.SubjectRaw} {
				if cell, _ := b.Cell(c.Name, n, subject, c.Figure); cell.Outcome != report.OutcomeTimeout || cell.Detail == "" {
					t.Errorf("%s of %s with %d threads: %+v", c.Name, subject, n, cell)
				}
			}
		}
	}
}

// A difference of pauses is one of the machine when it is within its own; a ratio of
// others when it is one of the same to the same.
func TestHides(t *testing.T) {
	n := report.Noise{Low: 0.9, Median: 1, High: 1.1, PauseSeconds: 0.2e-3, PauseMaxSeconds: 1.2e-3}
	cell := func(figure string, v float64) report.Cell { return report.Cell{Figure: figure, Median: v} }
	for _, c := range []struct {
		figure     string
		one, other float64
		i          interval
		want       bool
	}{
		{report.FigurePause, 0.9e-3, 0.1e-3, interval{9, 8, 10}, true},
		{report.FigurePause, 2.6e-3, 0.1e-3, interval{26, 6, 60}, false},
		{report.FigurePause, 2.6e-3, 0.1e-3, interval{26, 0.9, 60}, true},
		{report.FigureSeconds, 1.05, 1, interval{1.05, 1.02, 1.08}, true},
		{report.FigureSeconds, 0.4e-3, 0.1e-3, interval{4, 3, 5}, false},
	} {
		if got := hides(n, c.i, cell(c.figure, c.one), cell(c.figure, c.other)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A process that takes too long is a time-out, one that fails a refusal with its last
// words.
func TestOutcomes(t *testing.T) {
	s := &stage{Options: new(Options), ctx: t.Context()}
	for _, c := range []struct {
		script, want string
		fine         []int
	}{
		{"sleep 1000 & sleep 1000", "timeout: over 300ms", nil},
		{"echo one >&2; echo two >&2; exit 7", "refused: exit status 7: two", nil},
		{"exit 7", "", []int{7}},
		{"kill -INT $$", "", []int{130}},
		{"kill -TERM $$", "refused: signal: terminated", []int{130}},
		{"", "", nil},
	} {
		if s.limit = time.Minute; strings.HasPrefix(c.want, "timeout") {
			s.limit = 300 * time.Millisecond
		}
		figures, err := s.process(t.Context(), command{argv: []string{"sh", "-c", c.script}, fine: c.fine})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want || (got == "") != (figures[report.FigureSeconds] > 0) {
			t.Errorf("%q: %q, want %q; %v", c.script, got, c.want, figures)
		}
	}
}
