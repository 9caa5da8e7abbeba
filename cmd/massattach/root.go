// The command as such: its verbs, its help, its version.
//
// Results go to standard output, everything else to standard error: as
// "massattach: …", and a second line "hint: …" where there is something to do.
// Help that was asked for is a result.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/affinity"
)

// tool is one run of the command: what its verbs share.
type tool struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	notes  *notes
	atEnd  []func() // called last, when all is said

	// catchStops catches the signals again that refuseStops has come to ignore.
	// Before a program is started, which inherits what is ignored.
	catchStops func()

	cpus    string          // that it may run on, see package affinity
	release func()          // of confine; nil for none
	kernel  attacher.Kernel // nil for the real one
	program string          // that the watchdog is; "" for this one
}

// run runs the command and answers its exit code. It returns when nothing of
// it is left behind in anybody.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// At once: soon the runtime has spread over the CPUs.
	t := &tool{stdin: stdin, stdout: stdout, stderr: stderr, cpus: affinity.Get(), release: confine()}
	defer t.spread()
	return t.run(ctx, args)
}

func (t *tool) run(ctx context.Context, args []string) int {
	survivePipes()
	defer func() {
		for _, f := range t.atEnd {
			f()
		}
	}()
	t.notes = newNotes(t.stderr)
	defer t.notes.close()
	root := t.root()
	root.SetArgs(args)
	return t.exit(root.ExecuteContext(ctx))
}

const examples = `  massattach demo                         what attaching does, and what stopping does
  massattach threads                      the processes with the most threads
  massattach threads 4211                 what the threads of 4211 are doing
  sudo massattach examine 4211            where they stand, without stopping one
  massattach doctor 4211                  whether attaching to it would work
  sudo massattach attach 4211             attach to all of them until Ctrl-C
  sudo massattach attach --for 5s --format json $(pidof server)
  sudo massattach watch 4211              print births, exits, signals … as they come
  sudo massattach stop --for 100ms 4211   stop them all for so long
  sudo massattach serve 4211              measure all that from time to time, for Prometheus`

const exitCodes = `  0  complete                             3  partial: not every thread, or process
  1  error                                4  no such process
  2  wrong usage                          5  not permitted: nobody could be attached`

func (t *tool) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "massattach",
		Short: "Attach to every thread of a process, without stopping one of them",
		Long: `massattach attaches (by ptrace) to every thread of a live process, be they ten or
a hundred thousand, without stopping or waking a single one, and lets go of them
again without a trace.`,
		Example: examples,
		Version: version(),
		// No Args: anything that is no verb ends here.
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			cmd.SetOut(t.stderr)
			if err := cmd.Help(); err != nil {
				return err
			}
			return exitCode(exitUsage)
		},
	}
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if cmd.Annotations[confined] == "" {
			t.spread()
		}
	}
	root.SetIn(t.stdin)
	root.SetOut(t.stdout)
	root.SetErr(t.stderr)
	root.SetFlagErrorFunc(flagError)
	root.Flags().Bool("version", false, "print the version")
	root.SetUsageTemplate(usageTemplate)
	root.SetVersionTemplate("massattach {{.Version}}\n")
	root.AddCommand(t.attachCommand(), t.benchCommand(), t.demoCommand(), t.doctorCommand(), t.examineCommand(), t.serveCommand(), t.stopCommand(), t.threadsCommand(), t.watchCommand())
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Name() == "completion" {
			cmd.Short = "Print a completion script for a shell"
		}
		cmd.Flags().BoolP("help", "h", false, "show this help")
	}
	return root
}

const usageTemplate = `Usage: {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND [flags]{{else}}{{.UseLine}}{{end}}
{{- if .HasAvailableSubCommands}}

Commands:
{{- range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name 10}}  {{.Short}}{{end}}{{end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if not .HasParent}}

Exit codes:
` + exitCodes + `

"massattach COMMAND --help" says more about a command.
{{- end}}
`

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		Short:                 "Say more about a command",
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := cmd.Root().Find(args)
			if err != nil || len(args) > 0 && about == cmd.Root() {
				return unknownVerb(cmd.Root(), args[0])
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}

func unknownVerb(root *cobra.Command, word string) error {
	hint := "massattach --help lists the commands"
	if root.SuggestionsMinimumDistance <= 0 {
		root.SuggestionsMinimumDistance = 2
	}
	if _, err := strconv.Atoi(word); err == nil {
		hint = "massattach attach " + word
	} else if near := root.SuggestionsFor(word); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? " + hint
	}
	return &usageError{fmt.Sprintf("there is no command %q", word), hint}
}

// version is the module's version and the commit that it was built from, as
// far as the build knows.
func version() string {
	v, commit, dirty := "devel", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if built := strings.Trim(info.Main.Version, "()"); built != "" {
			v = built
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value[:min(len(s.Value), 12)] + ", "
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "modified, "
			}
		}
	}
	return fmt.Sprintf("%s (%s%s%s, %s/%s)", v, commit, dirty, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// verbUsage is the hint for who used a verb in a wrong way.
func verbUsage(cmd *cobra.Command) string {
	return "usage: " + cmd.UseLine() + " (more with --help)"
}

// asUsage makes a usage error of what the parser complains about.
func asUsage(cmd *cobra.Command, err error) error {
	if _, ok := errors.AsType[*usageError](err); ok {
		return err
	}
	hint := "massattach --help"
	if cmd != nil {
		hint = verbUsage(cmd)
	}
	return &usageError{err.Error(), hint}
}
