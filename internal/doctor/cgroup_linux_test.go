package doctor

import (
	"maps"
	"slices"
	"testing"
)

func TestCgroupMounts(t *testing.T) {
	const info = `23 28 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
35 32 0:31 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate
36 32 0:32 /docker/ab /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
37 32 0:33 /docker/ab /sys/fs/cgroup/freezer rw master:3 - cgroup cgroup rw,freezer
cut off`
	got := cgroupMounts(info)
	if len(got) != 5 || got[""] != (mount{"/", "/sys/fs/cgroup/unified"}) || got["freezer"] != (mount{"/docker/ab", "/sys/fs/cgroup/freezer"}) ||
		got["cpu"].point != "/sys/fs/cgroup/cpu,cpuacct" || got["cpuacct"] != got["cpu"] {
		t.Errorf("%v: %v", slices.Collect(maps.Keys(got)), got)
	}
}

func TestCutPath(t *testing.T) {
	for _, tc := range []struct {
		path, root, below string
		inside            bool
	}{
		{"/", "/", "/", true},
		{"/a/b", "/", "/a/b", true},
		{"/a/b", "/a", "b", true},
		{"/a", "/a", "", true},
		{"/ab", "/a", "", false},
		{"/b", "/a", "", false},
		{"/../b", "/", "", false},
	} {
		below, inside := cutPath(tc.path, tc.root)
		if inside != tc.inside || inside && below != tc.below {
			t.Errorf("%s in %s: %q, %v", tc.path, tc.root, below, inside)
		}
	}
}

func TestUp(t *testing.T) {
	for _, tc := range []struct {
		cgroup cgroup
		want   []string
	}{
		{cgroup{dir: "/c/a/b", top: "/c"}, []string{"/c/a/b", "/c/a", "/c"}},
		{cgroup{dir: "/c", top: "/c"}, []string{"/c"}},
		{cgroup{dir: "/elsewhere", top: "/sys/fs/cgroup"}, []string{"/elsewhere"}},
	} {
		if got := slices.Collect(tc.cgroup.up); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %v", tc.cgroup, got)
		}
	}
}
