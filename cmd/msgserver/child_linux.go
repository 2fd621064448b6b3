package main

import "syscall"

// childAttr puts a child process into a group of its own, so that Ctrl-C reaches us first, and lets it end when we do,
// however that happens.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
