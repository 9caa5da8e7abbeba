package attacher

import (
	"encoding/binary"
	"syscall"
	"testing"

	"massattach/internal/sys"
)

func TestDecode(t *testing.T) {
	trapped := func(status int) WaitStatus {
		return WaitStatus{TID: 7, Code: sys.CodeTrapped, Status: status}
	}
	for _, tc := range []struct {
		name string
		ws   WaitStatus
		want Stop
	}{
		{"exit", WaitStatus{TID: 7, Code: sys.CodeExited, Status: 3}, Stop{TID: 7, Kind: Exited, Code: 3}},
		{"kill", WaitStatus{TID: 7, Code: sys.CodeKilled, Status: 9}, Stop{TID: 7, Kind: Killed, Signal: 9}},
		{"core", WaitStatus{TID: 7, Code: sys.CodeDumped, Status: 11}, Stop{TID: 7, Kind: Killed, Signal: 11}},
		{"signal", trapped(10), Stop{TID: 7, Kind: StopSignal, Signal: 10}},
		{"real-time signal", trapped(64), Stop{TID: 7, Kind: StopSignal, Signal: 64}},
		{"delivery of SIGSTOP", trapped(19), Stop{TID: 7, Kind: StopSignal, Signal: syscall.SIGSTOP}},
		{"delivery of SIGTRAP", trapped(5), Stop{TID: 7, Kind: StopSignal, Signal: syscall.SIGTRAP}},
		{"group-stop", trapped(19 | sys.EventStop<<8), Stop{TID: 7, Kind: StopGroup, Signal: syscall.SIGSTOP}},
		{"group-stop, tty", trapped(21 | sys.EventStop<<8), Stop{TID: 7, Kind: StopGroup, Signal: syscall.SIGTTIN}},
		{"event-stop", trapped(5 | sys.EventStop<<8), Stop{TID: 7, Kind: StopTrap}},
		{"exec", trapped(5 | sys.EventExec<<8), Stop{TID: 7, Kind: StopExec}},
		{"clone", trapped(5 | sys.EventClone<<8), Stop{TID: 7, Kind: StopClone}},
		{"fork", trapped(5 | sys.EventFork<<8), Stop{TID: 7, Kind: StopClone}},
		{"exit-stop", trapped(5 | sys.EventExit<<8), Stop{TID: 7, Kind: StopExit}},
		{"an event to come", trapped(5 | 99<<8), Stop{TID: 7, Kind: StopUnknown}},
		{"a code to come", WaitStatus{TID: 7, Code: 77, Status: 5}, Stop{TID: 7, Kind: StopUnknown}},
	} {
		if got := decode(tc.ws); got != tc.want {
			t.Errorf("%s: decode(%+v) = %+v, want %+v", tc.name, tc.ws, got, tc.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(7, sys.CodeTrapped, 19|sys.EventStop<<8)
	f.Add(7, sys.CodeExited, 255)
	f.Fuzz(func(t *testing.T, tid, code, status int) {
		s := decode(WaitStatus{TID: tid, Code: code, Status: status})
		if s.TID != tid {
			t.Errorf("tid %d became %d", tid, s.TID)
		}
		if s.Kind.Ended() != (code >= sys.CodeExited && code <= sys.CodeDumped) {
			t.Errorf("code %d: %v", code, s)
		}
		if s.Kind == StopGroup && !isStopSignal(s.Signal) {
			t.Errorf("%v: group-stop by a signal that stops nobody", s)
		}
		if s.Signal < 0 || s.Signal > 127 {
			t.Errorf("%v: no such signal", s)
		}
		if s.String() == "" || s.Kind.String() == "" {
			t.Error("no name")
		}
	})
}

// A stop that another waiter took is read back from its siginfo.
func TestStolenStop(t *testing.T) {
	si := func(signo, code int32) *Siginfo {
		var b Siginfo
		binary.NativeEndian.PutUint32(b[0:], uint32(signo))
		binary.NativeEndian.PutUint32(b[8:], uint32(code))
		return &b
	}
	for _, tc := range []struct {
		name string
		si   *Siginfo
		want Stop
	}{
		{"kill", si(28, 0), Stop{Kind: StopSignal, Signal: 28}},
		{"sigqueue", si(40, -1), Stop{Kind: StopSignal, Signal: 40}},
		{"fault", si(11, 1), Stop{Kind: StopSignal, Signal: 11}},
		{"kernel", si(17, 0x80), Stop{Kind: StopSignal, Signal: 17}},
		{"event-stop", si(5, 5|sys.EventStop<<8), Stop{Kind: StopTrap}},
		{"group-stop", si(19, 19|sys.EventStop<<8), Stop{Kind: StopGroup, Signal: 19}},
		{"exec", si(5, 5|sys.EventExec<<8), Stop{Kind: StopExec}},
	} {
		tc.want.TID = 7
		if got := decode(stolen(7, tc.si)); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
