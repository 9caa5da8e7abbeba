// The values of flags, and what is said when they make no sense: one line that
// names the flag and what it takes, then the usage in one line.

package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"massattach/internal/report"
	"massattach/internal/serve"
	"massattach/procfs"
	"massattach/stopper"
)

// flagError words the parser's errors.
func flagError(cmd *cobra.Command, err error) error {
	if err == pflag.ErrHelp {
		return err
	}
	message := err.Error()
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		message = fmt.Sprintf("--%s: %v", e.GetFlag().Name, errors.Unwrap(e))
	} else if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		message = "there is no flag --" + e.GetSpecifiedName()
		if group := e.GetSpecifiedShortnames(); group != "" {
			message = "there is no flag -" + e.GetSpecifiedName()
			if _, nan := strconv.Atoi(group); nan == nil {
				message = fmt.Sprintf("%q is not a process number", "-"+group)
			}
		}
	} else if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		message = fmt.Sprintf("--%s needs a value", e.GetFlag().Name)
	}
	return &usageError{message, verbUsage(cmd)}
}

// duration is a flag that takes a length of time.
type duration struct {
	time.Duration
	positive bool // and not 0
}

func (d *duration) Type() string { return "duration" }

func (d *duration) String() string {
	if d.Duration == 0 {
		return ""
	}
	return d.Duration.String()
}

func (d *duration) Set(s string) error {
	v, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a duration like 250ms, 5s or 1m", s)
	case v < 0:
		return fmt.Errorf("%q is negative", s)
	case v == 0 && d.positive:
		return errors.New("it has to be more than 0")
	}
	d.Duration = v
	return nil
}

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	among []string
}

func (c *choice) Type() string { return strings.Join(c.among, "|") }

func (c *choice) String() string { return c.value }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.among, s) {
		return fmt.Errorf("%q is not one of %s", s, strings.Join(c.among, ", "))
	}
	c.value = s
	return nil
}

// add adds the flag to cmd, with its completions.
func (c *choice) add(cmd *cobra.Command, name, usage string) {
	cmd.Flags().Var(c, name, usage)
	// It fails only for a flag that doesn't exist or that has completions.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.among, cobra.ShellCompDirectiveNoFileComp))
}

// pids is the processes that a verb is for: arguments, and the values of -p,
// in the order in which they were given.
type pids struct {
	flags *pflag.FlagSet
	named []int // by -p
	after []int // how many arguments stood before each
}

// addPIDs adds -p to cmd, and completes process numbers.
func addPIDs(cmd *cobra.Command) *pids {
	p := &pids{flags: cmd.Flags()}
	cmd.Flags().VarP(p, "pid", "p", "a process, as if it were an argument; may be repeated")
	cmd.ValidArgsFunction = completePIDs
	_ = cmd.RegisterFlagCompletionFunc("pid", completePIDs)
	return p
}

func (p *pids) Type() string { return "PID" }

func (p *pids) String() string { return "" }

func (p *pids) Set(s string) error {
	pid, err := parsePID(s)
	if err != nil {
		return err
	}
	p.named = append(p.named, pid)
	p.after = append(p.after, p.flags.NArg())
	return nil
}

// list is the processes that were named, each once. args are the arguments.
func (p *pids) list(args []string) ([]int, error) {
	var all []int
	named := 0
	for i := range len(args) + 1 {
		for ; named < len(p.named) && p.after[named] <= i; named++ {
			all = append(all, p.named[named])
		}
		if i == len(args) {
			break
		}
		pid, err := parsePID(args[i])
		if err != nil {
			return nil, err
		}
		all = append(all, pid)
	}
	return unique(all), nil
}

func parsePID(s string) (int, error) {
	pid, err := strconv.Atoi(s)
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%q is not a process number", s)
	}
	return pid, nil
}

// unique drops what has been there before.
func unique(all []int) []int {
	seen := make(map[int]bool, len(all))
	return slices.DeleteFunc(all, func(n int) bool {
		was := seen[n]
		seen[n] = true
		return was
	})
}

// completions is how many processes a shell is offered.
const completions = 50

func completePIDs(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	top, err := procfs.FS{}.Top(completions)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var cs []cobra.Completion
	for _, p := range top {
		cs = append(cs, cobra.CompletionWithDesc(strconv.Itoa(p.PID),
			report.Quote(p.Comm)+", "+report.Plural(p.Threads, "thread")))
	}
	return cs, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// tids is a flag that takes numbers of threads, separated by commas.
type tids []int

func (t *tids) Type() string { return "LIST" }

func (t *tids) String() string { return "" }

func (t *tids) Set(s string) error {
	for field := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		tid, err := strconv.Atoi(field)
		if err != nil || tid <= 0 {
			return fmt.Errorf("%q is not a thread number", field)
		}
		*t = append(*t, tid)
	}
	return nil
}

// addSelection adds the flags that pick some of the threads.
func addSelection(cmd *cobra.Command) *procfs.Selection {
	sel := new(procfs.Selection)
	fs := cmd.Flags()
	fs.Var((*tids)(&sel.TIDs), "tid", "only the threads in `LIST`: 4230,4231")
	fs.StringVar(&sel.Comm, "comm", "", "only threads whose name matches `GLOB`")
	fs.StringVar(&sel.State, "state", "", "only threads in state `S`, or one of several: RD")
	fs.StringVar(&sel.Syscall, "syscall", "", "only threads in system call `NAME`; none: in no call")
	return sel
}

// rules is a flag that takes a rule each time.
type rules []serve.Rule

func (r *rules) Type() string { return "RULE" }

func (r *rules) String() string { return "" }

func (r *rules) Set(s string) error {
	rule, err := serve.ParseRule(s)
	if err != nil {
		return err
	}
	*r = append(*r, rule)
	return nil
}

// styles is a flag that takes styles of arrests, separated by commas.
type styles []stopper.Style

func (s *styles) Type() string { return "LIST" }

func (s *styles) String() string { return "" }

func (s *styles) Set(list string) error {
	*s = nil
	for word := range strings.SplitSeq(list, ",") {
		style, err := serve.ParseStyle(word)
		if err != nil {
			return err
		}
		*s = append(*s, style)
	}
	return nil
}
