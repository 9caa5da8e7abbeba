package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// Text writes the list for people.
func (l *Threads) Text(w io.Writer, style Style) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", heading(style, l.Comm, l.PID, len(l.Threads), l.Total))
	if len(l.Threads) > 0 {
		b.WriteString("\n")
		l.table().write(&b, style)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// heading names a process, and says how many of its threads are listed.
func heading(style Style, comm string, pid, n, total int) string {
	of := Plural(n, "thread")
	if total > n {
		of = Number(n) + " of " + Plural(total, "thread")
	}
	return style.Bold(Name(comm, pid)) + ": " + of
}

// numbers makes the first columns of a list of threads: their numbers, and when it is
// true those that they have in a PID namespace of their own.
type numbers bool

func (inner numbers) heads(others ...string) []string {
	if inner {
		return append([]string{">TID", ">NS TID"}, others...)
	}
	return append([]string{">TID"}, others...)
}

func (inner numbers) cells(tid, ns int) []string {
	if !inner {
		return []string{fmt.Sprint(tid)}
	}
	if ns == 0 {
		ns = tid
	}
	return []string{fmt.Sprint(tid), fmt.Sprint(ns)}
}

func (l *Threads) table() *table {
	inner := numbers(slices.ContainsFunc(l.Threads, func(th Thread) bool { return th.NSTID != 0 }))
	t := &table{heads: inner.heads("STATE", "SYSCALL", "WAITS IN", "NAME")}
	for _, th := range l.Threads {
		t.add(append(inner.cells(th.TID, th.NSTID),
			th.cell("state", stateName(th.State)),
			th.cell("syscall", th.Syscall),
			th.cell("wchan", th.Wchan),
			th.cell("comm", Quote(th.Comm)))...)
	}
	return t
}

// cell is a value, "-" for none, "?" for one that we may not see.
func (t Thread) cell(key, value string) string {
	if t.denied(key) {
		return "?"
	}
	return orDash(value)
}

// topCounts is how many values a summary shows of each kind.
const topCounts = 10

// TextCounts writes counts of the same process for people, several one below
// the other. A limited one shows only the largest of each.
func TextCounts(w io.Writer, style Style, name string, total int, limited bool, counts ...Counts) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n", style.Bold(name), Plural(total, "thread"))
	t := &table{}
	var labels []string
	width := 0
	for _, c := range counts {
		noun := c.noun()
		label := noun
		shown := c.Counts
		if limited && len(shown) > topCounts {
			shown = shown[:topCounts]
		}
		rest := 0
		for _, v := range c.Counts[len(shown):] {
			rest += v.Threads
		}
		for _, v := range shown {
			labels = append(labels, label)
			t.add(Number(v.Threads), c.cell(v.Value))
			width = max(width, len(Number(v.Threads)))
			label = ""
		}
		if rest > 0 {
			labels = append(labels, "")
			t.add(Number(rest), fmt.Sprintf("with %s", Plural(len(c.Counts)-len(shown), "other "+noun)))
			width = max(width, len(Number(rest)))
		}
	}
	for i, r := range t.rows {
		if i > 0 && labels[i] != "" {
			b.WriteString("\n")
		}
		style.row(&b, labels[i], fmt.Sprintf("%*s  %s", width, r[0], r[1]))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Unreadable is the value that is counted for what is denied to us.
const Unreadable = "?"

// noun is what By is called in text.
func (c Counts) noun() string {
	if c.By == "comm" {
		return "name"
	}
	return c.By
}

func (c Counts) cell(value string) string {
	switch {
	case c.By == "state":
		return stateName(value)
	case c.By == "verdict":
		return verdictWords(value)
	case value == "" && c.By == "syscall":
		return "in no system call, or on a CPU"
	case value == "":
		return "-"
	}
	return Quote(value)
}

// TextProcesses writes a list of processes for people.
func TextProcesses(w io.Writer, style Style, processes []Process) error {
	t := &table{heads: []string{">PID", ">THREADS", "USER", "STATE", "NAME"}}
	for _, p := range processes {
		t.add(fmt.Sprint(p.PID), Number(p.ThreadCount), Quote(p.User), stateName(p.State), Quote(p.Comm))
	}
	var b bytes.Buffer
	t.write(&b, style)
	_, err := w.Write(b.Bytes())
	return err
}
