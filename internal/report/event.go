package report

import (
	"bytes"
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"massattach/attacher"
)

// Event is something that happened to a process that is watched. Thousands of
// them come a second, so it is no tree of values for [WriteJSON]: it appends
// itself to a buffer, and allocates nothing for that.
type Event struct {
	attacher.Event
	PID  int
	Comm string // of the thread, "" when it is not known

	// Of the last one, attacher.EventEnd.

	Ended  bool // the process itself has
	Events int  // that were told
	Lost   int  // that were not
}

// AppendJSON appends e as one line of JSON. What its kind doesn't have is absent:
//
//	{"time_ns":1,"pid":1,"tid":2,"event":"birth","comm":"worker"}
//	{"time_ns":1,"pid":1,"tid":2,"event":"exit","code":0}
//	{"time_ns":1,"pid":1,"tid":2,"event":"exit","signal":"SIGKILL"}
//	{"time_ns":1,"pid":1,"tid":1,"event":"exec","comm":"sh","old_tid":2}
//	{"time_ns":1,"pid":1,"tid":2,"event":"signal","comm":"worker","signal":"SIGRTMIN+5"}
//	{"time_ns":1,"pid":1,"tid":2,"event":"group-stop","signal":"SIGSTOP"}
//	{"time_ns":1,"pid":1,"tid":2,"event":"continue"}
//	{"time_ns":1,"pid":1,"event":"lost","n":3}
//	{"time_ns":1,"pid":1,"event":"end","ended":true,"events":6,"lost":3}
//
// The time is since 1970, comm is there where it is known.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"time_ns":`...)
	dst = strconv.AppendInt(dst, e.Time.UnixNano(), 10)
	dst = appendInt(dst, "pid", e.PID)
	if e.TID != 0 {
		dst = appendInt(dst, "tid", e.TID)
	}
	dst = appendWord(dst, "event", e.word())
	if e.Comm != "" {
		dst = appendQuoted(appendKey(dst, "comm"), e.Comm)
	}
	switch e.Kind {
	case attacher.EventExec:
		dst = appendInt(dst, "old_tid", e.OldTID)
	case attacher.EventSignal, attacher.EventGroupStop:
		dst = appendWord(dst, "signal", SignalName(e.Signal))
	case attacher.EventExit:
		if e.Signal != 0 {
			dst = appendWord(dst, "signal", SignalName(e.Signal))
		} else {
			dst = appendInt(dst, "code", e.Code)
		}
	case attacher.EventLost:
		dst = appendInt(dst, "n", e.N)
	case attacher.EventEnd:
		dst = strconv.AppendBool(appendKey(dst, "ended"), e.Ended)
		dst = appendInt(dst, "events", e.Events)
		dst = appendInt(dst, "lost", e.Lost)
	}
	return append(dst, "}\n"...)
}

func appendKey(dst []byte, key string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, key...)
	return append(dst, `":`...)
}

func appendInt(dst []byte, key string, n int) []byte {
	return strconv.AppendInt(appendKey(dst, key), int64(n), 10)
}

// appendWord is for words of ours, which need no escapes.
func appendWord(dst []byte, key, word string) []byte {
	dst = append(appendKey(dst, key), '"')
	dst = append(dst, word...)
	return append(dst, '"')
}

// appendQuoted appends any string as WriteJSON writes it.
func appendQuoted(dst []byte, s string) []byte {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			var b bytes.Buffer
			_ = WriteJSON(&b, s) // neither a string nor a buffer fails
			return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// The columns of a line of text. What takes more moves the rest to the right.
const (
	eventTime   = "15:04:05.000000"
	tidWidth    = 7 // of 4194304, the largest there is
	wordWidth   = len("group-stop")
	detailWidth = len("by SIGRTMIN+30")
)

// AppendText appends e as one line for people: the time, the thread, what has
// happened to it, and its name. With several processes each line has its own.
func (e *Event) AppendText(dst []byte, style Style, several bool) []byte {
	dst = style.on(dst, "2")
	dst = e.Time.AppendFormat(dst, eventTime)
	dst = style.off(dst)
	if several {
		dst = appendNumber(dst, e.PID)
	}
	dst = appendNumber(dst, e.TID)
	dst = append(dst, "  "...)

	code, word := "1", e.word()
	if e.Kind == attacher.EventLost {
		code = "33"
	}
	dst = style.on(dst, code)
	dst = append(dst, word...)
	dst = style.off(dst)
	dst = appendSpace(dst, wordWidth+2-len(word))

	from := len(dst)
	dst = e.appendDetail(dst)
	if e.Comm != "" {
		dst = appendSpace(dst, detailWidth+2-(len(dst)-from))
		dst = append(dst, Quote(e.Comm)...)
	}
	return append(bytes.TrimRight(dst, " "), '\n')
}

// appendDetail appends what there is to say beside what has happened to whom.
func (e *Event) appendDetail(dst []byte) []byte {
	switch e.Kind {
	case attacher.EventExec:
		if e.OldTID != e.TID {
			dst = append(dst, "was "...)
			dst = strconv.AppendInt(dst, int64(e.OldTID), 10)
		}
	case attacher.EventSignal, attacher.EventGroupStop:
		dst = append(dst, SignalName(e.Signal)...)
	case attacher.EventExit:
		if e.Signal != 0 {
			dst = append(append(dst, "by "...), SignalName(e.Signal)...)
		} else {
			dst = strconv.AppendInt(append(dst, "code "...), int64(e.Code), 10)
		}
	case attacher.EventLost:
		dst = append(dst, Plural(e.N, "event")...)
	case attacher.EventEnd:
		if e.Ended {
			return append(dst, "it has ended"...)
		}
		return append(dst, "it was let go"...)
	}
	return dst
}

// appendNumber appends the number of a thread or process, "-" for none, after
// two spaces and to the right of its column.
func appendNumber(dst []byte, n int) []byte {
	var b [20]byte
	digits := append(b[:0], '-')
	if n != 0 {
		digits = strconv.AppendInt(b[:0], int64(n), 10)
	}
	return append(appendSpace(dst, tidWidth+2-len(digits)), digits...)
}

// appendSpace appends n spaces, and one at the least.
func appendSpace(dst []byte, n int) []byte {
	for range max(n, 1) {
		dst = append(dst, ' ')
	}
	return dst
}

// word is what has happened, in both formats.
func (e *Event) word() string { return e.Kind.String() }

// on and off are Style's dress for who appends.
func (s Style) on(dst []byte, code string) []byte {
	if !s.Colour {
		return dst
	}
	dst = append(dst, "\x1b["...)
	dst = append(dst, code...)
	return append(dst, 'm')
}

func (s Style) off(dst []byte) []byte {
	if !s.Colour {
		return dst
	}
	return append(dst, "\x1b[0m"...)
}

// The signals of Linux, whatever this is built for.
const (
	firstRealTime = 34 // as kill -l counts; glibc keeps 32 and 33 for itself
	lastSignal    = 64
)

var signalNames = func() (names [lastSignal + 1]string) {
	for n := range names {
		switch s := unix.SignalName(syscall.Signal(n)); {
		case n == firstRealTime:
			names[n] = "SIGRTMIN"
		case n > firstRealTime:
			names[n] = fmt.Sprintf("SIGRTMIN+%d", n-firstRealTime)
		case s != "":
			names[n] = s
		default:
			names[n] = fmt.Sprintf("SIG%d", n)
		}
	}
	return names
}()

// SignalName is the name of a signal: SIGUSR1, SIGRTMIN+5. SIGRTMIN is 34 here.
func SignalName(s syscall.Signal) string {
	if s < 0 || s > lastSignal {
		return fmt.Sprintf("SIG%d", int(s))
	}
	return signalNames[s]
}
