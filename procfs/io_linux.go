package procfs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The whole of what this package asks of the kernel. Every call that can answer
// EINTR is repeated: programs that trace install signal handlers without
// SA_RESTART.

const atCWD = unix.AT_FDCWD

// isGone says whether err is ESRCH: the thread was there when its file was
// opened and is not when it is read.
func isGone(err error) bool { return errors.Is(err, unix.ESRCH) }

var errGone error = unix.ESRCH

// openDir opens a directory for getdents and openat. close with closeFD.
func openDir(path string) (int, error) { return openDirAt(atCWD, path) }

func openDirAt(dir int, path string) (int, error) {
	return openRetry(dir, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
}

// openAt opens a file for reading.
func openAt(dir int, path string) (int, error) {
	return openRetry(dir, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
}

func openRetry(dir int, path string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, path, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// closeFD closes fd. Its answer is of no interest for files that were only read,
// and after an EINTR the descriptor is gone all the same (close(2)).
func closeFD(fd int) { _ = unix.Close(fd) }

func readFD(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func preadFD(fd int, buf []byte, at int64) (int, error) {
	for {
		n, err := unix.Pread(fd, buf, at)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// seekThread makes the next getdents of a task directory start at thread number
// n: behind "." and ".." positions count threads (fs/proc/base.c,
// proc_task_readdir). With 0 it starts at the first entry of any directory.
func seekThread(fd, n int) error {
	at := int64(0)
	if n > 0 {
		at = int64(n) + 2
	}
	_, err := unix.Seek(fd, at, unix.SEEK_SET)
	return err
}

// getdents fills buf with linux_dirent64 records, see appendNumbers. 0 is the end.
func getdents(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Getdents(fd, buf)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// subdirs is the number of subdirectories by the link count, without listing.
// For PID/task the kernel makes it the number of threads (fs/proc/base.c,
// proc_task_getattr); 0 there means that the process is gone.
//
// File systems that don't count (btrfs, some overlays) say 1 for a directory:
// the answer is -1 then.
func subdirs(fd int) (int, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return 0, err
	}
	return int(st.Nlink) - 2, nil
}

// subdirsAt is subdirs of the directory path in dir.
func subdirsAt(dir int, path string) (int, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(dir, path, &st, 0) }); err != nil {
		return 0, err
	}
	return int(st.Nlink) - 2, nil
}

// existsAt says whether path exists in dir.
func existsAt(dir int, path string) error {
	var st unix.Stat_t
	return retry(func() error { return unix.Fstatat(dir, path, &st, 0) })
}

// notFUSE fails for a file that a user-space file system laid over proc's own.
func notFUSE(fd int) error {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return err
	}
	if int64(st.Type) == unix.FUSE_SUPER_MAGIC {
		return fmt.Errorf("not the kernel's file but one of a FUSE file system: %w", errors.ErrUnsupported)
	}
	return nil
}

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
