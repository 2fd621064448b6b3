package codec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/codec"
)

// aMessage is one of 200 bytes of content, as load testers send it.
func aMessage(f codec.Format) codec.MessageRequest {
	return codec.MessageRequest{
		FromUserID: codec.SomeID(1), ToUserID: codec.SomeID(codec.MaxID), ContentStr: strings.Repeat("hello, you ", 18),
		MsgID: "0123456789abcdef", SendDate: "1700000000000", MsgContentType: codec.SomeInteger(1), TaskID: codec.IntTask(f, 4711),
	}
}

var formats = []codec.Format{codec.JSON, codec.MsgPack}

// bodyOf is the body of a frame.
func bodyOf(t testing.TB, frame []byte) []byte {
	t.Helper()
	f, n, err := codec.ParseFrame(frame, codec.MaxLength)
	if err != nil || n != len(frame) {
		t.Fatalf("n = %d of %d, %v", n, len(frame), err)
	}
	return f.Body
}

// class is what kind of error it is.
func class(err error) string {
	switch {
	case err == nil:
		return "none"
	case errors.As(err, new(*codec.SyntaxError)):
		return "syntax"
	case errors.As(err, new(*codec.FieldError)):
		return "field"
	}
	return fmt.Sprintf("%T", err)
}

func TestDecodeMessageIsUnmarshal(t *testing.T) {
	for _, body := range []string{
		`{}`, ` { } `, `{"contentStr":"a\n\u00e4"}`, `{"contentStr":"\ud83d\ude00"}`, `{"contentStr":"\ud83d"}`, `{"contentStr":"a` + "\t" + `"}`,
		`{"fromUserId":1,"toUserId":"2","contentStr":"x","msgId":"m","sendDate":1.5e3,"msgContentType":"1","sessionId":null,"taskId":"t"}`,
		`{"contentStr":"a","contentStr":"b"}`, `{"contentStr":"a","c\u006fntentStr":"b"}`, `{"x":{"a":[1,2]},"msgId":"m"}`, `{"x":1,"x":2}`,
		`{"toUserId":01}`, `{"toUserId":-0}`, `{"toUserId":1.0}`, `{"toUserId":}`, `{"msgContentType":-2}`, `{"taskId":{}}`, `{"taskId":true}`,
		`{"sendDate":{}}`, `{"sendDate":null}`, `{"sendDate":"` + strings.Repeat("x", 200) + `"}`, `{"msgId":5}`, `[]`, `null`, `5`, ``, `{`, `{"a"`, `{"msgId":"m"}x`,
		`{"sendDate":"abc\`, `{"taskId":"\`, `{"contentStr":"\`, `{"toUserId":"\`, `{"\`, `{"sendDate":1e400}`,
		"{\"msgId\":\"\xff\"}", "\ufeff{}", `{"toUserId": 3 , "msgId" : "m" }`, `{"toUserId":12345678901234567890}`,
	} {
		var fast, slow codec.MessageRequest
		fastErr, slowErr := codec.DecodeMessage(codec.JSON, []byte(body), &fast), codec.Unmarshal(codec.JSON, []byte(body), &slow)
		if class(fastErr) != class(slowErr) || fastErr == nil && fast != slow {
			t.Errorf("%s\nfast %+v %v\nslow %+v %v", body, fast, fastErr, slow, slowErr)
		}
	}
}

// TestANumberThatIsNoFloat: JSON has numbers that MessagePack has not. They must not make a message unreadable.
func TestANumberThatIsNoFloat(t *testing.T) {
	var req codec.MessageRequest
	if err := codec.DecodeMessage(codec.JSON, []byte(`{"sendDate":-1e400}`), &req); err != nil {
		t.Fatal(err)
	}
	frame := codec.AppendMessagePush(nil, codec.MsgPack, &codec.MessageBody{SendDate: req.SendDate})
	var push codec.MessageBody
	if err := codec.DecodeMessagePush(codec.MsgPack, bodyOf(t, frame), &push); err != nil || push.SendDate != `"-1e400"` {
		t.Errorf("sendDate %s, %v", push.SendDate, err)
	}
}

// TestUnknownFieldsCostTheirLength: a value that is passed over is not looked at again and again.
func TestUnknownFieldsCostTheirLength(t *testing.T) {
	body := []byte("\x81\xa1x\xdc\x0f\x00")
	for range 0x0f00 {
		body = append(append(body, 0xd9, 65), strings.Repeat("y", 65)...)
	}
	var m codec.MessageRequest
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := codec.DecodeMessage(codec.MsgPack, body, &m); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(4*len(body)) {
		t.Errorf("a body of %d bytes took %d", len(body), used)
	}
}

func FuzzDecodeMessageJSON(f *testing.F) {
	m := aMessage(codec.JSON)
	f.Add(string(bodyOf(f, codec.AppendMessageRequest(nil, codec.JSON, &m))))
	f.Add(`{"contentStr":"\"\\\u0000","x":[1,{"y":null}]}`)
	f.Add(`{"toUserId":"12","sendDate":-1.5,"taskId":"\u00e4"}`)
	f.Fuzz(func(t *testing.T, body string) {
		var fast, slow codec.MessageRequest
		fastErr, slowErr := codec.DecodeMessage(codec.JSON, []byte(body), &fast), codec.Unmarshal(codec.JSON, []byte(body), &slow)
		if class(fastErr) != class(slowErr) || fastErr == nil && fast != slow {
			t.Fatalf("fast %+v %v\nslow %+v %v", fast, fastErr, slow, slowErr)
		}
	})
}

func FuzzDecodeMessageMsgPack(f *testing.F) {
	m := aMessage(codec.MsgPack)
	f.Add(bodyOf(f, codec.AppendMessageRequest(nil, codec.MsgPack, &m)))
	f.Add([]byte("\xdf\xff\xff\xff\xff"))
	f.Add([]byte("\x82\xa1x\x92\x01\x80\xa6taskId\xcf\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var fast, slow codec.MessageRequest
		fastErr, slowErr := codec.DecodeMessage(codec.MsgPack, body, &fast), codec.Unmarshal(codec.MsgPack, body, &slow)
		// The library is laxer about types in places (it turns numbers into strings of nothing, for one), never
		// about what a document is.
		if (class(fastErr) == "syntax") != (class(slowErr) == "syntax") {
			t.Fatalf("fast %v\nslow %v", fastErr, slowErr)
		}
		if fastErr == nil && slowErr == nil && fast != slow {
			t.Fatalf("fast %+v\nslow %+v", fast, slow)
		}
	})
}

// FuzzUnmarshal: no body makes a decoder panic or allocate out of proportion, and what it accepts it can
// write and read again.
func FuzzUnmarshal(f *testing.F) {
	f.Add(uint8(1), []byte(`{"groupName":"a","memberIds":[1,"2"],"taskId":"x"}`))
	f.Add(uint8(2), []byte("\x82\xa9memberIds\x92\x01\x02\xa6taskId\x01"))
	f.Add(uint8(2), []byte("\x81\xa9memberIds\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, format uint8, body []byte) {
		fm := codec.Format(format % 3)
		for _, v := range []any{&codec.GroupRequest{}, &codec.StatusRequest{}, &codec.Timeline{}} {
			if codec.Unmarshal(fm, body, v) != nil {
				continue
			}
			out, err := codec.AppendBody(nil, fm, v)
			if err != nil {
				t.Fatalf("%T: cannot write what was read: %v", v, err)
			}
			if fm == codec.None {
				fm = codec.JSON
			}
			if err := codec.Unmarshal(fm, out, v); err != nil {
				t.Fatalf("%T: cannot read what was written: %v\n%q", v, err, out)
			}
		}
		codec.TaskIDOf(fm, body)
	})
}

// contents are strings that encoders get wrong.
var contents = []string{
	"", "plain", `"quoted" \ back`, "line\nbreak\ttab\x00nul\x1f", "\u00e4\u4e2d\U0001f600", "</script>&\u2028\u2029", "\x7f", strings.Repeat("x", 300), strings.Repeat("\u4e2d", 30000),
}

func TestHandWrittenEncodersAreTheGenericOnes(t *testing.T) {
	for _, f := range formats {
		for i, text := range contents {
			for _, date := range []codec.Scalar{"", "5", "-1", `"a\"b"`, "1.5", "true", "18446744073709551615"} {
				push := codec.MessageBody{FromUserID: codec.ID(i), ToUserID: codec.MaxID, ContentStr: text, MsgID: text, SendDate: date,
					MsgContentType: int64(i) - 4, SessionID: text, ServerReceiveDate: 1 << 41, State: 1, Seq: math.MaxInt64}
				same(t, f, codec.AppendMessagePush(nil, f, &push), codec.Push, codec.Message, &push)
				var again codec.MessageBody
				if err := codec.DecodeMessagePush(f, bodyOf(t, codec.AppendMessagePush(nil, f, &push)), &again); err != nil || again != push {
					t.Errorf("%s: push came back as %+v, %v", f, again, err)
				}
				for _, task := range []codec.TaskID{"", codec.IntTask(f, -7), codec.StringTask(f, "task \"\u00e4\"")} {
					req := codec.MessageRequest{FromUserID: codec.OptID{ID: 1, Set: i%2 == 0}, ToUserID: codec.SomeID(0), ContentStr: text,
						MsgID: text, SendDate: date, MsgContentType: codec.OptInteger{N: 3, Set: i%3 == 0}, SessionID: text, TaskID: task}
					if !req.FromUserID.Set {
						req.FromUserID = codec.OptID{}
					}
					if !req.MsgContentType.Set {
						req.MsgContentType = codec.OptInteger{}
					}
					same(t, f, codec.AppendMessageRequest(nil, f, &req), codec.Request, codec.Message, &req)
				}
			}
			stored := codec.MessageStored{MsgID: text, Seq: math.MaxInt64, ServerReceiveDate: -1, State: 3}
			byHand := codec.AppendMessageStored(nil, f, codec.IntTask(f, 9), &stored)
			generic, err := codec.AppendResponse(nil, f, codec.Message, codec.IntTask(f, 9), &stored)
			if err != nil {
				t.Fatal(err)
			}
			equalBodies(t, f, byHand, generic)
			answer, err := codec.DecodeResponse(f, bodyOf(t, byHand))
			var again codec.MessageStored
			if err == nil {
				err = codec.DecodeMessageStored(f, answer.Result, &again)
			}
			if task, ok := answer.TaskID.Int(f); err != nil || again != stored || !ok || task != 9 {
				t.Errorf("%s: answer came back as %+v %+v, %v", f, answer, again, err)
			}
			status := codec.StatusBody{MsgID: text, State: 2, Seq: uint64(i), ServerReceiveDate: int64(i % 2), UserID: codec.OptID{ID: 5, Set: i%2 == 0}, SessionID: text}
			if !status.UserID.Set {
				status.UserID = codec.OptID{}
			}
			same(t, f, codec.AppendStatusPush(nil, f, &status), codec.Push, codec.MessageStatus, &status)
		}
	}
}

// same checks a hand-written frame against the generic encoder.
func same(t *testing.T, f codec.Format, frame []byte, k codec.Kind, label codec.Label, body any) {
	t.Helper()
	generic, at := codec.BeginFrame(nil, f, k, label)
	generic, err := codec.AppendBody(generic, f, body)
	if err == nil {
		generic, err = codec.EndFrame(generic, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	equalBodies(t, f, frame, generic)
}

func equalBodies(t *testing.T, f codec.Format, a, b []byte) {
	t.Helper()
	x, y := document(t, f, bodyOf(t, a)), document(t, f, bodyOf(t, b))
	if diff := cmp.Diff(y, x); diff != "" {
		t.Errorf("%s: by hand differs:\n%s", f, diff)
	}
}

// document is a body as plain Go values; numbers are strings, which have no type.
func document(t *testing.T, f codec.Format, body []byte) map[string]any {
	t.Helper()
	var doc map[string]any
	if f == codec.MsgPack {
		if err := codec.Unmarshal(f, body, &doc); err != nil {
			t.Fatalf("%v\n%q", err, body)
		}
	} else {
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			t.Fatalf("%v\n%q", err, body)
		}
	}
	for k, v := range doc {
		doc[k] = fmt.Sprint(v) // maps print sorted
	}
	return doc
}

func TestErrorResponse(t *testing.T) {
	for _, f := range append(formats, codec.None) {
		task := codec.StringTask(f, "t")
		frame := codec.AppendErrorResponse(nil, f, codec.QueryGroupInfo, task, 103, `no "such" group`)
		parsed, _, err := codec.ParseFrame(frame, codec.MaxLength)
		if err != nil || parsed.Format == codec.None {
			t.Fatalf("%v, %s", err, parsed.Format)
		}
		answer, err := codec.DecodeResponse(parsed.Format, parsed.Body)
		if err != nil || answer.Code != 103 || answer.Error != `no "such" group` || answer.TaskID != task {
			t.Errorf("%s: %+v, %v", f, answer, err)
		}
	}
}

func TestHotPathAllocations(t *testing.T) {
	for _, f := range formats {
		req := aMessage(f)
		body := bodyOf(t, codec.AppendMessageRequest(nil, f, &req))
		var m codec.MessageRequest
		decode := testing.AllocsPerRun(200, func() {
			if err := codec.DecodeMessage(f, body, &m); err != nil {
				t.Fatal(err)
			}
		})
		limit := 1.0
		if f == codec.MsgPack {
			limit = 2 // the sendDate becomes a token
		}
		if decode > limit {
			t.Errorf("%s: DecodeMessage allocates %v times, want at most %v", f, decode, limit)
		}
		buf := make([]byte, 0, 4096)
		push := codec.MessageBody{FromUserID: 1, ToUserID: 2, ContentStr: req.ContentStr, MsgID: req.MsgID, SendDate: req.SendDate, Seq: 7}
		encode := testing.AllocsPerRun(200, func() {
			buf = codec.AppendMessagePush(buf[:0], f, &push)
			buf = codec.AppendMessageStored(buf[:0], f, req.TaskID, &codec.MessageStored{MsgID: req.MsgID, Seq: 1})
			buf = codec.AppendMessageRequest(buf[:0], f, &req)
		})
		if encode != 0 {
			t.Errorf("%s: encoding allocates %v times", f, encode)
		}
	}
	hostile := []byte(strings.Repeat("\x91", 1<<20))
	if n := testing.AllocsPerRun(10, func() { _ = codec.Unmarshal(codec.MsgPack, hostile, &codec.GroupRequest{}) }); n > 3 {
		t.Errorf("the guard allocates: %v", n)
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	for _, f := range formats {
		req := aMessage(f)
		body := bodyOf(b, codec.AppendMessageRequest(nil, f, &req))
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			var m codec.MessageRequest
			for b.Loop() {
				if err := codec.DecodeMessage(f, body, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendMessagePush(b *testing.B) {
	for _, f := range formats {
		req := aMessage(f)
		push := codec.MessageBody{FromUserID: 1, ToUserID: 2, ContentStr: req.ContentStr, MsgID: req.MsgID, SendDate: req.SendDate, Seq: 7}
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				buf = codec.AppendMessagePush(buf[:0], f, &push)
			}
		})
	}
}
