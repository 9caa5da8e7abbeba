package doctor

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// cgroup is one control group that a process is in: its directory, and where the
// file system begins in which that is.
type cgroup struct {
	path     string // as in /proc/PID/cgroup
	dir, top string
}

// cgroups are those of one process, by controller, "" for the second version's.
type cgroups map[string]cgroup

// controlGroups looks up those of a process; cgroups(7).
func controlGroups(pid string) cgroups {
	mounts := cgroupMounts(text("/proc/self/mountinfo"))
	all := make(cgroups)
	for line := range strings.Lines(text("/proc/" + pid + "/cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			m, mounted := mounts[controller]
			if !mounted {
				continue
			}
			// What is mounted may be a part of the hierarchy, in a container.
			below, inside := cutPath(fields[2], m.root)
			if inside {
				all[controller] = cgroup{fields[2], path.Join(m.point, below), m.point}
			}
		}
	}
	return all
}

type mount struct{ root, point string }

// cgroupMounts reads mountinfo, proc_pid_mountinfo(5).
func cgroupMounts(info string) map[string]mount {
	all := make(map[string]mount)
	for line := range strings.Lines(info) {
		about, kind, found := strings.Cut(strings.TrimSpace(line), " - ")
		fields, kinds := strings.Fields(about), strings.Fields(kind)
		if !found || len(fields) < 5 || len(kinds) < 3 {
			continue
		}
		m := mount{fields[3], fields[4]}
		switch kinds[0] {
		case "cgroup2":
			all[""] = m
		case "cgroup":
			for controller := range strings.SplitSeq(kinds[2], ",") {
				all[controller] = m
			}
		}
	}
	return all
}

// cutPath cuts the directory root off p. What lies outside of our cgroup
// namespace, /../x, is inside of nothing.
func cutPath(p, root string) (below string, inside bool) {
	switch {
	case strings.HasPrefix(p, "/.."):
		return "", false
	case root == "/":
		return p, true
	case root == p:
		return "", true
	}
	return strings.CutPrefix(p, root+"/")
}

// up goes from a control group to the top, as far as that is to be seen.
func (c cgroup) up(yield func(dir string) bool) {
	for dir := c.dir; ; dir = path.Dir(dir) {
		if !yield(dir) || dir == c.top || len(dir) < len(c.top) {
			return
		}
	}
}

// freezer is what can freeze the process, and whether it has.
func (all cgroups) freezer() Cgroup {
	var f Cgroup
	for _, v := range []struct{ controller, says, thawed, thaws string }{
		{"", "cgroup.freeze", "0", "cgroup.freeze"},
		{"freezer", "freezer.self_freezing", "THAWED", "freezer.state"},
	} {
		c, ok := all[v.controller]
		if !ok {
			continue
		}
		if f.Path == "" || f.Path == "/" {
			f.Path = c.path
		}
		for dir := range c.up {
			if text(path.Join(dir, v.says)) == "1" {
				f.Path, f.Frozen = c.path, true
				f.Thaw = fmt.Sprintf("echo %s | sudo tee %s", v.thawed, path.Join(dir, v.thaws))
				return f
			}
		}
	}
	return f
}

// pids are the limits on the number of tasks, of each group up to the top.
func (all cgroups) pids() (limits []Limit) {
	for _, controller := range []string{"", "pids"} {
		c, ok := all[controller]
		if !ok {
			continue
		}
		for dir := range c.up {
			most, err := strconv.Atoi(text(path.Join(dir, "pids.max"))) // "max" is none
			used, err2 := strconv.Atoi(text(path.Join(dir, "pids.current")))
			if err == nil && err2 == nil {
				limits = append(limits, Limit{
					"pids.max of " + dir, most, used,
					fmt.Sprintf("echo %d | sudo tee %s", 2*most, path.Join(dir, "pids.max")),
				})
			}
		}
	}
	return limits
}
