//go:build !linux

package main

import "syscall"

// childAttr puts a child process into a group of its own, so that Ctrl-C reaches us first.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
