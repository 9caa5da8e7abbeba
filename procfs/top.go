package procfs

import (
	"cmp"
	"slices"
	"strconv"
)

// ProcessInfo is one line of a list of processes.
type ProcessInfo struct {
	PID     int
	Comm    string // the leader's name, as it is
	Threads int
	State   byte // the leader's, one of [States]: Z with threads left is a zombie leader
	UID     int  // real
}

// Top gives the n processes with the most threads, largest first, then by
// number; all of them if n is 0 or less. Processes that end meanwhile, or that
// the mount hides (hidepid, proc(5)), are left out.
//
// It costs a stat(2) for each process of the system, and a read for each of
// those that it gives.
func (f FS) Top(n int) ([]ProcessInfo, error) {
	root, err := openDir(f.path(""))
	if err != nil {
		return nil, &Error{Op: "list processes", Err: err}
	}
	defer closeFD(root)

	var pids []int
	for buf := make([]byte, listBuffer); ; {
		m, err := getdents(root, buf)
		if err != nil {
			return nil, &Error{Op: "list processes", Err: err}
		}
		if m == 0 {
			break
		}
		pids = appendNumbers(pids, buf[:m])
	}

	all := make([]ProcessInfo, 0, len(pids))
	for _, pid := range pids {
		// The link count is the number of threads, see subdirs.
		if threads, err := subdirsAt(root, strconv.Itoa(pid)+"/task"); err == nil && threads > 0 {
			all = append(all, ProcessInfo{PID: pid, Threads: threads})
		}
	}
	slices.SortFunc(all, func(a, b ProcessInfo) int {
		return cmp.Or(cmp.Compare(b.Threads, a.Threads), cmp.Compare(a.PID, b.PID))
	})

	if n <= 0 || n > len(all) {
		n = len(all)
	}
	top := all[:0] // filled from behind what is read
	for _, info := range all {
		if len(top) == n {
			break
		}
		if st, err := leaderStatus(root, info.PID); err == nil {
			info.Comm, info.State, info.UID = st.Name, st.State, st.Uid[0]
			top = append(top, info)
		}
	}
	return top, nil
}

func leaderStatus(root, pid int) (Status, error) {
	id := strconv.Itoa(pid)
	fd, err := openAt(root, id+"/task/"+id+"/status")
	if err != nil {
		return Status{}, err
	}
	buf := files.Get().(*file)
	defer buf.free()
	b, err := buf.readAll(fd)
	if err != nil {
		return Status{}, err
	}
	return parseStatus(b)
}
