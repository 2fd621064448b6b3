package bench_test

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/storage"
)

// TestMain looks for goroutines that stay; gnet's pool has two of its own for ever.
func TestMain(m *testing.M) {
	if os.Getenv(asStub) != "" {
		runStub()
		return
	}
	const pool = "github.com/panjf2000/ants/v2.(*poolCommon)."
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(pool+"purgeStaleWorkers"), goleak.IgnoreTopFunction(pool+"ticktock"))
}

// node starts a real server on real files.
func node(t testing.TB, cfg server.Config) (addr, admin string) {
	t.Helper()
	db, err := storage.Open(t.TempDir(), storage.Options{OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen, cfg.Admin = "127.0.0.1:0", "127.0.0.1:0"
	cfg.StoreStats = func() any { return db.Stats() }
	srv, err := server.New(cfg, db, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	<-srv.Ready()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv.Addr(), srv.AdminAddr()
}

// TestScenarios runs every scenario against a real server, small.
func TestScenarios(t *testing.T) {
	addr, admin := node(t, server.Config{})
	short := func(s result.Spec) result.Spec {
		s.Addr, s.Admin = addr, admin
		s.Ramp, s.Warmup, s.Duration = 100*time.Millisecond, 200*time.Millisecond, time.Second
		return s
	}
	for _, tt := range []struct {
		name string
		spec result.Spec
		want []result.Kind
	}{
		{"connect-storm", result.Spec{Scenario: "connect-storm", Users: 50, Rate: 200}, []result.Kind{result.Connect}},
		{"idle", result.Spec{Scenario: "idle", Users: 100}, nil},
		{"direct", result.Spec{Scenario: "direct", Users: 20, Rate: 500}, []result.Kind{result.Ack, result.Deliver}},
		{"direct with several devices", result.Spec{Scenario: "direct", Users: 20, Conns: 60, Rate: 500}, []result.Kind{result.Ack, result.Deliver}},
		{"direct in MessagePack", result.Spec{Scenario: "direct", Users: 20, Rate: 500, Format: "msgpack"}, []result.Kind{result.Ack, result.Deliver}},
		{"direct in a closed loop", result.Spec{Scenario: "direct", Users: 10, Window: 4}, []result.Kind{result.Ack, result.Deliver}},
		{"direct from several addresses", result.Spec{Scenario: "direct", Users: 20, Rate: 500, Sources: []string{"127.0.0.2", "127.0.0.3"}}, []result.Kind{result.Ack}},
		{"group", result.Spec{Scenario: "group", Users: 60, Members: 30, Rate: 50}, []result.Kind{result.Ack, result.Deliver}},
		{"offline-drain", result.Spec{Scenario: "offline-drain", Users: 40, Backlog: 250, Rate: 50}, []result.Kind{result.Connect, result.Sync}},
		{"history", result.Spec{Scenario: "history", Users: 20, Backlog: 120, Rate: 200}, []result.Kind{result.Sync}},
		{"slow-consumer", result.Spec{Scenario: "slow-consumer", Users: 10, Slow: 2, Rate: 200}, []result.Kind{result.Ack, result.Deliver}},
		{"reconnect-storm", result.Spec{Scenario: "reconnect-storm", Users: 60, Rate: 1000}, []result.Kind{result.Connect, result.Ack, result.Sync}},
		{"receipts", result.Spec{Scenario: "receipts", Users: 20, Rate: 500}, []result.Kind{result.Ack, result.Deliver, result.Sync}},
		{"mixed", result.Spec{Scenario: "mixed", Users: 20, Members: 10, Rate: 500}, []result.Kind{result.Ack, result.Deliver, result.Sync}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trial, err := bench.Run(t.Context(), short(tt.spec), bench.Options{Version: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if trial.Outcome() != "ok" {
				t.Errorf("outcome %s: %+v", trial.Outcome(), trial.Check)
			}
			if len(trial.Counts.Errors) > 0 {
				t.Errorf("errors: %v", trial.Counts.Errors)
			}
			for _, kind := range tt.want {
				if h := trial.Latency[kind]; h == nil || h.Count() == 0 {
					t.Errorf("no %s latency was measured", kind)
				}
			}
			checkCounts(t, trial)
			if s := trial.Seconds; tt.name != "offline-drain" && (s < 0.95 || s > 2) {
				t.Errorf("measured for %v s instead of 1", s)
			}
		})
	}
}

// checkCounts holds the numbers of a trial against each other.
func checkCounts(t *testing.T, trial *result.Trial) {
	t.Helper()
	c := trial.Counts
	if c.Sent+c.Synced+c.Connects == 0 && trial.Memory == nil {
		t.Error("nothing happened")
	}
	if trial.Cost == nil || trial.Cost.RSSBytes < 1<<20 || trial.Server.Machine.Cores == 0 {
		t.Errorf("cost %+v of server %+v", trial.Cost, trial.Server)
	}
	if c.Acked > 0 && (trial.Cost.Messages == 0 || trial.Cost.Commits == 0) {
		t.Errorf("%d messages were acknowledged, and the server counted %+v", c.Acked, trial.Cost)
	}
	if len(trial.Series) == 0 || trial.Generator.CPU <= 0 {
		t.Errorf("series %v, generator %+v", trial.Series, trial.Generator)
	}
}
