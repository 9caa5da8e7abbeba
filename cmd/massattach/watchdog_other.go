//go:build !linux

package main

const watchdogName = "massattach-watchdog"

func (t *tool) startWatchdog() (end func()) { return func() {} }

func watchdog() {}
