package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"

	"massattach/deploy/internal/try"
)

// filter has the system calls that are allowed, in a process that is to become another
// program.
const filter = "MASSATTACH_FILTER"

func TestMain(m *testing.M) {
	if calls, ok := os.LookupEnv(filter); ok {
		fmt.Fprintln(os.Stderr, confine(strings.Fields(calls), os.Args[1:]))
		os.Exit(1)
	}
	try.Main(m)
}

// confine becomes another program, all of whose system calls but these fail with EPERM.
func confine(calls, argv []string) error {
	here, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	var known []string // on this architecture
	for _, c := range calls {
		if _, ok := here.SyscallNames[c]; ok {
			known = append(known, c)
		}
	}
	if err := seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionAllow, Names: known}},
		},
	}); err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	if err := os.Unsetenv(filter); err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}
