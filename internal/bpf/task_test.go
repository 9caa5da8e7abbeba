package bpf

import "testing"

func TestStateLetter(t *testing.T) {
	for _, tc := range []struct {
		state, exit uint32
		want        byte
	}{
		{0x0000, 0x00, 'R'},
		{0x0001, 0x00, 'S'},
		{0x2001, 0x00, 'S'}, // TASK_FREEZABLE
		{0x0002, 0x00, 'D'},
		{0x0102, 0x00, 'D'}, // TASK_KILLABLE
		{0x1000, 0x00, 'D'}, // TASK_RTLOCK_WAIT
		{0x0402, 0x00, 'I'}, // TASK_IDLE
		{0x0104, 0x00, 'T'}, // TASK_STOPPED
		{0x0108, 0x00, 't'}, // TASK_TRACED
		{0x0080, 0x10, 'X'}, // TASK_DEAD, EXIT_DEAD
		{0x0080, 0x20, 'Z'}, // EXIT_ZOMBIE
		{0x0080, 0x00, 'R'}, // TASK_DEAD is none that is reported
		{0x0040, 0x00, 'P'}, // TASK_PARKED
	} {
		if got := stateLetter(tc.state, tc.exit); got != tc.want {
			t.Errorf("%#x, %#x: %c, want %c", tc.state, tc.exit, got, tc.want)
		}
	}
}
