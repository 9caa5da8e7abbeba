package serve

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"massattach/attacher"
	"massattach/stopper"
)

// asFlags is a target as flags may have it.
var asFlags = Target{Every: 30 * time.Second, Deadline: 10 * time.Second}

func TestParse(t *testing.T) {
	with := func(change func(*Target)) Target {
		one := asFlags
		change(&one)
		return one
	}
	for _, tc := range []struct {
		name, text string
		want       []Target
		err        string // a part of it
	}{
		{name: "all of it", text: `
targets:
  - name: shop
    match: {comm: java, min-threads: 500, cmdline: '*shop.jar*'}
    arrest: [notify, interrupt]
    every: 10s
    deadline: 250ms
    keep: true
    follow: clone
`, want: []Target{{
			Name: "shop", Rule: Rule{Comm: "java", MinThreads: 500, Cmdline: "*shop.jar*"},
			Arrest: []stopper.Style{stopper.Notify, stopper.Interrupt},
			Every:  10 * time.Second, Deadline: 250 * time.Millisecond, Keep: true, Follow: new(attacher.FollowClone),
		}}},
		{name: "each way to find", text: `
targets:
  - pid: 42
  - pidfile: /run/x.pid
  - unit: nginx.service
  - cgroup: /system.slice
  - match: {unit: a.service}
    cgroup: /x
`, want: []Target{
			with(func(t *Target) { t.PID = 42 }),
			with(func(t *Target) { t.PIDFile = "/run/x.pid" }),
			with(func(t *Target) { t.Rule.Unit = "nginx.service" }),
			with(func(t *Target) { t.Rule.Cgroup = "/system.slice" }),
			with(func(t *Target) { t.Rule = Rule{Unit: "a.service", Cgroup: "/x"} }),
		}},
		{name: "empty", text: "", err: "it names no target"},
		{name: "none", text: "targets: []", err: "it names no target"},
		{name: "no way", text: "targets: [{name: x}]", err: "target 1: it says no pid"},
		{name: "two ways", text: "targets: [{pid: 1, unit: x}]", err: "a pid needs nothing else"},
		{name: "unknown key", text: "targets: [{pid: 1, evry: 1s}]", err: "line 1: field evry does not exist"},
		{name: "key twice", text: "targets: [{pid: 1, pid: 2}]", err: "already"},
		{name: "unit twice", text: "targets: [{unit: a, match: {unit: b}}]", err: "unit stands there twice"},
		{name: "no duration", text: "targets: [{pid: 1, every: 5}]", err: "line 1: cannot unmarshal !!int `5`"},
		{name: "too often", text: "targets: [{pid: 1, every: 1ms}]", err: "every: 1ms is less than 100ms"},
		{name: "no deadline", text: "targets: [{pid: 1, deadline: 0s}]", err: "deadline: it has to be more than 0"},
		{name: "no style", text: "targets: [{pid: 1, arrest: [both]}]", err: `arrest: "both" is not one of notify, interrupt`},
		{name: "style twice", text: "targets: [{pid: 1, arrest: [notify, notify]}]", err: "arrest: notify stands there twice"},
		{name: "no follow", text: "targets: [{pid: 1, follow: me}]", err: `unknown follow mode "me"`},
		{name: "same name", text: "targets: [{pid: 1}, {pid: 1}]", err: "two targets go by the name of 1"},
		{name: "no pattern", text: "targets: [{match: {comm: '['}}]", err: `comm: "[" is not a pattern`},
		{name: "no cgroup", text: "targets: [{cgroup: x}]", err: `cgroup: "x" does not begin with a slash`},
		{name: "name that does not print", text: `targets: [{pid: 1, name: "a\nb"}]`, err: "its name has to print"},
		{name: "two documents", text: "targets: [{pid: 1}]\n---\ntargets: [{pid: 2}]", err: "more than one document"},
		{name: "no YAML", text: "targets: [", err: "line 1"},
		{name: "a list", text: "- pid: 1", err: "line 1: cannot unmarshal !!seq"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse([]byte(tc.text), asFlags)
			switch {
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("%v, want … %s …", err, tc.err)
			case tc.err == "" && err != nil:
				t.Error(err)
			case err != nil && (strings.Contains(err.Error(), "serve.") || strings.Contains(err.Error(), "\n")):
				t.Errorf("that is no line for people: %q", err)
			default:
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// Whatever is in a file, what comes of it can be watched, or is an error in one line.
func FuzzParse(f *testing.F) {
	f.Add([]byte("targets:\n  - name: a\n    match: {comm: b, min-threads: 3}\n    every: 1s\n    arrest: [notify]\n"))
	f.Add([]byte("targets: [{pid: 1}, {pidfile: /x, keep: true}, {unit: u}, {cgroup: /c}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		targets, err := Parse(b, asFlags)
		switch {
		case err != nil && (targets != nil || strings.Contains(err.Error(), "\n")):
			t.Errorf("%q", err)
		case err == nil && len(targets) == 0:
			t.Error("neither targets nor an error")
		case err == nil:
			if err := ValidateAll(targets); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestParseRule(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Rule
		err  string
	}{
		{text: "comm=java,min-threads=500", want: Rule{Comm: "java", MinThreads: 500}},
		{text: "unit=a.service,cgroup=/x,cmdline=*-jar*", want: Rule{Unit: "a.service", Cgroup: "/x", Cmdline: "*-jar*"}},
		{text: "cmdline=a=b", want: Rule{Cmdline: "a=b"}},
		{text: "", err: "is not KEY=VALUE"},
		{text: "java", err: "is not KEY=VALUE"},
		{text: "comm=", err: "is not KEY=VALUE"},
		{text: "user=root", err: `there is no "user" to match`},
		{text: "min-threads=-1", err: "is not a number of threads"},
		{text: "min-threads=0", err: "is not a number of threads"},
		{text: "comm=[", err: "is not a pattern"},
		{text: "cgroup=x", err: "does not begin with a slash"},
		{text: "unit=/x", err: "is not the name of one"},
	} {
		got, err := ParseRule(tc.text)
		if err != nil {
			if tc.err == "" || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%q: %v, want … %s …", tc.text, err, tc.err)
			}
			continue
		}
		if got != tc.want || tc.err != "" {
			t.Errorf("%q: %+v, want %+v %s", tc.text, got, tc.want, tc.err)
		}
	}
}

// A rule reads back what it writes.
func FuzzParseRule(f *testing.F) {
	f.Add("comm=java,min-threads=500")
	f.Add("unit=a.service,cgroup=/x,cmdline=*")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		if again, err := ParseRule(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, %q is %+v, %v", s, r, r, again, err)
		}
	})
}

func TestRuleGroups(t *testing.T) {
	const nginx = "0::/system.slice/nginx.service\n"
	const v1 = "9:name=systemd:/system.slice/nginx.service\n8:pids:/\n"
	const nested = "0::/user.slice/user-0.slice/run-u1.scope/inner\n"
	for _, tc := range []struct {
		rule Rule
		text string
		want bool
	}{
		{Rule{Cgroup: "/system.slice/nginx.service"}, nginx, true},
		{Rule{Cgroup: "/system.slice"}, nginx, true},
		{Rule{Cgroup: "/system.slice/"}, nginx, true},
		{Rule{Cgroup: "/"}, nginx, true},
		{Rule{Cgroup: "/system.slice/nginx"}, nginx, false},
		{Rule{Cgroup: "/nginx.service"}, nginx, false},
		{Rule{Unit: "nginx.service"}, nginx, true},
		{Rule{Unit: "nginx.service"}, v1, true},
		{Rule{Unit: "ginx.service"}, nginx, false},
		{Rule{Unit: "nginx"}, nginx, false},
		{Rule{Unit: "run-u1.scope"}, nested, true},
		{Rule{Unit: "run-u1.scope", Cgroup: "/system.slice"}, nested, false},
		{Rule{Unit: "x"}, "", false},
		{Rule{Unit: "x"}, "no colons\n:\n", false},
	} {
		if got := tc.rule.matchesGroups(tc.text); got != tc.want {
			t.Errorf("%v in %q: %v", tc.rule, tc.text, got)
		}
	}
}
