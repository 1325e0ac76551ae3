package provision

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// diskFree is the free space in bytes where path is; -1 when it cannot be told.
func diskFree(path string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * s.Bsize
}

// inotifyLimits are the kernel's limits for one user; 0 when they cannot be read.
func inotifyLimits() (instances, watches int) {
	read := func(name string) int {
		data, err := os.ReadFile("/proc/sys/fs/inotify/" + name)
		if err != nil {
			return 0
		}
		n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
		return n
	}
	return read("max_user_instances"), read("max_user_watches")
}
