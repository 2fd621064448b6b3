package codec_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/codec"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseFrame(t *testing.T) {
	const limit = 64
	for _, tc := range []struct {
		name   string
		in     string
		n      int
		label  string
		body   string
		format codec.Format
		kind   codec.Kind
		err    string // a part of the reason; "" is none
	}{
		{name: "nothing"},
		{name: "half a length", in: "0000"},
		{name: "heartbeat", in: "00000000", n: 4},
		{name: "heartbeat and more", in: "00000000 ff", n: 4},
		{name: "canConnect", in: "0000000c 00 0a 63616e436f6e6e656374", n: 16, label: "canConnect"},
		{name: "canConnect answer", in: "00000010 05 0a 63616e436f6e6e656374 74727565", n: 20, label: "canConnect", body: "true", format: codec.JSON, kind: codec.Response},
		{name: "push in msgpack", in: "00000004 0a 01 61 c0", n: 8, label: "a", body: "\xc0", format: codec.MsgPack, kind: codec.Push},
		{name: "body not there yet", in: "0000000c 00 0a 63616e436f6e6e6563"},
		{name: "only the length", in: "0000000c"},
		{name: "http", in: hex.EncodeToString([]byte("GET / HTTP/1.1\r\n")), err: "first one is not 00"},
		{name: "tls, one byte", in: "16", err: "first one is not 00"},
		{name: "too long, no body yet", in: "00000041", err: "longer"},
		{name: "longest", in: "00000040 00 01 61" + strings.Repeat("20", 61), n: 68, label: "a", body: strings.Repeat(" ", 61)},
		{name: "one byte", in: "00000001 00", err: "too short"},
		{name: "no label", in: "00000003 00 00 61", err: "label"},
		{name: "label over the end", in: "00000003 01 02 61", err: "too short"},
		{name: "label of 65", in: "00000040 00 41", err: "label"},
		{name: "label with a space", in: "00000003 00 01 20", err: "label"},
		{name: "reserved bit", in: "00000003 10 01", err: "reserved"},
		{name: "version 1", in: "00000003 40 01", err: "version"},
		{name: "format 3", in: "00000003 03 01", err: "reserved"},
		{name: "kind 3", in: "00000003 0c 01", err: "reserved"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, n, err := codec.ParseFrame(unhex(t, tc.in), limit)
			if tc.err != "" {
				var frame *codec.FrameError
				if !errors.As(err, &frame) || !strings.Contains(frame.Reason, tc.err) {
					t.Fatalf("error %v, want one about %q", err, tc.err)
				}
				return
			}
			if err != nil || n != tc.n {
				t.Fatalf("n = %d, err = %v, want n = %d", n, err, tc.n)
			}
			if string(f.Label) != tc.label || string(f.Body) != tc.body || f.Format != tc.format || f.Kind != tc.kind {
				t.Fatalf("frame %+v", f)
			}
			if (n > 0 && tc.label == "") != (n > 0 && f.Heartbeat()) {
				t.Fatalf("heartbeat = %v", f.Heartbeat())
			}
		})
	}
}

func TestEndFrameRefusesWhatIsTooLong(t *testing.T) {
	dst, at := codec.BeginFrame([]byte("before"), codec.JSON, codec.Push, codec.Message)
	dst, err := codec.EndFrame(append(dst, make([]byte, codec.MaxLength)...), at)
	if err == nil || string(dst) != "before" {
		t.Fatalf("err %v, %d bytes left", err, len(dst))
	}
}

func TestEveryLabelIsKnown(t *testing.T) {
	for _, l := range []codec.Label{codec.CanConnect, codec.Message, codec.ReceiveError, codec.QuerySessionList} {
		if got, ok := codec.LookupLabel([]byte(l)); !ok || got != l {
			t.Errorf("%s: %q %v", l, got, ok)
		}
	}
	if _, ok := codec.LookupLabel([]byte("message2")); ok {
		t.Error("message2 is a label")
	}
}

// FuzzParseFrame: whatever comes, a frame is a view of the input, and writing it again gives the same bytes.
func FuzzParseFrame(f *testing.F) {
	for _, seed := range []string{"", "00", "00000000", "0000000c000a63616e436f6e6e656374", "ffffffff", "0000000405016100"} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, n, err := codec.ParseFrame(b, 1<<16)
		if err != nil || n == 0 {
			return
		}
		if n > len(b) {
			t.Fatalf("took %d of %d bytes", n, len(b))
		}
		if frame.Heartbeat() {
			return
		}
		again := codec.AppendFrame(nil, frame.Format, frame.Kind, codec.Label(frame.Label), frame.Body)
		if !bytes.Equal(again, b[:n]) {
			t.Fatalf("%x became %x", b[:n], again)
		}
	})
}
