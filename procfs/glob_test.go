package procfs

import (
	"path"
	"strings"
	"testing"
)

func TestMatchGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "kworker/0:1", true}, {"**", "a", true},
		{"kworker*", "kworker/0:1-events", true}, {"kworker?0*", "kworker/0:1", true},
		{"kworker[/]0*", "kworker/0:1", true}, {"kworker[.-0]0*", "kworker/0:1", true},
		{"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"?", "", false}, {"?", "\xff", true}, {"??", "\xff\xfe", true},
		{"?", "\n", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "axxbyy", false}, {"*b", "aab", true}, {"*ab", "aab", true},
		{"[^a]", "b", true}, {"[^a]", "a", false}, {"[a-c]x", "bx", true}, {`\*`, "*", true}, {`\*`, "a", false},
		{`[\]]`, "]", true}, {`[\-]`, "-", true}, {"é*", "été", true}, {"é*", "ete", false}, {"?t?", "été", true}, {"(sd-pam)", "(sd-pam)", true},
		{"0\xff*", "0\xdd", false}, {"\xff", "\xff", true}, {"*\xff", "é\xff", true},
		{"pool-*-thread-*", "pool-12-thread-", true},
	} {
		if err := validGlob(c.pattern); err != nil {
			t.Errorf("%q: %v", c.pattern, err)
		}
		if got := matchGlob(c.pattern, c.name); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.name, got)
		}
	}
	for _, pattern := range []string{"[", "[a", "a[", "[]", "[^]", "[a-]", "[-a]", `\`, `a*\`, "*[a"} {
		if validGlob(pattern) == nil {
			t.Errorf("%q is taken for a pattern", pattern)
		}
	}
}

// Where no slash is about it is path.Match.
func FuzzMatchGlob(f *testing.F) {
	for _, s := range [][2]string{{"a*b", "aab"}, {"[a-c]?\\*", "b-*"}, {"*[^x]*", "xxy"}, {"é?", "é\xff"}, {"[\xff]", "\xff"}, {"[a-\xff]*a", "ba"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if validGlob(pattern) != nil {
			return
		}
		got := matchGlob(pattern, name)
		if strings.Contains(name, "/") {
			return
		}
		if want, err := path.Match(pattern, name); err == nil && got != want {
			t.Errorf("%q on %q: %v, path.Match %v", pattern, name, got, want)
		}
	})
}
