package bench

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msgserver/msgserver/bench/result"
)

// This file holds what the generator knows of itself and its machine.

// processCPU is the processor time that this process has used.
func processCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// maxDescriptors is how many files and connections this process may have open.
func maxDescriptors() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return math.MaxInt
	}
	return int(min(l.Cur, math.MaxInt32))
}

// residentBytes is the memory of this process.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// lateBind lets the kernel choose the port of a source address when the destination is known, so that each address
// has all its ports for each server.
func lateBind(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // only a matter of capacity
	})
}

// thisMachine describes the machine.
func thisMachine() result.Machine {
	m := result.Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = string(bytes.TrimRight(u.Release[:], "\x00"))
	}
	m.CPU = procField("/proc/cpuinfo", "model name")
	kb, _ := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	m.MemoryMB = kb / 1024
	return m
}

// procField is the value of the first line of a file that begins with a name.
func procField(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func takeFootprint() footprint {
	kb, _ := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "Slab"), " kB"), 10, 64)
	f := footprint{resident: residentBytes(), slab: kb << 10}
	if fields := strings.Fields(procField("/proc/net/sockstat", "TCP")); len(fields) > 1 { // inuse N …
		f.sockets, _ = strconv.ParseInt(fields[1], 10, 64)
	}
	return f
}
