//go:build !linux

package procfs

import (
	"errors"
	"fmt"
	"io/fs"
)

// There is no proc file system of this kind here. See io_linux.go for what these
// do there.

const atCWD = -1

var errGone error = fs.ErrNotExist

func isGone(error) bool { return false }

func unsupported() error {
	return fmt.Errorf("no Linux proc file system: %w", errors.ErrUnsupported)
}

func openDir(string) (int, error)             { return -1, unsupported() }
func openDirAt(int, string) (int, error)      { return -1, unsupported() }
func openAt(int, string) (int, error)         { return -1, unsupported() }
func closeFD(int)                             {}
func readFD(int, []byte) (int, error)         { return 0, unsupported() }
func preadFD(int, []byte, int64) (int, error) { return 0, unsupported() }
func seekThread(int, int) error               { return unsupported() }
func getdents(int, []byte) (int, error)       { return 0, unsupported() }
func subdirs(int) (int, error)                { return 0, unsupported() }
func subdirsAt(int, string) (int, error)      { return 0, unsupported() }
func existsAt(int, string) error              { return unsupported() }
func notFUSE(int) error                       { return unsupported() }
