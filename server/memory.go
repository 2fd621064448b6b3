package server

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryWithout is the memory that is assumed where the system does not tell.
const memoryWithout = 1 << 30

// availableMemory is how many bytes this process may use: the least of the machine's memory, the limits of its
// control group, and GOMEMLIMIT.
func availableMemory() int {
	memory := int64(math.MaxInt64)
	for _, limit := range []int64{
		readProc("/proc/meminfo").number("MemTotal", 0) << 10,
		groupMemory(),
		debug.SetMemoryLimit(-1),
	} {
		if limit > 0 {
			memory = min(memory, limit)
		}
	}
	if memory == math.MaxInt64 {
		memory = memoryWithout
	}
	return int(min(memory, math.MaxInt))
}

// groupMemory is the lowest limit of this process's control group and those above it (version 2); 0 if there is
// none.
func groupMemory() (limit int64) {
	text, _ := os.ReadFile("/proc/self/cgroup")
	at := "/"
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			at = filepath.Clean("/" + path)
		}
	}
	for {
		text, _ := os.ReadFile(filepath.Join("/sys/fs/cgroup", at, "memory.max"))
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (limit == 0 || n < limit) {
			limit = n
		}
		if at == "/" {
			return limit
		}
		at = filepath.Dir(at)
	}
}
