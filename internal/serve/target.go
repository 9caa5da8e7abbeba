package serve

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/stopper"
)

// Target is a process to watch, how it is found, and what is done to it.
type Target struct {
	// Name is the label of its metrics. How it is found, when empty.
	Name string

	// How it is found: exactly one of these three; with PIDFile a rule may stand
	// beside it, for the process whose number that is.

	// PID is a number. When that process has ended the target is gone.
	PID int
	// PIDFile is the path of a file with a number.
	PIDFile string
	// Rule matches processes; of several it is the one that has lived longest.
	Rule Rule

	// Every is the time from the beginning of one probe to that of the next.
	Every time.Duration
	// Deadline bounds a probe.
	Deadline time.Duration
	// Arrest is the styles in which its threads are arrested.
	Arrest []stopper.Style
	// Keep attaches once, and again when the process has been found again.
	Keep bool
	// Follow is how births are heard of while attached. When nil, by scans, for which
	// nothing has to be loaded into the kernel; or by event where the attachment is
	// kept: of scans that go on for ever a CPU notices.
	Follow *attacher.Follow
}

// The bounds of a target.
const (
	minEvery      = 100 * time.Millisecond
	maxName       = 256 // bytes
	maxTargets    = 1000
	DefaultEvery  = 30 * time.Second
	DefaultWithin = 10 * time.Second
)

// Title is its name, or how it is found.
func (t Target) Title() string {
	if t.Name != "" {
		return t.Name
	}
	return t.How()
}

func (t Target) follow() attacher.Follow {
	switch {
	case t.Follow != nil:
		return *t.Follow
	case t.Keep:
		return attacher.FollowEvent
	}
	return attacher.FollowScan
}

// How says how it is found: "4211", "comm=java,min-threads=500".
func (t Target) How() string {
	switch {
	case t.PID != 0:
		return strconv.Itoa(t.PID)
	case t.PIDFile != "" && !t.Rule.IsZero():
		return "pidfile=" + t.PIDFile + "," + t.Rule.String()
	case t.PIDFile != "":
		return "pidfile=" + t.PIDFile
	}
	return t.Rule.String()
}

// Validate says what is wrong with it.
func (t Target) Validate() error {
	if err := t.validate(); err != nil {
		if title := t.Title(); title != "" {
			return fmt.Errorf("target %s: %w", report.Quote(title), err)
		}
		return err
	}
	return nil
}

func (t Target) validate() error {
	title := t.Title()
	switch {
	case t.PID == 0 && t.PIDFile == "" && t.Rule.IsZero():
		return errors.New("it says no pid, pidfile, match, cgroup or unit to find it by")
	case t.PID != 0 && (t.PIDFile != "" || !t.Rule.IsZero()):
		return errors.New("a pid needs nothing else to find it by")
	case t.PID < 0:
		return fmt.Errorf("%d is not a process number", t.PID)
	case !utf8.ValidString(title), len(title) > maxName, unprintable(title):
		return fmt.Errorf("its name has to print, in at most %d bytes of UTF-8", maxName)
	case t.Every < minEvery:
		return fmt.Errorf("every: %v is less than %v", t.Every, minEvery)
	case t.Deadline <= 0:
		return errors.New("deadline: it has to be more than 0")
	}
	seen := make(map[stopper.Style]bool)
	for _, s := range t.Arrest {
		if seen[s] {
			return fmt.Errorf("arrest: %v stands there twice", s)
		}
		seen[s] = true
	}
	return t.Rule.validate()
}

// ValidateAll says what is wrong with the targets of one daemon, whose names have to
// differ.
func ValidateAll(all []Target) error {
	if len(all) > maxTargets {
		return fmt.Errorf("%d targets are more than %d", len(all), maxTargets)
	}
	names := make(map[string]bool, len(all))
	for _, t := range all {
		if err := t.Validate(); err != nil {
			return err
		}
		if names[t.Title()] {
			return fmt.Errorf("two targets go by the name of %s", report.Quote(t.Title()))
		}
		names[t.Title()] = true
	}
	return nil
}

// ParseStyle is the inverse of a style's String.
func ParseStyle(s string) (stopper.Style, error) {
	for _, style := range []stopper.Style{stopper.Notify, stopper.Interrupt} {
		if s == style.String() {
			return style, nil
		}
	}
	return 0, fmt.Errorf("%q is not one of notify, interrupt", s)
}

func (t Target) same(u Target) bool { return reflect.DeepEqual(t, u) }

func unprintable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return true
		}
	}
	return false
}
