package main

import "os/exec"

// ownGroup does nothing: labs' commands are for sh.
func ownGroup(*exec.Cmd) {}

// killGroup ends a command.
func killGroup(c *exec.Cmd) {
	if c.Process != nil {
		_ = c.Process.Kill()
	}
}
