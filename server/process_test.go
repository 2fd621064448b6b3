package server_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/storage"
)

// stats is what /stats says about more than server and store.
type stats struct {
	Server, Store map[string]any
	Process       struct {
		PID, RSSBytes, WrittenBytes, ReadBytes, Goroutines, HeapBytes, FDs *int64
		CPUSeconds, UptimeSeconds                                          *float64
	}
	Machine struct {
		OS, Kernel, CPU, Go                                 *string
		Cores, MemoryMB, SlabBytes, TCPSockets, TCPMemBytes *int64
	}
	About map[string]string
}

func statsOf(t *testing.T, n *node) stats {
	t.Helper()
	status, body := fetch(t, n, "/stats")
	if status != 200 {
		t.Fatalf("/stats: %d %s", status, body)
	}
	var s stats
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	p, m := s.Process, s.Machine
	for _, number := range []*int64{
		p.PID, p.RSSBytes, p.WrittenBytes, p.ReadBytes, p.Goroutines, p.HeapBytes, p.FDs,
		m.Cores, m.MemoryMB, m.SlabBytes, m.TCPSockets, m.TCPMemBytes,
	} {
		if number == nil || *number < 0 {
			t.Fatalf("a number is missing or negative in %s", body)
		}
	}
	if p.CPUSeconds == nil || p.UptimeSeconds == nil || m.OS == nil || m.Go == nil {
		t.Fatalf("something is missing in %s", body)
	}
	return s
}

// TestStatsSayWhatTheProcessTakes: each number follows what it counts.
func TestStatsSayWhatTheProcessTakes(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	began, before := time.Now(), statsOf(t, n).Process

	const size = 64 << 20
	ballast := make([]byte, size)
	for i := range ballast {
		ballast[i] = byte(i)
	}
	sum := sha256.Sum256(ballast)
	alice := n.bind(t, codec.JSON, 1)
	for user := range 20 {
		n.bind(t, codec.JSON, 2+user)
	}
	for i := range 10 {
		alice.want("message", say(100, repeated("x", 10_000), fmt.Sprint(i)))
	}
	after, wall := statsOf(t, n).Process, time.Since(began).Seconds()
	runtime.KeepAlive(ballast)

	if *after.PID != int64(os.Getpid()) {
		t.Errorf("pid %d", *after.PID)
	}
	// No core hashes 10 GiB/s, and none gives more than a second in a second.
	if used := *after.CPUSeconds - *before.CPUSeconds; used < size/10e9 || used > wall*float64(runtime.NumCPU())+0.1 {
		t.Errorf("hashing to %x took %v s of cpu in %v s", sum[:2], used, wall)
	}
	if up := *after.UptimeSeconds - *before.UptimeSeconds; *before.UptimeSeconds <= 0 || up <= 0 || up > wall {
		t.Errorf("up %v s, then %v s, in %v s", *before.UptimeSeconds, *after.UptimeSeconds, wall)
	}
	if *after.HeapBytes < size || *after.HeapBytes > 100*size {
		t.Errorf("heap of %d bytes with %d in use", *after.HeapBytes, size)
	}
	if *after.Goroutines < 5 || *after.Goroutines > 10_000 {
		t.Errorf("%d goroutines", *after.Goroutines)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if *before.RSSBytes < 1<<20 || *after.RSSBytes < size || *after.RSSBytes > 100*size {
		t.Errorf("resident %d, then %d bytes with %d in use", *before.RSSBytes, *after.RSSBytes, size)
	}
	if *before.FDs > 0 && (*after.FDs < *before.FDs+30 || *after.FDs > *before.FDs+100) { // both ends of 21 connections are here
		t.Errorf("%d descriptors, then %d later", *before.FDs, *after.FDs)
	}
	written := *after.WrittenBytes - *before.WrittenBytes
	switch n.store.(*storage.DB).FileSystem() {
	case "ext4", "xfs", "btrfs":
		if written < 100_000 || written > 1<<30 {
			t.Errorf("%d bytes written for 100,000 of content", written)
		}
	case "tmpfs", "ramfs":
		if written > 1<<20 { // another test's temporary files
			t.Errorf("%d bytes written to memory", written)
		}
	}
}

func TestStatsSayWhereItRuns(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	for user := range 20 {
		n.bind(t, codec.JSON, 1+user)
	}
	m := statsOf(t, n).Machine
	if *m.OS != runtime.GOOS || *m.Go != runtime.Version() || *m.Cores != int64(runtime.NumCPU()) {
		t.Errorf("os %s, go %s, %d cores", *m.OS, *m.Go, *m.Cores)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if m.Kernel == nil || !strings.Contains(*m.Kernel, ".") || strings.TrimSpace(*m.Kernel) != *m.Kernel {
		t.Errorf("kernel %v", m.Kernel)
	}
	if runtime.GOARCH == "amd64" && (m.CPU == nil || *m.CPU == "") {
		t.Error("no cpu")
	}
	memory := *m.MemoryMB << 20
	if *m.MemoryMB < 64 || *m.MemoryMB > 1<<26 || *m.SlabBytes < 1<<20 || *m.SlabBytes > memory || *m.TCPMemBytes > memory {
		t.Errorf("%d MiB of memory, %d bytes of slab, %d of tcp", *m.MemoryMB, *m.SlabBytes, *m.TCPMemBytes)
	}
	// Both ends of 20 connections and two listeners, and whatever else runs here.
	if *m.TCPSockets < 42 || *m.TCPSockets > 1<<26 {
		t.Errorf("%d sockets", *m.TCPSockets)
	}
}

func TestStatsSayWhatRuns(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	n := start(t, server.Config{
		Admin: "127.0.0.1:0", StoreStats: func() any { return map[string]any{"commits": 7} },
		About: server.About{Version: "v1", Durability: "synced", FileSystem: "ext4"},
	})
	s := statsOf(t, n)
	want := map[string]string{"version": "v1", "durability": "synced", "fileSystem": "ext4"}
	if d := cmp.Diff(want, s.About); d != "" {
		t.Errorf("about: %s", d)
	}
	if s.Store["commits"] != 7.0 || s.Server["conns"] != 0.0 {
		t.Errorf("server %v, store %v", s.Server, s.Store)
	}
}
