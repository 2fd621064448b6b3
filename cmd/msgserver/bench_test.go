package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// brief makes a run of a scenario as short as a test can bear.
func brief(s *serving, scenario string, more ...string) []string {
	return append([]string{"bench", "run", scenario, "--addr", s.addr, "--admin", s.admin, "--users", "10", "--rate", "200",
		"--ramp", "50ms", "--warmup", "100ms", "--duration", "400ms"}, more...)
}

func TestBenchRunAndCompare(t *testing.T) {
	s := serve(t, t.TempDir())
	dirs := t.TempDir()
	a, b, other := filepath.Join(dirs, "a"), filepath.Join(dirs, "b"), filepath.Join(dirs, "other")

	out := ok(t, brief(s, "direct", "--trials", "4", "--out", a, "--slo", "ack.p99<10s,loss==0")...)
	for _, want := range []string{"direct: ok", "open loop, 200/s", "trial 4", "0 lost", "loss==0 met", "report.html", "fdatasync"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, file := range []string{"result.json", "series.csv", "4-ack.hgrm", "report.html"} {
		if info, err := os.Stat(filepath.Join(a, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	var parsed result.Result
	if err := json.Unmarshal([]byte(ok(t, brief(s, "direct", "--trials", "4", "--out", b, "-o", "json")...)), &parsed); err != nil {
		t.Fatal(err)
	}
	if len(parsed.Trials) != 4 || parsed.Trials[0].Check.Acked == 0 || parsed.Trials[0].Cost.Commits == 0 || parsed.Trials[0].Server.FileSystem == "" {
		t.Errorf("the JSON says %+v", parsed.Trials)
	}
	if csv := ok(t, brief(s, "group", "--members", "10", "-o", "csv", "--out", other)...); !strings.HasPrefix(csv, "scenario,loop,") || !strings.Contains(csv, "\ngroup,open,200,0,1,ok,deliver,") {
		t.Errorf("the CSV says\n%s", csv)
	}

	page := filepath.Join(dirs, "both.html")
	if out := ok(t, "bench", "compare", a, b, "--report", page); !strings.Contains(out, "ack p99 (ms)") || !strings.Contains(out, "4 trials") {
		t.Errorf("compare says\n%s", out)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("<svg")) {
		t.Errorf("the page of the comparison has no chart: %v", err)
	}
	if _, errOut, code := run(t, "bench", "compare", a, other); code != exitUsage || !strings.Contains(errOut, "different scenarios") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	worsen(t, b)
	if _, errOut, code := run(t, "bench", "compare", a, b, "--max-regress", "5%"); code != exitBroken || !strings.Contains(errOut, "ack p50") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if err := os.Remove(filepath.Join(a, "report.html")); err != nil {
		t.Fatal(err)
	}
	if out := ok(t, "bench", "report", a); !strings.Contains(out, "trial 4") {
		t.Errorf("report says\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(a, "report.html")); err != nil {
		t.Error(err)
	}
}

// worsen makes the acknowledgements of a kept result take ten seconds longer.
func worsen(t *testing.T, dir string) {
	t.Helper()
	r, err := result.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Trials {
		slow := result.NewHistogram()
		slow.Record(10*time.Second + time.Duration(i)*time.Second)
		r.Trials[i].Latency[result.Ack] = slow
	}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
}

func TestBenchExitCodes(t *testing.T) {
	s := serve(t, t.TempDir())
	mix := filepath.Join(t.TempDir(), "mix.json")
	if err := os.WriteFile(mix, []byte(`{"direct": 1, "fly": 2}`), 0o666); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept")
	if _, errOut, code := run(t, brief(s, "direct", "--out", kept)...); code != 0 || !strings.Contains(errOut, "This leaves about 100 messages") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if out := ok(t, brief(s, "direct", "--out", kept, "--force")...); !strings.Contains(out, "left       100 messages on the server") {
		t.Errorf("it says\n%s", out)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no scenario", []string{"bench", "run"}, exitUsage, "connect-storm, idle, direct"},
		{"an unknown scenario", brief(s, "dirct"), exitUsage, `no scenario "dirct"`},
		{"open and closed", brief(s, "direct", "--window", "3"), exitUsage, "give one of them"},
		{"an SLO that is none", brief(s, "direct", "--slo", "speed<3"), exitUsage, "ack.p99"},
		{"weights of what does not exist", brief(s, "mixed", "--mix", mix), exitUsage, `"fly"`},
		{"a format that is none", brief(s, "direct", "-o", "xml"), exitUsage, "text, json or csv"},
		{"no server", []string{"bench", "run", "direct", "--addr", "127.0.0.1:1", "--duration", "1s"}, exitUnreachable, "serve"},
		{"no admin address there", []string{"bench", "run", "direct", "--addr", s.addr, "--admin", "127.0.0.1:1"}, exitUnreachable, "with --admin"},
		{"no worker", brief(s, "direct", "--workers", "127.0.0.1:1"), exitUnreachable, "with --workers"},
		{"a web server", []string{"bench", "run", "direct", "--addr", s.admin}, exitUnreachable, "does not speak the protocol"},
		{"a rate of 0", []string{"bench", "run", "direct", "--addr", s.addr, "--rate", "0"}, exitUsage, "--rate 0: it is above 0 and at most 10000000"},
		{"a rate of 1e30", []string{"bench", "run", "direct", "--addr", s.addr, "--rate", "1e30"}, exitUsage, "at most 10000000"},
		{"stages that are none", []string{"bench", "run", "direct", "--addr", s.addr, "--stages", "1m"}, exitUsage, "1m:1000,5m:5000"},
		{"stages and a duration", brief(s, "direct", "--stages", "1s:5"), exitUsage, "--stages say how long"},
		{"arrivals that are none", brief(s, "direct", "--arrivals", "late"), exitUsage, "neither constant nor poisson"},
		{"no users", []string{"bench", "run", "direct", "--addr", s.addr, "--users", "0"}, exitUsage, "--users 0: it is at least 2"},
		{"more connections than descriptors", []string{"bench", "run", "idle", "--addr", s.addr, "--users", "1000000"}, exitUsage, "ulimit -n"},
		{"results that would be replaced", brief(s, "direct", "--out", kept), exitUsage, "--force"},
		{"a worker for everybody", []string{"bench", "worker", "--listen", "0.0.0.0:0"}, exitUsage, "--allow-insecure and a --token-file"},
		{"a worker for everybody without a token", []string{"bench", "worker", "--listen", "0.0.0.0:0", "--allow-insecure"}, exitUsage, "--token-file"},
		{"a broken SLO", brief(s, "direct", "--slo", "ack.p50<1us"), exitBroken, "objective"},
		{"nothing kept", []string{"bench", "report", filepath.Dir(mix)}, exitUsage, "holds no result"},
		{"a capacity that no rate has", []string{"bench", "capacity", "direct", "--addr", s.addr, "--users", "4", "--rate", "20", "--warmup", "0s",
			"--duration", "100ms", "--ramp", "10ms", "--slo", "ack.p50<1us"}, exitBroken, "no rate"},
		{"capacity of what has no rate", []string{"bench", "capacity", "idle", "--addr", s.addr}, exitUsage, "rate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, errOut, code := run(t, tt.args...)
			if code != tt.code || !strings.Contains(errOut, tt.says) {
				t.Errorf("exit %d, want %d and %q:\n%s", code, tt.code, tt.says, errOut)
			}
		})
	}
}

func TestBenchCapacity(t *testing.T) {
	s := serve(t, t.TempDir())
	dir := filepath.Join(t.TempDir(), "found")
	args := []string{"bench", "capacity", "direct", "--addr", s.addr, "--users", "10", "--rate", "100", "--max-rate", "200", "--warmup", "100ms",
		"--duration", "500ms", "--ramp", "10ms", "--slo", "ack.p99<10s", "--out", dir}
	out := ok(t, args...)
	html, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || !bytes.Contains(html, []byte("<svg")) || !bytes.Contains(html, []byte("200/s")) {
		t.Errorf("the attempts are not drawn: %v", err)
	}
	var found struct{ Rate float64 }
	if b, err := os.ReadFile(filepath.Join(dir, "capacity.json")); err != nil || json.Unmarshal(b, &found) != nil || found.Rate != 200 {
		t.Errorf("capacity.json says %+v, %v", found, err)
	}
	if _, errOut, code := run(t, args...); code != exitUsage || !strings.Contains(errOut, "--force") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if !strings.Contains(out, "direct: 200/s") || strings.Count(out, "passed") != 2 {
		t.Errorf("capacity says\n%s", out)
	}
}

// TestBenchInterrupted: Ctrl-C keeps what there is.
func TestBenchInterrupted(t *testing.T) {
	s := serve(t, t.TempDir())
	dir := filepath.Join(t.TempDir(), "out")
	cmd := command(t, brief(s, "direct", "--duration", "50s", "--warmup", "0s", "--out", dir)...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); messages(t, s) < 100; {
		if time.Now().After(deadline) {
			t.Fatal("no load")
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("%v\n%s", err, out.String())
	}
	r, err := result.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if trial := r.Trials[0]; !trial.Interrupted || trial.Check.Acked < 100 || !trial.Check.OK() || trial.Seconds > 40 {
		t.Errorf("kept: %+v", trial.Check)
	}
}

// messages is how many messages a server has acknowledged.
func messages(t *testing.T, s *serving) int64 {
	t.Helper()
	res, err := http.Get("http://" + s.admin + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var stats struct{ Server struct{ Messages int64 } }
	if err := json.NewDecoder(res.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	return stats.Server.Messages
}

func TestBenchWorkers(t *testing.T) {
	s := serve(t, t.TempDir())
	one, two := worker(t, s), worker(t, s)
	out := ok(t, brief(s, "direct", "--workers", one+","+two)...)
	if !strings.Contains(out, "2 worker processes") || !strings.Contains(out, "direct: ok") {
		t.Errorf("with workers:\n%s", out)
	}
}

// worker starts a worker process and gives its address.
func worker(t *testing.T, s *serving) string {
	t.Helper()
	cmd := command(t, "bench", "worker", "--listen", "127.0.0.1:0", "--addr", s.addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("a worker that is told to stop: %v", err)
		}
	})
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	addr, _, _ := strings.Cut(strings.TrimPrefix(string(line[:n]), "worker on "), "\n")
	return addr
}

func TestBenchQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("20 s")
	}
	dir := t.TempDir()
	out := ok(t, "bench", "quick", "--duration", "300ms", "--out", dir)
	for _, want := range []string{"connect-storm", "closed loop, window 64", "mixed", "Next:"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if reports, _ := filepath.Glob(filepath.Join(dir, "*", "report.html")); len(reports) != len(quickSpecs) {
		t.Errorf("reports: %q", reports)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || bytes.Count(index, []byte(`/report.html">`)) != len(quickSpecs) {
		t.Errorf("the index does not lead to all reports: %v", err)
	}
}
