package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSec is what the kernel counts processor time in.
const ticksPerSec = 100

// serverTicks is the processor time, in ticks, that a server's processes have used, those that have ended
// among them.
func serverTicks(postmaster int) (ticks int64) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		pid, parent := filepath.Base(filepath.Dir(path)), strconv.Itoa(postmaster)
		if len(fields) < 15 || pid != parent && fields[1] != parent {
			continue
		}
		counted := fields[11:13]
		if pid == parent {
			counted = fields[11:15] // with its children that have ended
		}
		for _, field := range counted {
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks += n
		}
	}
	return ticks
}

// ourSeconds is the processor time that this process has used.
func ourSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}
