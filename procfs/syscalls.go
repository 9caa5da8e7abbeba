package procfs

import (
	"slices"
	"strconv"
	"strings"
)

// syscallPrefix stands before the number of a call that has no name here.
const syscallPrefix = "syscall_"

// SyscallName is the name of system call number nr in the native ABI of this
// build: "futex". A number that is newer than this program, or on an
// architecture without a table (there is one for amd64 and for arm64), prints
// like "syscall_460"; a negative one is "".
func SyscallName(nr int) string {
	switch {
	case nr < 0:
		return ""
	case nr < len(syscallNames) && syscallNames[nr] != "":
		return syscallNames[nr]
	}
	return syscallNumber(nr)
}

// syscallNumber is the form without a name.
func syscallNumber(nr int) string { return syscallPrefix + strconv.Itoa(nr) }

// parseSyscallName finds the number of a call in either form. named tells them
// apart: a name is one of the native ABI alone.
func parseSyscallName(name string) (nr int, named, ok bool) {
	if digits, isNumber := strings.CutPrefix(name, syscallPrefix); isNumber {
		nr, ok = parseInt([]byte(digits))
		return nr, false, ok && nr >= 0
	}
	if name == "" {
		return 0, false, false
	}
	nr = slices.Index(syscallNames, name)
	return nr, true, nr >= 0
}
