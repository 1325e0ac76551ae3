//go:build !linux

package provision

// diskFree: the engine's disk is inside a VM and cannot be seen from here.
func diskFree(string) int64 { return -1 }

// inotifyLimits: the kernel is inside a VM and cannot be seen from here.
func inotifyLimits() (instances, watches int) { return 0, 0 }
