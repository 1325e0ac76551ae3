//go:build e2e && bench

package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/go-units"
	"github.com/stretchr/testify/require"
)

// ticksASecond is the unit of CPU times below /proc on every Linux that Go runs on.
const ticksASecond = 100

// A usage is what a process, this one and the whole machine have used at a time.
type usage struct {
	at                 time.Time
	process, own, busy time.Duration // of CPU
}

func usageOf(b *testing.B, pid int) usage {
	u := usage{at: time.Now(), process: cpuOf(b, fmt.Sprintf("/proc/%d/stat", pid))}
	var r syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	u.own = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	data, err := os.ReadFile("/proc/stat")
	require.NoError(b, err)
	line, _, _ := strings.Cut(string(data), "\n")
	for i, f := range strings.Fields(line)[1:] {
		if i != 3 && i != 4 && i < 8 { // not idle, not waiting for a disk; guests are in user
			u.busy += ticks(f)
		}
	}
	return u
}

// cpuOf is the CPU time of a process, in user and kernel.
func cpuOf(b *testing.B, stat string) time.Duration {
	data, err := os.ReadFile(stat)
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(data), ") ") // a name may hold spaces
	f := strings.Fields(rest)
	return ticks(f[11]) + ticks(f[12])
}

func ticks(s string) time.Duration {
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.Duration(n) * time.Second / ticksASecond
}

// since says what was used since, in shares of one CPU.
func (u usage) since(before usage) string {
	share := func(d time.Duration) string {
		return fmt.Sprintf("%.1f %%", 100*d.Seconds()/u.at.Sub(before.at).Seconds())
	}
	return fmt.Sprintf("%s of a CPU (whoever measures %s, the machine %s)", share(u.process-before.process), share(u.own-before.own), share(u.busy-before.busy))
}

// memoryOf is the resident memory of a process, in bytes.
func memoryOf(b *testing.B, pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	require.NoError(b, err)
	return kib * 1024
}

// nodeMemory is the memory of a cluster's only node, in bytes, as `docker stats` has it.
func nodeMemory(b *testing.B, cluster string) float64 {
	out, err := exec.Command("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", cluster+"-control-plane").Output()
	require.NoError(b, err)
	used, _, _ := strings.Cut(string(out), " /")
	n, err := units.RAMInBytes(used)
	require.NoError(b, err)
	return float64(n)
}

func mebibytes(n float64) string { return fmt.Sprintf("%.1f MiB", n/(1<<20)) }

// percentiles are p50, p95, p99 and the longest of several times.
func percentiles(of []time.Duration) string {
	sorted := slices.Sorted(slices.Values(of))
	if len(sorted) == 0 {
		return "none"
	}
	at := func(q float64) string {
		d := sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
		return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("p50 %s, p95 %s, p99 %s, longest %s ms (%d)", at(.5), at(.95), at(.99), at(1), len(sorted))
}

// figures are a table for people to read: nothing passes or fails by them.
type figures struct {
	title string
	rows  [][2]string
}

func (f *figures) add(what, format string, args ...any) {
	f.rows = append(f.rows, [2]string{what, fmt.Sprintf(format, args...)})
}

// print writes the table to stdout, as Markdown.
func (f *figures) print() {
	fmt.Printf("\n| %s | |\n|---|---|\n", f.title)
	for _, r := range f.rows {
		fmt.Printf("| %s | %s |\n", r[0], r[1])
	}
	fmt.Println()
}
