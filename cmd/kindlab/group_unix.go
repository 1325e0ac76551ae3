//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command the head of a process group, so that what it starts ends with it.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { killGroup(c); return nil }
}

// killGroup ends a command and what it started.
func killGroup(c *exec.Cmd) {
	if c.Process != nil {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	}
}
