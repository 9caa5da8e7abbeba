package serve

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"massattach/procfs"
)

// Rule says which processes match: those to which all applies that is set. The zero
// value is no rule. A kernel thread matches none, nor does this process.
type Rule struct {
	// Comm is a pattern for the process's name, as in path.Match.
	Comm string `yaml:"comm"`
	// Cmdline is one for its arguments, joined by blanks; * matches a slash, too.
	Cmdline string `yaml:"cmdline"`
	// MinThreads is how many threads it has at least.
	MinThreads int `yaml:"min-threads"`
	// Cgroup is the path of a control group, as in /proc/PID/cgroup: the process is
	// in it, or in one below.
	Cgroup string `yaml:"cgroup"`
	// Unit is a systemd unit, "nginx.service": the process is in its control group.
	Unit string `yaml:"unit"`
}

// ParseRule reads what String writes: "comm=java,min-threads=500".
func ParseRule(s string) (Rule, error) {
	var r Rule
	for part := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || value == "" {
			return Rule{}, fmt.Errorf("%q is not KEY=VALUE with one of comm, cmdline, min-threads, cgroup, unit", part)
		}
		switch key {
		case "comm":
			r.Comm = value
		case "cmdline":
			r.Cmdline = value
		case "min-threads":
			n, err := strconv.Atoi(value)
			if err != nil || n <= 0 {
				return Rule{}, fmt.Errorf("min-threads: %q is not a number of threads", value)
			}
			r.MinThreads = n
		case "cgroup":
			r.Cgroup = value
		case "unit":
			r.Unit = value
		default:
			return Rule{}, fmt.Errorf("there is no %q to match, only comm, cmdline, min-threads, cgroup, unit", key)
		}
	}
	return r, r.validate()
}

// IsZero says that nothing is set.
func (r Rule) IsZero() bool { return r == Rule{} }

// String is the rule as it is given on a command line.
func (r Rule) String() string {
	var parts []string
	add := func(key, value string) {
		if value != "" {
			parts = append(parts, key+"="+value)
		}
	}
	add("comm", r.Comm)
	add("cmdline", r.Cmdline)
	if r.MinThreads != 0 {
		add("min-threads", strconv.Itoa(r.MinThreads))
	}
	add("cgroup", r.Cgroup)
	add("unit", r.Unit)
	return strings.Join(parts, ",")
}

func (r Rule) validate() error {
	for _, p := range []struct{ key, glob string }{{"comm", r.Comm}, {"cmdline", r.Cmdline}} {
		if _, err := path.Match(p.glob, ""); err != nil {
			return fmt.Errorf("%s: %q is not a pattern", p.key, p.glob)
		}
	}
	switch {
	case r.MinThreads < 0:
		return fmt.Errorf("min-threads: %d is not a number of threads", r.MinThreads)
	case r.Cgroup != "" && !strings.HasPrefix(r.Cgroup, "/"):
		return fmt.Errorf("cgroup: %q does not begin with a slash", r.Cgroup)
	case strings.Contains(r.Unit, "/"):
		return fmt.Errorf("unit: %q is not the name of one", r.Unit)
	}
	return nil
}

// matches says whether a process with so many threads as were asked for matches. What
// can't be read does not.
func (r Rule) matches(pid int, st procfs.Stat) bool {
	return pid != os.Getpid() && !st.KernelThread() &&
		match(r.Comm, st.Comm) && r.matchesArguments(pid) && r.matchesGroup(pid)
}

func (r Rule) matchesArguments(pid int) bool {
	if r.Cmdline == "" {
		return true
	}
	b, err := os.ReadFile(procFile(pid, "cmdline"))
	if err != nil {
		return false
	}
	line := string(bytes.TrimRight(bytes.ReplaceAll(b, []byte{0}, []byte(" ")), " "))
	// path.Match keeps slashes apart, of which command lines are full.
	flat := strings.NewReplacer("/", "\x00")
	return match(flat.Replace(r.Cmdline), flat.Replace(line))
}

func (r Rule) matchesGroup(pid int) bool {
	if r.Cgroup == "" && r.Unit == "" {
		return true
	}
	b, err := os.ReadFile(procFile(pid, "cgroup"))
	return err == nil && r.matchesGroups(string(b))
}

// matchesGroups judges the text of /proc/PID/cgroup, a line for each hierarchy:
// "0::/system.slice/nginx.service" (cgroups(7)).
func (r Rule) matchesGroups(text string) bool {
	inGroup, inUnit := r.Cgroup == "", r.Unit == ""
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) < 3 {
			continue
		}
		group := fields[2]
		inGroup = inGroup || group == r.Cgroup || strings.HasPrefix(group, strings.TrimSuffix(r.Cgroup, "/")+"/")
		inUnit = inUnit || strings.Contains(group+"/", "/"+r.Unit+"/")
	}
	return inGroup && inUnit
}

func match(glob, s string) bool {
	if glob == "" {
		return true
	}
	ok, err := path.Match(glob, s)
	return err == nil && ok
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
