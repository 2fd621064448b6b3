package server

import (
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is what this process takes, at one moment. A number that the system does not tell is 0: those of
// /proc are Linux's.
type process struct {
	PID           int     `json:"pid"`
	CPUSeconds    float64 `json:"cpuSeconds"` // user and system, since the start
	RSSBytes      int64   `json:"rssBytes"`
	WrittenBytes  int64   `json:"writtenBytes"` // caused to be written to storage; whole folios, so more where those are large
	ReadBytes     int64   `json:"readBytes"`    // caused to be read from storage
	Goroutines    int     `json:"goroutines"`
	HeapBytes     uint64  `json:"heapBytes"` // objects, live or not collected yet
	FDs           int64   `json:"fds"`       // open now; Linux tells since 6.2
	UptimeSeconds float64 `json:"uptimeSeconds"`
}

// started is when this process began, but for the start of Go's runtime.
var started = time.Now()

func readProcess() process {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // it has no way to fail
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	storage := readProc("/proc/self/io")
	p := process{
		PID: os.Getpid(), CPUSeconds: time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds(), RSSBytes: rss(),
		WrittenBytes: storage.number("write_bytes", 0), ReadBytes: storage.number("read_bytes", 0),
		Goroutines: runtime.NumGoroutine(), HeapBytes: heap[0].Value.Uint64(), UptimeSeconds: time.Since(started).Seconds(),
	}
	if fds, err := os.Stat("/proc/self/fd"); err == nil { // counting its entries would take long with many connections
		p.FDs = fds.Size()
	}
	return p
}

// rss is the second number of statm, in pages.
func rss() int64 {
	statm, _ := os.ReadFile("/proc/self/statm")
	return procLine(strings.Fields(string(statm))).number(1) * int64(os.Getpagesize())
}

// machine is where the process runs, and what the kernel takes there for all processes at one moment.
type machine struct {
	OS       string `json:"os"`
	Kernel   string `json:"kernel,omitempty"`
	CPU      string `json:"cpu,omitempty"` // the model
	Cores    int    `json:"cores"`         // that this process may use
	MemoryMB int64  `json:"memoryMB"`      // MiB
	Go       string `json:"go"`

	SlabBytes   int64 `json:"slabBytes"`
	TCPSockets  int64 `json:"tcpSockets"`  // in use, IPv4 and IPv6, of this network namespace
	TCPMemBytes int64 `json:"tcpMemBytes"` // of their buffers, of the whole kernel
}

// hardware is what does not change while the process runs; cpuinfo is long and slow where there are many cores.
var hardware = sync.OnceValue(func() machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return machine{
		OS: runtime.GOOS, Kernel: strings.TrimSpace(string(kernel)), CPU: strings.Join(readProc("/proc/cpuinfo")["model name"], " "),
		Cores: runtime.NumCPU(), MemoryMB: readProc("/proc/meminfo").number("MemTotal", 0) >> 10, Go: runtime.Version(),
	}
})

func readMachine() machine {
	m := hardware()
	m.SlabBytes = readProc("/proc/meminfo").number("Slab", 0) << 10
	four, six := readProc("/proc/net/sockstat")["TCP"], readProc("/proc/net/sockstat6")["TCP6"]
	m.TCPSockets = four.after("inuse") + six.after("inuse")
	m.TCPMemBytes = four.after("mem") * int64(os.Getpagesize()) // of both
	return m
}

// proc is a file of /proc whose lines are "name: fields".
type proc map[string]procLine

// procLine are the fields of a line.
type procLine []string

// readProc gives an empty proc where there is no such file. Of lines with the same name it keeps the first.
func readProc(path string) proc {
	text, _ := os.ReadFile(path)
	p := proc{}
	for line := range strings.Lines(string(text)) {
		name, fields, _ := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); p[name] == nil {
			p[name] = strings.Fields(fields)
		}
	}
	return p
}

func (p proc) number(name string, at int) int64 { return p[name].number(at) }

// number is 0 where there is none.
func (l procLine) number(at int) int64 {
	if at >= len(l) {
		return 0
	}
	n, _ := strconv.ParseInt(l[at], 10, 64)
	return n
}

// after is the number behind a word.
func (l procLine) after(word string) int64 {
	if at := slices.Index(l, word); at >= 0 {
		return l.number(at + 1)
	}
	return 0
}
