//go:build !linux

package main

const watchdogName = "massattach-watchdog"

func (t *tool) startWatchdog() *watch { return &watch{end: func() {}} }

func watchdog() {}
