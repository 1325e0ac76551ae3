//go:build unix

package main

import "syscall"

// replace makes this process another program. It returns only when it cannot.
func replace(path string, argv, env []string) error { return syscall.Exec(path, argv, env) }
