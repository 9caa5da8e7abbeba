package procfs

import "sync"

const (
	// fileSize is the first guess for a file's size. All that are read here
	// fit, but status: its Groups line has 11 bytes a group, and there may be
	// 65,536 of them (NGROUPS_MAX).
	fileSize = 4 << 10
	// fileMax is where a file is cut off. The parsers live with that.
	fileMax = 1 << 20
	// fileKeep is the largest buffer that is kept for the next reader.
	fileKeep = 64 << 10
)

// file is the buffer for one file. Reads by several goroutines at a time each
// take one of their own from the pool, so a Process needs none.
type file struct{ b []byte }

var files = sync.Pool{New: func() any { return &file{b: make([]byte, fileSize)} }}

func (f *file) free() {
	if len(f.b) <= fileKeep {
		files.Put(f)
	}
}

// readAll reads fd to its end and closes it. The result is valid until free.
//
// A read that is shorter than its buffer is the end: seq_read_iter
// (fs/seq_file.c) fills the buffer as far as there is anything to fill it with.
func (f *file) readAll(fd int) ([]byte, error) {
	defer closeFD(fd)
	n := 0
	for {
		m, err := readFD(fd, f.b[n:])
		if err != nil {
			return nil, err
		}
		n += m
		if n < len(f.b) || n >= fileMax {
			return f.b[:n], nil
		}
		f.b = append(f.b, make([]byte, len(f.b))...)
	}
}
