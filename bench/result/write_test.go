package result_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/bench/result"
)

// TestGolden holds what people and programs read.
func TestGolden(t *testing.T) {
	one := trials(ms)
	golden(t, "text.golden", one.Text()+"\n")
	golden(t, "table.golden", result.Table([]*result.Result{one, trials(ms, 2*ms)})+"\n")

	bad := trials(ms, 2*ms)
	last := &bad.Trials[1]
	last.Check.Lost, last.Check.Violations = 3, []string{"flow 1: 3 did not come"}
	last.Generator.Limited = []string{"it was late"}
	last.Counts.Errors, last.Counts.SlowClosed = map[string]int64{"busy": 7}, 2
	last.Memory = &result.Memory{Conns: 100, ServerPerConn: 700, KernelPerSocket: 5000, ClientPerConn: 9000}
	last.Interrupted = true
	last.SLO = []result.Verdict{{Objective: "ack.p99<1ms", Measured: true, Value: 3}, {Objective: "sync.p99<1ms"}, {Objective: "loss<9", Measured: true, Value: 3, OK: true}}
	golden(t, "failed.golden", bad.Text()+"\n")

	var csv bytes.Buffer
	if err := one.WriteCSV(&csv); err != nil {
		t.Fatal(err)
	}
	golden(t, "result.golden.csv", csv.String())
}

// TestWriteRead: what was kept is what is read, and only the files of the last time are there.
func TestWriteRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := trials(ms, ms).Write(dir); err != nil {
		t.Fatal(err)
	}
	want := trials(ms)
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "result.json")} {
		got, err := result.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Text(), got.Text()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff(want.Trials[0].Series, got.Trials[0].Series); diff != "" {
			t.Errorf("series (-want +got):\n%s", diff)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	if diff := cmp.Diff([]string{"1-ack.hgrm", "1-connect.hgrm", "1-deliver.hgrm", "result.json", "series.csv"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for name, head := range map[string]string{"series.csv": "trial,second,length_s,connections", "1-ack.hgrm": "Value\tPercentile"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(b), head) {
			t.Errorf("%s begins %.60q, %v", name, b, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, content, want string }{
		{"nothing there", "", "holds no result"},
		{"no JSON", "x", "is not a result"},
		{"another schema", `{"schema": 99}`, "schema 99"},
		{"a broken histogram", `{"schema": 2, "trials": [{"latency": {"ack": {"hdr": "AAAA"}}}]}`, "decode histogram"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.content != "" {
				if err := os.WriteFile(filepath.Join(dir, "result.json"), []byte(tt.content), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := result.Read(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
