package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/report"
)

// freezer is a group of cgroup v2 with the target in it.
type freezer struct {
	root   int    // of the hierarchy
	parent string // where the target was, "." for the root
	name   string
	pid    int
}

// openCgroups opens cgroup v2 in a mount that nobody else sees, and that goes with the
// descriptor: the machine may have mounted version 1, or nothing.
func openCgroups() (fd int, err error) {
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("no cgroup v2: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("cgroup v2 can't be mounted: %w", err)
	}
	fd, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cgroup v2 can't be mounted: %w", err)
	}
	return fd, nil
}

// freezerMissing says why there is no freezer here, by making a group.
func freezerMissing() error {
	root, err := openCgroups()
	if err != nil {
		return err
	}
	f := &freezer{root: root, name: fmt.Sprintf("massattach-probe-%d", os.Getpid())}
	defer unix.Close(root)
	if err := unix.Mkdirat(root, f.name, 0o700); err != nil {
		return fmt.Errorf("cgroup v2: %w", err)
	}
	defer unix.Unlinkat(root, f.name, unix.AT_REMOVEDIR)
	if _, err := f.read("cgroup.freeze"); err != nil {
		return fmt.Errorf("cgroup v2 has no freezer: %w", err)
	}
	return nil
}

// freezing puts the target into a group of its own.
func (s *stage) freezing() (*freezer, error) {
	root, err := openCgroups()
	if err != nil {
		return nil, err
	}
	f := &freezer{root: root, pid: s.pid(), parent: ".", name: fmt.Sprintf("massattach-bench-%d", s.pid())}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", f.pid))
	for line := range strings.Lines(string(groups)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/"); ok && path != "" && !strings.HasPrefix(path, "..") {
			f.parent = path
		}
	}
	if err == nil {
		err = unix.Mkdirat(root, f.name, 0o700)
	}
	if err == nil {
		err = f.write(f.name+"/cgroup.procs", pidOf(f.pid))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cgroup v2: %w", err), f.close())
	}
	return f, nil
}

// close thaws the target and puts it back.
func (f *freezer) close() error {
	_ = f.write(f.name+"/cgroup.freeze", "0")
	_ = f.write(f.parent+"/cgroup.procs", pidOf(f.pid))
	var err error
	for end := time.Now().Add(time.Second); ; time.Sleep(breath) {
		err = unix.Unlinkat(f.root, f.name, unix.AT_REMOVEDIR)
		if err == nil || errors.Is(err, unix.ENOENT) || time.Now().After(end) {
			break
		}
	}
	return errors.Join(err, unix.Close(f.root))
}

// run freezes the target, and lets it run as soon as all of it stands still.
func (f *freezer) run(ctx context.Context) (sample, error) {
	begin := time.Now()
	if err := f.write(f.name+"/cgroup.freeze", "1"); err != nil {
		return nil, err
	}
	for {
		b, err := f.read("cgroup.events")
		if err == nil && bytes.Contains(b, []byte("frozen 1")) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, errors.Join(err, f.write(f.name+"/cgroup.freeze", "0"))
		}
		time.Sleep(100 * time.Microsecond)
	}
	frozen := time.Since(begin)
	err := f.write(f.name+"/cgroup.freeze", "0")
	return sample{report.FigureSeconds: time.Since(begin).Seconds(), figureStopped: frozen.Seconds()}, err
}

func (f *freezer) write(path, value string) error {
	fd, err := unix.Openat(f.root, path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	return err
}

func (f *freezer) read(file string) ([]byte, error) {
	fd, err := unix.Openat(f.root, f.name+"/"+file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 256)
	n, err := unix.Read(fd, b)
	return b[:max(n, 0)], err
}
