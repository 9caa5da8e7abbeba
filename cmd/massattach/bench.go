// bench: what a sceptic runs. It measures massattach beside the bare system calls and
// beside other tools, on targets of its own.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"massattach/bench"
	"massattach/bench/page"
	"massattach/internal/report"
	"massattach/internal/target"
)

// benchVerb is one run of bench.
type benchVerb struct {
	*tool
	printer *printer
	quick   bool
	cases   words
	peers   words
	sizes   sizes
	raise   bool
	html    string
}

func (t *tool) benchCommand() *cobra.Command {
	v := &benchVerb{tool: t, cases: words{among: bench.CaseNames()}, peers: words{among: append(bench.PeerNames(), "none", "all")}}
	cmd := &cobra.Command{
		Use:   "bench [flags]",
		Short: "Measure it beside the bare system calls, and beside other tools",
		Long: `Measure on processes of its own what attaching, stopping and staying cost: beside the
same system calls in a bare loop, in this process, by turns (the raw limit); and as a
whole process, beside the tools that are installed: gdb, strace, lldb, dlv, criu, perf,
eu-stack, SIGSTOP, the cgroup freezer. What the target noticed is the target's own
account. Figures are medians with their spread; a ratio is given with the interval that
holds it in 95 of 100 times, and what is within the noise of the machine is called none.

It takes some 20 minutes, with --quick less than one. Ctrl-C prints what is done. A tool
that takes over 20 s is not run with more threads; one that takes over 30 s is ended.`,
		Example: `  sudo massattach bench --quick
  sudo massattach bench --html report.html
  sudo massattach bench --case session --n 10000 --peers strace,gdb
  sudo massattach bench --format json | jq '.ratios[] | select(.to == "raw")'`,
		RunE:              v.run,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&v.quick, "quick", false, "the main cases, a few times each: less than a minute")
	fs.Var(&v.cases, "case", "only the cases in `LIST`: "+strings.Join(v.cases.among, ", "))
	fs.Var(&v.sizes, "n", "only targets with the numbers of threads in `LIST`: 1000,10000")
	fs.Var(&v.peers, "peers", "only the tools in `LIST`, or none: "+strings.Join(bench.PeerNames(), ", "))
	fs.BoolVar(&v.raise, "raise-limits", false, "raise kernel.pid_max and kernel.threads-max meanwhile, as far as needed (root)")
	fs.StringVar(&v.html, "html", "", "write the report to `FILE`, too, as a page with charts")
	_ = cmd.RegisterFlagCompletionFunc("case", cobra.FixedCompletions(v.cases.among, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("peers", cobra.FixedCompletions(v.peers.among, cobra.ShellCompDirectiveNoFileComp))
	v.printer = newPrinter(t, cmd, "bench")
	return cmd
}

func (v *benchVerb) run(cmd *cobra.Command, args []string) (err error) {
	if len(args) > 0 {
		return &usageError{"bench starts processes of its own, and takes none", verbUsage(cmd)}
	}
	var page io.WriteCloser
	if v.html != "" {
		// Before anything is measured: twenty minutes are not to be lost for a typo.
		if page, err = os.Create(v.html); err != nil {
			return v.failed(err, "")
		}
		defer page.Close()
	}
	o, err := v.options()
	if err != nil {
		return v.failed(err, "")
	}
	if v.raise {
		restore, err := target.RaiseLimits(slices.Max(append([]int{100_000}, v.sizes...)))
		if err != nil {
			return v.failed(err, "run it as root, or without --raise-limits")
		}
		defer func() {
			if rerr := restore(); rerr != nil && err == nil {
				err = v.failed(rerr, "")
			}
		}()
	}
	r, err := bench.Run(v.untilEnding(cmd.Context()), o)
	v.notes.setBar("")
	if r == nil || err != nil && len(r.Cells) == 0 {
		return v.failed(err, "")
	}
	if perr := v.print(r, page); perr != nil {
		return perr
	}
	switch {
	case err != nil:
		return v.failed(err, "")
	case r.Interrupted:
		v.notes.say("interrupted; what was done is above, and nothing is left behind")
		return exitCode(exitPartial)
	}
	return nil
}

// options are those of the benchmark.
func (v *benchVerb) options() (*bench.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	o := &bench.Options{
		Quick: v.quick, Cases: v.cases.chosen, Sizes: v.sizes, Peers: v.peers.chosen,
		Profile: !v.quick, Command: []string{self}, Version: version(), Kernel: v.kernel,
		Say: func(line string) { v.notes.say("bench: %s", line) },
	}
	if slices.Contains(o.Peers, "all") {
		o.Peers = nil
	}
	terminal := isTerminal(v.stderr) && os.Getenv("TERM") != "dumb"
	o.Progress = func(s bench.Step) {
		what := fmt.Sprintf("%s at %s", s.Case, report.Plural(s.Threads, "thread"))
		switch {
		case terminal:
			v.notes.setBar(fmt.Sprintf("%3d %% %s", 100*s.Done/max(1, s.Total), what))
		case s.Total > 0:
			v.notes.say("bench: %d of %d: %s", s.Done+1, s.Total, what)
		default:
			v.notes.say("bench: %s", what)
		}
	}
	return o, nil
}

// print prints the report, and writes the page, each whatever becomes of the other.
func (v *benchVerb) print(r *report.Bench, to io.WriteCloser) error {
	var err error
	if v.printer.format.value == "bench" {
		err = v.printer.write(r, r.Benchstat)
	} else {
		err = v.printer.print(r)
	}
	if to == nil {
		return err
	}
	if perr := errors.Join(page.Write(to, r), to.Close()); perr != nil {
		v.notes.problem("bench: "+oneLine(perr.Error()), "the report is on stdout")
		err = cmp.Or(err, error(exitCode(exitError)))
	}
	return err
}

// failed says why there is no benchmark.
func (v *benchVerb) failed(err error, hint string) error {
	p := &problem{code: exitError, op: "bench", message: "bench: " + oneLine(strings.TrimPrefix(err.Error(), "bench: ")), hint: hint}
	if l, ok := errors.AsType[*target.LimitError](err); ok {
		p.cause, p.hint = causeLimit, "as root: "+l.Fix
	}
	if errors.Is(err, context.Canceled) {
		p.code, p.cause, p.message = exitPartial, causeInterrupted, "bench: interrupted before anything was measured"
	}
	if errors.Is(err, errors.ErrUnsupported) {
		p.message = "bench: this works on Linux only, on amd64 and arm64"
	}
	v.notes.problem(p.message, p.hint)
	if err := v.printer.fail(p); err != nil {
		return err
	}
	return exitCode(p.code)
}

// words is a flag that takes some of a few words, separated by commas; the word none
// takes none of them.
type words struct {
	chosen []string // nil: nothing was said
	among  []string
}

func (w *words) Type() string { return "LIST" }

func (w *words) String() string { return "" }

func (w *words) Set(s string) error {
	if w.chosen == nil {
		w.chosen = []string{}
	}
	for word := range strings.SplitSeq(s, ",") {
		word = strings.TrimSpace(word)
		if !slices.Contains(w.among, word) {
			return fmt.Errorf("%q is not one of %s", word, strings.Join(w.among, ", "))
		}
		if word != "none" {
			w.chosen = append(w.chosen, word)
		}
	}
	return nil
}

// sizes is a flag that takes numbers of threads, separated by commas.
type sizes []int

func (z *sizes) Type() string { return "LIST" }

func (z *sizes) String() string { return "" }

func (z *sizes) Set(s string) error {
	for field := range strings.SplitSeq(s, ",") {
		var c crowd
		if err := c.Set(strings.ReplaceAll(strings.TrimSpace(field), "_", "")); err != nil {
			return err
		}
		*z = append(*z, int(c))
	}
	slices.Sort(*z)
	return nil
}
