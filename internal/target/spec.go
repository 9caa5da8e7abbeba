package target

import (
	"fmt"
	"time"
)

// The kinds of threads, as they appear in an [Account].
const (
	KindLeader = "leader" // the main thread, in futex
	KindFutex  = "futex"  // futex(FUTEX_WAIT_PRIVATE) without end; restarts by itself
	KindEpoll  = "epoll"  // epoll_wait(-1); a stop shows as EINTR
	KindSem    = "sem"    // semop; a stop shows as EINTR
	KindSleep  = "sleep"  // clock_nanosleep for a day; cannot be woken by End
	KindRead   = "read"   // read from an empty pipe
	KindSpin   = "spin"   // reads the clock, notes the longest hole
	KindSys    = "sys"    // getppid without pause, counts calls
	KindChurn  = "churn"  // makes threads that end at once, one after another
	KindRecv   = "recv"   // futex, receives a flood of signals; its EINTRs are expected
	KindHot    = "hot"    // sends itself the signal HotSignal without pause
	KindPair   = "pair"   // writes two words and sleeps a moment, again and again; they match whenever it sleeps
	KindBirth  = "birth"  // made at a rate, lives a while in epoll_wait, ends
	KindCall   = "call"   // makes one call of the table, see Target.StartCall
)

var kinds = [...]string{
	KindLeader, KindFutex, KindEpoll, KindSem, KindSleep, KindRead, KindSpin,
	KindSys, KindChurn, KindRecv, KindHot, KindPair, KindBirth, KindCall,
}

// HotSignal is the real-time signal of hot threads, and the default of floods.
const HotSignal = 39

// MaxSlots is how many threads can receive a flood.
const MaxSlots = 256

// A Spec says what a target consists of. The zero value is a process of one
// blocked thread, and the Go runtime's.
type Spec struct {
	// Threads of each kind, beside the main one.
	Futex int `json:"futex,omitempty"`
	Epoll int `json:"epoll,omitempty"`
	Sem   int `json:"sem,omitempty"`
	Sleep int `json:"sleep,omitempty"`
	Read  int `json:"read,omitempty"`
	Spin  int `json:"spin,omitempty"`
	Sys   int `json:"sys,omitempty"`
	Churn int `json:"churn,omitempty"`
	Recv  int `json:"recv,omitempty"`
	Hot   int `json:"hot,omitempty"`
	Pair  int `json:"pair,omitempty"`

	// Total, if not 0, is the number of threads in all, with the main one
	// and the runtime's own, which are ten or so: as many futex threads are
	// made as are missing, and Futex is not looked at.
	Total int `json:"total,omitempty"`

	Births Births `json:"births,omitzero"`

	// CPUs pins the spin, sys, hot and churn threads, in turn.
	CPUs []int `json:"cpus,omitempty"`
	// Signals sets dispositions before any thread is made.
	Signals map[int]Disposition `json:"signals,omitempty"`
	// Block lists, by kind, signals that threads of that kind block.
	Block map[string][]int `json:"block,omitempty"`

	// Parent puts a process between the starter and the target: its
	// parent. ParentWatch blocks in waitid and logs each change of the
	// target, ParentIdle looks only when told to (Target.ParentLook).
	Parent string `json:"parent,omitempty"`
	// Orphan starts the target through a process that exits at once, so
	// that it is no child of the starter.
	Orphan bool `json:"orphan,omitempty"`
	// Wake has the target continued, should it be stopped, when the thread
	// that called Start ends: for a starter that stops it, and may be killed
	// before it has let it go on. Not with Parent or Orphan.
	Wake bool `json:"-"`
	// ZombieLeader ends the main thread alone before the target is ready.
	ZombieLeader bool `json:"zombie_leader,omitempty"`

	// User runs the target as another user. Root only.
	User *User `json:"user,omitempty"`
	// MaxProcs lowers RLIMIT_NPROC of the target.
	MaxProcs int `json:"max_procs,omitempty"`
	// PIDFile is written, with the pid and a newline, when the target is ready.
	PIDFile string `json:"pidfile,omitempty"`
	// For is how long the target lives on after the end of its input, for
	// scripts that have none to give. Close then waits, or kills.
	For time.Duration `json:"for_ns,omitempty"`
}

// The values of Spec.Parent.
const (
	ParentWatch = "watch"
	ParentIdle  = "idle"
)

// A User is whom a target runs as.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// Births makes threads that do not end at once: Rate of them a second, each in
// epoll_wait for Life. If Check is not 0 the TracerPid of each is read when it
// has lived that long, and those without one are counted.
type Births struct {
	Rate  int           `json:"rate,omitempty"`
	Life  time.Duration `json:"life_ns,omitempty"`
	Check time.Duration `json:"check_ns,omitempty"`
}

// Mix is the standard mix of n threads in all: at 10,000 there are 4,000 in
// futex (the runtime's own and the main thread among them), 4,000 in
// epoll_wait, 500 in semop, 500 sleeping, 999 in read, 1 spinning. Below some 32
// there is no room for it beside the runtime's threads, and Start fails.
func Mix(n int) Spec {
	s := Spec{Total: n, Epoll: n * 4 / 10, Sem: n / 20, Sleep: n / 20}
	if s.Read = n / 10; s.Read > 0 {
		s.Read--
		s.Spin = 1
	}
	s.Futex = n - s.Epoll - s.Sem - s.Sleep - s.Read - s.Spin
	return s
}

// count returns how many threads of a kind are asked for.
func (s *Spec) count(kind string) int {
	switch kind {
	case KindFutex:
		return s.Futex
	case KindEpoll:
		return s.Epoll
	case KindSem:
		return s.Sem
	case KindSleep:
		return s.Sleep
	case KindRead:
		return s.Read
	case KindSpin:
		return s.Spin
	case KindSys:
		return s.Sys
	case KindChurn:
		return s.Churn
	case KindRecv:
		return s.Recv
	case KindHot:
		return s.Hot
	case KindPair:
		return s.Pair
	}
	return 0
}

// threads is the number of threads asked for, in all.
func (s *Spec) threads() int {
	n := 1
	for _, k := range kinds {
		n += s.count(k)
	}
	return max(n, s.Total)
}

func (s *Spec) validate() error {
	for _, k := range kinds {
		if n := s.count(k); n < 0 || n > 1<<22 {
			return fmt.Errorf("target: %d %s threads", n, k)
		}
	}
	for k, signals := range s.Block {
		if kindOf(k) < 0 {
			return fmt.Errorf("target: no kind %q", k)
		}
		for _, sig := range signals {
			if sig < 1 || sig > 64 {
				return fmt.Errorf("target: no signal %d", sig)
			}
		}
	}
	switch {
	case s.Total < 0 || s.Total > 1<<22:
		return fmt.Errorf("target: %d threads", s.Total)
	case s.Recv > MaxSlots:
		return fmt.Errorf("target: %d receivers, at most %d", s.Recv, MaxSlots)
	case s.Births.Rate < 0 || s.Births.Rate > 10_000 || s.Births.Life < 0 || s.Births.Life > time.Minute:
		return fmt.Errorf("target: births of %d a second for %v: at most 10,000 and a minute", s.Births.Rate, s.Births.Life)
	case s.Parent != "" && s.Parent != ParentWatch && s.Parent != ParentIdle:
		return fmt.Errorf("target: no parent mode %q", s.Parent)
	case s.Parent != "" && s.Orphan:
		return fmt.Errorf("target: an orphan has no parent")
	}
	return nil
}

func kindOf(name string) int {
	for i, k := range kinds {
		if k == name {
			return i
		}
	}
	return -1
}
