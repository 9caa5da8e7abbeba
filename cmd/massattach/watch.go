// watch: events on standard output as they come, and nothing else; what there is
// to say of a process as a whole is on standard error.

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/threadset"
)

// watchVerb is one run of watch.
type watchVerb struct {
	visit
	kinds eventKinds
	tids  tids

	out     *stream
	reading sync.WaitGroup // the feeds
}

func (t *tool) watchCommand() *cobra.Command {
	v := &watchVerb{visit: newVisit(t)}
	v.live = true
	cmd := &cobra.Command{
		Use:   "watch [flags] PID...",
		Short: "Print what happens to the threads of a process",
		Long: `Attach to every thread of each process, as attach does, and print what happens
from then on, a line each: birth and exit of a thread, each signal, an exec of the
process, a group-stop and the continue that ends it. No thread is stopped for it,
and signals and job control go on as ever.

It goes on until SIGINT, SIGTERM or SIGHUP, until the process ends, until nobody
reads its output any more, or for as long as --for says. Of each process the last
line is its end; a summary is on standard error.

The process never waits for the reader. Who is slow finds, in its place, the
number of events that were lost. When an ending has come, what is still to be
printed is printed for as long as somebody reads.

A thread is told as born when it is attached to. One that ends before, at an age
under --settle or between two scans, is not heard of; --follow clone hears of
each, and stops it and its creator for that.`,
		Example: `  sudo massattach watch 4211
  sudo massattach watch --event birth,exit --for 10s $(pidof server)
  sudo massattach watch --event signal --tid 4230,4231 4211
  sudo massattach watch --format json 4211 | jq -c 'select(.event == "exit" and .code != 0)'`,
		RunE: v.run,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	v.kinds.add(cmd)
	fs.Var(&v.tids, "tid", "only births, exits and signals of the threads in `LIST`: 4230,4231")
	v.addTo(cmd)
	return cmd
}

func (v *watchVerb) run(cmd *cobra.Command, args []string) error {
	ctx, all, err := v.begin(cmd, args)
	if err != nil {
		return err
	}
	// Where nothing can be written there is nothing to stay for.
	ctx, fail := context.WithCancelCause(ctx)
	v.out = newStream(ctx, v.stdout, func(err error) { fail(fmt.Errorf("%w: %w", errInterrupted, err)) })
	var codes []int
	for o := range v.each(ctx, all, v.attend) {
		codes = append(codes, o.code)
	}
	v.reading.Wait()
	return v.result(codes, v.out.close())
}

// attend watches one process.
func (v *watchVerb) attend(ctx context.Context, pid int) outcome {
	var report chan<- *report.Session
	o := v.visit.attend(ctx, pid, func(s *attacher.Session) { report = v.feed(s) })
	switch {
	case report != nil:
		report <- o.report
	case o.report != nil:
		v.interrupted(o.report)
		v.refused(&problem{pid: pid, op: "attach", cause: causeInterrupted})
	default:
		v.refused(o.problem)
	}
	return o
}

// refused stands in the place of the events of a process that is not attached.
func (v *watchVerb) refused(p *problem) {
	if v.printer.json() {
		_ = report.WriteJSON(v.out, p.failed()) // the stream knows
	}
}

// feed begins to print the events of a session. When that has ended it wants its
// report, and says a summary when everything is printed.
func (v *watchVerb) feed(s *attacher.Session) chan<- *report.Session {
	threads, batches := s.SubscribeBatches(attacher.Filter{Kinds: v.kinds.mask(), TIDs: v.tids}, queue)
	for _, tid := range v.tids {
		known := slices.ContainsFunc(threads, func(th threadset.Thread) bool { return th.TID == tid })
		if !known && !v.several {
			v.notes.say("%s has no thread %d yet", report.Name(s.Report().Comm, s.PID()), tid)
		}
	}
	f := &feed{visit: &v.visit, out: v.out, session: s}
	ended := make(chan *report.Session, 1)
	v.reading.Go(func() {
		f.run(batches)
		r := <-ended
		v.notes.say("%s: %s", report.Name(r.Comm, r.PID), r.Watched(f.told, f.lost))
	})
	return ended
}

// eventKinds is a flag that takes kinds of events, separated by commas; it may be
// repeated.
type eventKinds struct{ chosen attacher.EventMask }

// watched are the kinds that there are to choose from. Losses and the end are
// told in any case.
var watched = []attacher.EventMask{
	attacher.EventBirth, attacher.EventExit, attacher.EventExec,
	attacher.EventSignal, attacher.EventGroupStop, attacher.EventContinue,
}

// mask is what to subscribe to.
func (k *eventKinds) mask() attacher.EventMask {
	if k.chosen == 0 {
		return attacher.EventAll
	}
	return k.chosen
}

func (k *eventKinds) Type() string { return "LIST" }

func (k *eventKinds) String() string { return "" }

func (k *eventKinds) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		i := slices.IndexFunc(watched, func(m attacher.EventMask) bool { return m.String() == word })
		if i < 0 {
			return fmt.Errorf("%q is not one of %s", word, strings.Join(kindNames(), ", "))
		}
		k.chosen |= watched[i]
	}
	return nil
}

func kindNames() []string {
	var names []string
	for _, m := range watched {
		names = append(names, m.String())
	}
	return names
}

// add adds the flag to cmd. It completes the last word of the list by those that
// are not in it.
func (k *eventKinds) add(cmd *cobra.Command) {
	cmd.Flags().Var(k, "event", "only events of the kinds in `LIST`: birth,exit,group-stop")
	_ = cmd.RegisterFlagCompletionFunc("event", func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		list := typed[:strings.LastIndex(typed, ",")+1]
		var cs []cobra.Completion
		for _, name := range kindNames() {
			if !slices.Contains(strings.Split(list, ","), name) {
				cs = append(cs, list+name)
			}
		}
		return cs, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder
	})
}
