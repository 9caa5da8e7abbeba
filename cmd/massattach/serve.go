// serve: a daemon. What it says is on standard error, a line when something has
// changed; results are for who asks by HTTP.

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/serve"
	"massattach/procfs"
)

// serveVerb is one run of serve.
type serveVerb struct {
	*tool
	pids      *pids
	matches   rules
	cgroups   []string
	units     []string
	pidfiles  []string
	config    string
	every     duration
	deadline  duration
	arrest    styles
	keep      bool
	follow    choice
	addresses []string
	webConfig string
	socket    bool
	profiling bool
}

// listenOn is the default of --web.listen-address. The ports from 9100 to 9999 are all
// given to other exporters.
const listenOn = "127.0.0.1:19847"

func (t *tool) serveCommand() *cobra.Command {
	v := &serveVerb{
		tool:     t,
		every:    duration{Duration: serve.DefaultEvery, positive: true},
		deadline: duration{Duration: serve.DefaultWithin, positive: true},
		follow:   newFollow(),
	}
	v.follow.value = "" // as the target has it
	cmd := &cobra.Command{
		Use:   "serve [flags] [PID...]",
		Short: "Watch processes, and show Prometheus how long it takes to attach",
		Long: `Watch processes, given by number, by a rule, or in a file; probe each of them from
time to time, and answer Prometheus how long that took. A probe attaches to all
threads, arrests them in each of the styles of --arrest, for no longer than that takes,
and lets go. A process that ends is found again, unless it was given by number.

A rule is KEY=VALUE,…, all of which has to be true: comm=GLOB, cmdline=GLOB,
min-threads=N, cgroup=PATH, unit=NAME. Of several processes that match it is the one
that has lived longest. A file of targets (YAML) has the same for each of them:

  targets:
    - name: shop
      match: {comm: java, min-threads: 500}
      arrest: [notify, interrupt]
      every: 10s
    - unit: nginx.service
    - pidfile: /run/postgresql/main.pid
      keep: true

SIGHUP reads it again; one that is wrong changes nothing. SIGTERM and SIGINT let all
go, and end it. Nothing that can be reached over the network stops or attaches to
anything: it answers /metrics, /api/v1/targets, /api/v1/targets/PID (the last report),
/-/healthy and /-/ready.`,
		Example: `  sudo massattach serve 4211
  sudo massattach serve --match comm=java,min-threads=500 --arrest notify --every 10s
  sudo massattach serve --config targets.yml --web.config.file web.yml
  curl -s localhost:19847/metrics`,
		RunE: v.run,
	}
	v.addTo(cmd)
	return cmd
}

func (v *serveVerb) addTo(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	v.pids = addPIDs(cmd)
	fs.Var(&v.matches, "match", "watch the process that matches `RULE`; may be repeated")
	fs.StringArrayVar(&v.cgroups, "cgroup", nil, "watch one in the control group `PATH`; may be repeated")
	fs.StringArrayVar(&v.units, "unit", nil, "watch one of the systemd unit `NAME`; may be repeated")
	fs.StringArrayVar(&v.pidfiles, "pidfile", nil, "watch the one whose number is in `FILE`; may be repeated")
	fs.StringVar(&v.config, "config", "", "watch the targets in `FILE`, too; what one of them does not say is as the flags say")
	fs.Var(&v.every, "every", "probe so often")
	fs.Var(&v.arrest, "arrest", "arrest the threads in each style of `LIST`: notify,interrupt (default none)")
	fs.BoolVar(&v.keep, "keep", false, "stay attached, and only arrest from time to time")
	fs.Var(&v.deadline, "deadline", "bound a probe; an arrest is given up earlier, after 1s and 100µs a thread")
	v.follow.add(cmd, "follow", "how to hear of new threads while attached (default scan, with --keep event)")
	fs.StringArrayVar(&v.addresses, "web.listen-address", []string{listenOn}, "answer at `ADDRESS`; may be repeated")
	fs.StringVar(&v.webConfig, "web.config.file", "", "`FILE` with TLS and users, as the exporter-toolkit has it")
	fs.BoolVar(&v.socket, "web.systemd-socket", false, "answer at the sockets that systemd has opened")
	fs.BoolVar(&v.profiling, "web.enable-pprof", false, "answer /debug/pprof/, too")
}

func (v *serveVerb) run(cmd *cobra.Command, args []string) error {
	fixed, err := v.fixed(args)
	if err != nil {
		return asUsage(cmd, err)
	}
	// What is wrong with a file no usage explains.
	targets, err := v.targets(fixed)
	if err != nil {
		return &usageError{message: oneLine(err.Error())}
	}
	if err := serve.ValidateWeb(v.webConfig); err != nil {
		return &usageError{message: "--web.config.file: " + oneLine(err.Error())}
	}
	if nobodyLeft(targets) {
		v.notes.problem("serve: no such process: "+titles(targets), "a rule finds a process again: --match comm=NAME")
		return exitCode(exitNoProcess)
	}
	listeners, err := serve.Listen(v.addresses, v.socket)
	if err != nil {
		v.notes.problem("serve: "+oneLine(err.Error()), "")
		return exitCode(exitError)
	}
	if err := v.attend(cmd.Context(), fixed, targets, listeners); err != nil {
		v.notes.problem("serve: "+oneLine(err.Error()), "")
		return exitCode(exitError)
	}
	return nil
}

// attend watches and answers until it is told to end.
func (v *serveVerb) attend(ctx context.Context, fixed, targets []serve.Target, listeners []net.Listener) error {
	signals := make(chan os.Signal, 8)
	if on := heeded(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP); len(on) > 0 { // none would mean all
		signal.Notify(signals, on...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	collect(100) // it stays, and is to be small
	attacher.Hurry()
	v.refuseStops()
	guard := v.startWatchdog()
	defer guard.End()

	d := serve.New(serve.Options{Say: v.notes.say, Bound: guard.Bound, Kernel: v.kernel})
	defer d.Close()
	handler, err := serve.NewHandler(d, version(), v.profiling)
	if err != nil {
		return err
	}
	if err := d.Watch(targets); err != nil {
		return err
	}
	server := &serve.Server{Listeners: listeners, Handler: handler, ConfigFile: v.webConfig, Profiling: v.profiling, Say: v.notes.say}
	answering := make(chan error, 1)
	go func() { answering <- server.Serve(ctx) }()

	var systemd serve.Systemd
	go systemd.Watchdog(ctx, func() { d.Ready() })
	for _, l := range listeners {
		v.notes.say("answering at %s", l.Addr())
	}
	systemd.Ready()
	for {
		select {
		case err := <-answering:
			return err
		case <-ctx.Done():
		case s := <-signals:
			if s == syscall.SIGHUP {
				systemd.Reloading()
				v.reload(d, fixed)
				systemd.Ready()
				continue
			}
			if s == syscall.SIGINT {
				v.notes.clearLine()
			}
			v.notes.say("%v: letting all go", s)
		}
		systemd.Stopping()
		d.Close()
		cancel()
		return <-answering
	}
}

// reload reads the file of targets again. A bad one changes nothing.
func (v *serveVerb) reload(d *serve.Daemon, fixed []serve.Target) {
	if v.config == "" {
		v.notes.say("SIGHUP: there is no --config to read again")
		return
	}
	targets, err := v.targets(fixed)
	if err == nil {
		err = d.Watch(targets)
	}
	if err != nil {
		v.notes.problem("reload: "+oneLine(err.Error()), "nothing has changed")
		return
	}
	v.notes.say("%s was read again: %d targets", v.config, len(targets))
}

// defaults is a target as the flags have it, without a way to find it.
func (v *serveVerb) defaults() (serve.Target, error) {
	t := serve.Target{
		Every: v.every.Duration, Deadline: v.deadline.Duration,
		Arrest: v.arrest, Keep: v.keep,
	}
	if v.follow.value == "" {
		return t, nil
	}
	follow, err := attacher.ParseFollow(v.follow.value)
	t.Follow = &follow
	return t, err
}

// fixed are the targets that the flags name.
func (v *serveVerb) fixed(args []string) ([]serve.Target, error) {
	pids, err := v.pids.list(args)
	if err != nil {
		return nil, err
	}
	for i, pid := range pids {
		pids[i] = v.resolve(pid)
	}
	t, err := v.defaults()
	if err != nil {
		return nil, err
	}
	var all []serve.Target
	for _, pid := range unique(pids) {
		one := t
		one.PID = pid
		all = append(all, one)
	}
	for _, path := range v.pidfiles {
		one := t
		one.PIDFile = path
		all = append(all, one)
	}
	rules := slices.Clone(v.matches)
	for _, path := range v.cgroups {
		rules = append(rules, serve.Rule{Cgroup: path})
	}
	for _, name := range v.units {
		rules = append(rules, serve.Rule{Unit: name})
	}
	for _, r := range rules {
		one := t
		one.Rule = r
		all = append(all, one)
	}
	if len(all) == 0 && v.config == "" {
		return nil, errors.New("serve needs somebody to watch: a process number, --match, --cgroup, --unit, --pidfile or --config")
	}
	return all, serve.ValidateAll(all)
}

// targets are those, and the ones in the file.
func (v *serveVerb) targets(fixed []serve.Target) ([]serve.Target, error) {
	if v.config == "" {
		return fixed, nil
	}
	t, err := v.defaults()
	if err != nil {
		return nil, err
	}
	inFile, err := serve.Load(v.config, t)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(fixed, inFile)
	return all, serve.ValidateAll(all)
}

// nobodyLeft says that all targets are processes by number, and have ended.
func nobodyLeft(targets []serve.Target) bool {
	for _, t := range targets {
		if t.PID == 0 {
			return false
		}
		if p, err := (procfs.FS{}).Open(t.PID); err == nil {
			p.Close()
			return false
		}
	}
	return true
}

func titles(targets []serve.Target) string {
	var all []string
	for _, t := range targets {
		all = append(all, t.Title())
	}
	return strings.Join(all, ", ")
}
