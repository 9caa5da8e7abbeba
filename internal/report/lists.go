package report

import (
	"bytes"
	"fmt"
	"io"
)

// Text writes the list for people.
func (l *Threads) Text(w io.Writer, style Style) error {
	var b bytes.Buffer
	n := len(l.Threads)
	of := Plural(n, "thread")
	if l.Total > n {
		of = Number(n) + " of " + Plural(l.Total, "thread")
	}
	fmt.Fprintf(&b, "%s: %s\n", style.Bold(Name(l.Comm, l.PID)), of)
	if n > 0 {
		b.WriteString("\n")
		l.table().write(&b, style)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (l *Threads) table() *table {
	t := &table{heads: []string{">TID", "STATE", "SYSCALL", "WAITS IN", "NAME"}}
	inner := false
	for _, th := range l.Threads {
		inner = inner || th.NSTID != 0
	}
	if inner {
		t.heads = append([]string{">TID", ">NS TID"}, t.heads[1:]...)
	}
	for _, th := range l.Threads {
		cells := []string{fmt.Sprint(th.TID)}
		if inner {
			ns := th.NSTID
			if ns == 0 {
				ns = th.TID
			}
			cells = append(cells, fmt.Sprint(ns))
		}
		t.add(append(cells,
			th.cell("state", stateName(th.State)),
			th.cell("syscall", th.Syscall),
			th.cell("wchan", th.Wchan),
			th.cell("comm", Quote(th.Comm)))...)
	}
	return t
}

// cell is a value, "-" for none, "?" for one that we may not see.
func (t Thread) cell(key, value string) string {
	switch {
	case t.denied(key):
		return "?"
	case value == "":
		return "-"
	}
	return value
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
