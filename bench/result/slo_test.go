package result_test

import (
	"strings"
	"testing"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

func TestParseSLO(t *testing.T) {
	for _, tt := range []struct{ in, wrong string }{
		{"", ""},
		{"deliver.p99<50ms,loss==0", ""},
		{" ack.p99.9 <= 1s , acked.rate >= 1000 ", ""},
		{"connect.mean<1ms,sync.max<2s,lag.p50<1ms,errors<5,duplicates==0,reordered==0,sent.rate>1,delivered.rate>1,synced.rate>1,connects.rate>1", ""},
		{"ack.p99", "has none of <"},
		{"speed<3", `no "speed"`},
		{"ack.fast<3ms", `no "ack.fast"`},
		{"ack.p0<3ms", `no "ack.p0"`},
		{"ack.p101<3ms", `no "ack.p101"`},
		{"walk.p99<3ms", `no "walk.p99"`},
		{"walk.rate<3", `no "walk.rate"`},
		{"ack.p99<3", "missing unit"},
		{"loss<3ms", "invalid syntax"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			_, err := result.ParseSLO(tt.in)
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("error %v, want %q", err, tt.wrong)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	tr := trial(0)
	h := result.NewHistogram()
	for i := range 1000 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	tr.Latency[result.Ack] = h
	tr.Check.Lost = 2
	tr.Counts.Errors = map[string]int64{"busy": 3, "timeout": 1}
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{"ack.p50<501ms", true}, {"ack.p50<500ms", false}, {"ack.p50<=501ms", true}, {"ack.p50>1ms", true}, {"ack.p50>=10s", false},
		{"ack.p99.9<1s", true}, {"ack.p999<1s", true}, {"ack.p999<990ms", false}, {"ack.p9990<990ms", false}, {"ack.p100>999ms", true},
		{"ack.min<=1ms", true}, {"ack.max>=1s", true}, {"ack.mean<502ms", true}, {"ack.mean<499ms", false},
		{"loss==2", true}, {"loss==0", false}, {"loss<3", true}, {"errors==4", true}, {"duplicates==0", true},
		{"acked.rate==1000", true}, {"acked.rate>1000", false}, {"lag.p99<1ms", true},
		{"sync.p99<1h", false}, // nothing was measured
	} {
		all, err := result.ParseSLO(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if v := all[0].Judge(&tr); v.OK != tt.ok || v.Objective != tt.in {
			t.Errorf("%s: %+v", tt.in, v)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{result.Number(0), "0"}, {result.Number(1234567), "1,234,567"}, {result.Number(-1234), "-1,234"}, {result.Number(0.123), "0.12"},
		{result.Number(12.34), "12.3"}, {result.Number(123.4), "123"}, {result.Number(999), "999"}, {result.Number(-999), "-999"},
		{result.Latency(0), "0 ms"}, {result.Latency(1234 * time.Microsecond), "1.23 ms"}, {result.Latency(12 * time.Second), "12 s"},
		{result.Bytes(0), "0 B"}, {result.Bytes(1023), "1,023 B"}, {result.Bytes(1536), "1.50 KiB"}, {result.Bytes(3 << 30), "3 GiB"}, {result.Bytes(-2048), "-2 KiB"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
