package bench_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/server"
)

// startWorker serves conductors until the test ends.
func startWorker(t *testing.T, target string) (addr string) {
	t.Helper()
	return startWorkerWith(t, bench.WorkerOptions{Targets: []string{target}})
}

func startWorkerWith(t *testing.T, opts bench.WorkerOptions) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bench.Serve(ctx, l, opts) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func shortDirect(addr string) result.Spec {
	return result.Spec{Scenario: "direct", Addr: addr, Users: 20, Rate: 400, Ramp: 50 * time.Millisecond, Warmup: 100 * time.Millisecond, Duration: time.Second}
}

// TestWorkers: the shares of two workers are one load.
func TestWorkers(t *testing.T) {
	addr, admin := node(t, server.Config{})
	one, two := startWorker(t, addr), startWorker(t, addr)
	spec := shortDirect(addr)
	spec.Admin = admin
	trial, err := bench.Run(t.Context(), spec, bench.Options{Workers: []string{one, two}})
	if err != nil {
		t.Fatal(err)
	}
	if trial.Outcome() != "ok" || len(trial.Counts.Errors) > 0 {
		t.Errorf("outcome %s: %+v %v", trial.Outcome(), trial.Check, trial.Counts.Errors)
	}
	if n := trial.Check.Sent; n != 440 {
		t.Errorf("%d messages were sent in 1.1 s at 400/s", n)
	}
	if n := trial.Latency[result.Ack].Count(); n != 400 {
		t.Errorf("%d acknowledgements of 400 are in the histogram", n)
	}
	if trial.Seconds < 0.95 || trial.Seconds > 2 {
		t.Errorf("measured for %v s", trial.Seconds)
	}
	for _, p := range trial.Series {
		if p.Second == 0 && p.Length > 0.9 && (p.Conns != 20 || p.Sent < 200) {
			t.Errorf("the first second has %+v", p)
		}
	}
}

// TestWorkerOutlivesConductors: whoever goes away or talks nonsense does not keep a worker from its next run.
func TestWorkerOutlivesConductors(t *testing.T) {
	addr, _ := node(t, server.Config{})
	worker := startWorker(t, addr)
	for _, say := range []string{"", `{"version":2,"spec":{"scenario":"direct","workers":1,"rate":1e30,"addr":"` + addr + `"}}`, `{"version":2,"token":"` + strings.Repeat("x", 2<<20), "\x00\x01garbage", "{}\n", `{"version":2,"spec":{"scenario":"fly","workers":1}}` + "\n", `{"version":99,"spec":{"scenario":"direct"}}` + "\n"} {
		c, err := net.Dial("tcp", worker)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, say); err != nil {
			t.Fatal(err)
		}
		if say == "" {
			c.Close()
			continue
		}
		answer, _ := io.ReadAll(c) // the worker ends it
		if strings.HasPrefix(say, "{") && !strings.Contains(string(answer), "error") {
			t.Errorf("%q is answered by %q", say, answer)
		}
		c.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	spec := shortDirect(addr)
	spec.Duration = time.Minute
	measuring := make(chan struct{}, 1)
	go func() {
		<-measuring
		cancel()
	}()
	trial, err := bench.Run(ctx, spec, bench.Options{Workers: []string{worker}, Progress: func(p bench.Progress) {
		if p.Phase >= bench.Measuring {
			select {
			case measuring <- struct{}{}:
			default:
			}
		}
	}})
	if err != nil || !trial.Interrupted || !trial.Check.OK() || trial.Check.Acked == 0 {
		t.Errorf("interrupted: %+v, %v", trial, err)
	}
	if trial, err := bench.Run(t.Context(), shortDirect(addr), bench.Options{Workers: []string{worker}}); err != nil || trial.Outcome() != "ok" {
		t.Errorf("the next run: %v", err)
	}
}

// TestWorkerFails: when one of two is not there, the run says which, and the other one is free again.
func TestWorkerFails(t *testing.T) {
	addr, _ := node(t, server.Config{})
	worker := startWorker(t, addr)
	_, err := bench.Run(t.Context(), shortDirect(addr), bench.Options{Workers: []string{worker, "127.0.0.1:1"}})
	var op *net.OpError
	if err == nil || !errors.As(err, &op) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error %v", err)
	}
	if _, err = bench.Run(t.Context(), shortDirect(addr), bench.Options{Workers: []string{worker}}); err != nil {
		t.Error(err)
	}
}

func TestInterrupted(t *testing.T) {
	addr, _ := node(t, server.Config{})
	t.Run("while preparing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		spec := shortDirect(addr)
		spec.Ramp = time.Minute
		began := time.Now()
		if trial, err := bench.Run(ctx, spec, bench.Options{}); err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%+v after %v", trial, time.Since(began))
		}
	})
	t.Run("while measuring", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		spec := shortDirect(addr)
		spec.Duration = time.Minute
		trial, err := bench.Run(ctx, spec, bench.Options{Progress: func(p bench.Progress) {
			if p.Phase == bench.Measuring && p.Rates["acked"] > 0 {
				cancel()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if trial.Outcome() != "interrupted" || trial.Check.Acked == 0 || trial.Seconds > 30 || trial.Latency[result.Ack].Count() == 0 {
			t.Errorf("%s after %v s: %+v", trial.Outcome(), trial.Seconds, trial.Check)
		}
	})
	t.Run("no server", func(t *testing.T) {
		if _, err := bench.Run(t.Context(), shortDirect("127.0.0.1:1"), bench.Options{}); err == nil {
			t.Error("no error")
		}
	})
}

// TestWorkerRefuses: a worker loads only what it was started for, and only for who knows its token.
func TestWorkerRefuses(t *testing.T) {
	addr, _ := node(t, server.Config{})
	worker := startWorkerWith(t, bench.WorkerOptions{Targets: []string{addr}, Token: "secret"})
	spec := shortDirect(addr)
	if trial, err := bench.Run(t.Context(), spec, bench.Options{Workers: []string{worker}, Token: "secret"}); err != nil || trial.Outcome() != "ok" {
		t.Errorf("with the token: %v", err)
	}
	for _, token := range []string{"", "secre", "secret2"} {
		if _, err := bench.Run(t.Context(), spec, bench.Options{Workers: []string{worker}, Token: token}); err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("token %q: %v", token, err)
		}
	}
	other, _ := node(t, server.Config{})
	if _, err := bench.Run(t.Context(), shortDirect(other), bench.Options{Workers: []string{worker}, Token: "secret"}); err == nil || !strings.Contains(err.Error(), "it loads "+addr) {
		t.Errorf("another server: %v", err)
	}
}

// TestConductorThatNeverStarts: one that names a spec and then says nothing does not keep the worker.
func TestConductorThatNeverStarts(t *testing.T) {
	if testing.Short() {
		t.Skip("10 s")
	}
	addr, _ := node(t, server.Config{})
	worker := startWorker(t, addr)
	c, err := net.Dial("tcp", worker)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	if _, err := io.WriteString(c, `{"version":2,"spec":{"scenario":"direct","users":2,"connections":2,"rate":1,"ramp":1000000,"workers":1,"addr":"`+addr+`"}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if took := time.Since(began); err != nil || !strings.Contains(string(answer), "within 10s") || took > 15*time.Second {
		t.Errorf("after %v: %q, %v", took, answer, err)
	}
}

// TestKilledWorker: a worker that is lost while it makes its load costs its share, and the result says so.
func TestKilledWorker(t *testing.T) {
	addr, _ := node(t, server.Config{})
	good, behind := startWorker(t, addr), startWorker(t, addr)
	// The second one is behind a door that is slammed.
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	slam := make(chan struct{})
	go func() {
		in, err := door.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", behind)
		if err != nil {
			in.Close()
			return
		}
		go func() {
			<-slam
			in.Close()
			out.Close()
		}()
		go func() { _, _ = io.Copy(out, in) }()
		_, _ = io.Copy(in, out)
	}()
	var once sync.Once
	spec := shortDirect(addr)
	spec.Duration = 3 * time.Second
	trial, err := bench.Run(t.Context(), spec, bench.Options{Workers: []string{good, door.Addr().String()}, Progress: func(p bench.Progress) {
		if p.Phase >= bench.Measuring {
			once.Do(func() { close(slam) })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(trial.Generator.Lost) != 1 || !strings.Contains(trial.Generator.Lost[0], door.Addr().String()) || trial.Check.Sent != 620 || !trial.Check.OK() {
		t.Errorf("lost %q, check %+v", trial.Generator.Lost, trial.Check)
	}
	r := &result.Result{Spec: shortDirect(addr), Trials: []result.Trial{*trial}}
	if text := r.Text(); !strings.Contains(text, "its share is lost") {
		t.Error(text)
	}
}
