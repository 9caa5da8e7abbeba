package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"massattach/attacher"
)

// maxConfig is how long a file of targets may be.
const maxConfig = 1 << 20

// file is the YAML of a file of targets:
//
//	targets:
//	  - name: shop
//	    match: {comm: java, min-threads: 500}
//	    arrest: [notify, interrupt]
//	    every: 10s
//	  - unit: nginx.service
//	    keep: true
type file struct {
	Targets []fileTarget `yaml:"targets"`
}

// fileTarget is one of them. What is absent is as the flags say.
type fileTarget struct {
	Name     string         `yaml:"name"`
	PID      int            `yaml:"pid"`
	PIDFile  string         `yaml:"pidfile"`
	Match    Rule           `yaml:"match"`
	Cgroup   string         `yaml:"cgroup"`
	Unit     string         `yaml:"unit"`
	Every    *time.Duration `yaml:"every"`
	Deadline *time.Duration `yaml:"deadline"`
	Arrest   *[]string      `yaml:"arrest"`
	Keep     *bool          `yaml:"keep"`
	Follow   *string        `yaml:"follow"`
}

// Load reads a file of targets. What one of them does not say is as in defaults. An
// error is about the file, and fits in a line.
func Load(path string, defaults Target) ([]Target, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, err
	}
	targets, err := Parse(b, defaults)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return targets, nil
}

// Parse is Load of what the file has. It is strict: a key that does not exist, or is
// there twice, is an error.
func Parse(b []byte, defaults Target) ([]Target, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("it is longer than %d bytes", maxConfig)
	}
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, plainly(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	if len(f.Targets) == 0 {
		return nil, errors.New("it names no target")
	}
	var targets []Target
	for i, ft := range f.Targets {
		t, err := ft.target(defaults)
		if err == nil {
			err = t.validate()
		}
		if err != nil {
			return nil, fmt.Errorf("target %d: %w", i+1, err)
		}
		targets = append(targets, t)
	}
	if err := ValidateAll(targets); err != nil {
		return nil, err
	}
	return targets, nil
}

func (ft fileTarget) target(t Target) (Target, error) {
	t.Name, t.PID, t.PIDFile, t.Rule = ft.Name, ft.PID, ft.PIDFile, ft.Match
	for _, also := range []struct {
		key, value string
		to         *string
	}{{"cgroup", ft.Cgroup, &t.Rule.Cgroup}, {"unit", ft.Unit, &t.Rule.Unit}} {
		switch {
		case also.value == "":
		case *also.to != "":
			return t, fmt.Errorf("%s stands there twice", also.key)
		default:
			*also.to = also.value
		}
	}
	if ft.Every != nil {
		t.Every = *ft.Every
	}
	if ft.Deadline != nil {
		t.Deadline = *ft.Deadline
	}
	if ft.Keep != nil {
		t.Keep = *ft.Keep
	}
	if ft.Follow != nil {
		follow, err := attacher.ParseFollow(*ft.Follow)
		if err != nil {
			return t, fmt.Errorf("follow: %w", err)
		}
		t.Follow = &follow
	}
	if ft.Arrest != nil {
		t.Arrest = nil
		for _, s := range *ft.Arrest {
			style, err := ParseStyle(s)
			if err != nil {
				return t, fmt.Errorf("arrest: %w", err)
			}
			t.Arrest = append(t.Arrest, style)
		}
	}
	return t, nil
}

// goTypes is how the parser names what it decodes into.
var goTypes = regexp.MustCompile(` (in type|into) [^ ;\n]+`)

// plainly says an error of the parser's without its words for Go.
func plainly(err error) error {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	s = strings.TrimPrefix(s, "unmarshal errors:\n")
	s = goTypes.ReplaceAllString(s, "")
	s = strings.ReplaceAll(s, "not found", "does not exist")
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return errors.New(strings.Join(lines, "; "))
}
