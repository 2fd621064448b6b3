package main

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// readyLine starts a server and gives what its log says when it is ready.
func readyLine(t *testing.T, args ...string) (*exec.Cmd, map[string]any) {
	t.Helper()
	cmd := command(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--min-free", "1"}, args...)...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		line := map[string]any{}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("the log has %q: %v", lines.Text(), err)
		}
		if line["msg"] == "ready" {
			return cmd, line
		}
	}
	t.Fatalf("the server never is ready: %v", lines.Err())
	return nil, nil
}

func stopped(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestTheReadyLineSaysWhereItListens: so finds a server on port 0 who started it.
func TestTheReadyLineSaysWhereItListens(t *testing.T) {
	cmd, ready := readyLine(t, "--data", t.TempDir(), "--admin", "")
	if admin, has := ready["admin"]; !has || admin != "" {
		t.Errorf("without admin endpoints: %v", ready)
	}
	listen, _ := ready["listen"].(string)
	c, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatalf("%v: %v", ready, err)
	}
	c.Close()
	stopped(t, cmd)
}

func TestStatsOfTheRunningServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "some-place")
	cmd, ready := readyLine(t, "--data", data, "--admin", "127.0.0.1:0")
	admin, _ := ready["admin"].(string)
	r, err := http.Get("http://" + admin + "/stats")
	if err != nil {
		t.Fatalf("%v: %v", ready, err)
	}
	defer r.Body.Close()
	var text json.RawMessage
	var stats struct {
		Process struct{ PID int }
		Store   map[string]any
		About   map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &stats); err != nil {
		t.Fatal(err)
	}
	about := stats.About
	if about["version"] == "" || !strings.Contains(about["durability"], "fdatasync") {
		t.Errorf("about: %v", about)
	}
	if fs := about["fileSystem"]; runtime.GOOS == "linux" && (fs == "" || strings.Contains(fs, "/")) {
		t.Errorf("the data is on %q", fs)
	}
	if stats.Process.PID != cmd.Process.Pid || stats.Store["commits"] == nil {
		t.Errorf("process %+v, store %v", stats.Process, stats.Store)
	}
	if strings.Contains(string(text), "some-place") {
		t.Errorf("it tells where the data is: %s", text)
	}
	stopped(t, cmd)
}
