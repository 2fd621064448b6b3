package codec_test

import (
	"testing"

	jsonx "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/msgserver/msgserver/codec"
)

func TestDecodeResponse(t *testing.T) {
	for _, tc := range []struct {
		name string
		json string
		want codec.Answer
		err  string // its class
	}{
		{"success", `{"code":0,"taskId":7,"result":{"msgId":"m"}}`, codec.Answer{TaskID: "7", Result: []byte(`{"msgId":"m"}`)}, "none"},
		{"no result", `{"code":0,"taskId":7}`, codec.Answer{TaskID: "7"}, "none"},
		{"empty result", `{"code":0,"taskId":7,"result":{}}`, codec.Answer{TaskID: "7", Result: []byte(`{}`)}, "none"},
		{"a list", `{"code":0,"taskId":7,"result":[{},{}]}`, codec.Answer{TaskID: "7", Result: []byte(`[{},{}]`)}, "none"},
		{"braces in strings", `{"code":0,"taskId":7,"result":{"a":"}","b":"\"}\\"}}`, codec.Answer{TaskID: "7", Result: []byte(`{"a":"}","b":"\"}\\"}`)}, "none"},
		{"nested", `{"code":0,"taskId":7,"result":{"a":{"b":{}}}}`, codec.Answer{TaskID: "7", Result: []byte(`{"a":{"b":{}}}`)}, "none"},
		{"a newer server says more", `{"code":0,"taskId":7,"result":{},"x":{}}`, codec.Answer{TaskID: "7", Result: []byte(`{}`)}, "none"},
		{"in another order", `{"result":{},"taskId":7,"code":0}`, codec.Answer{TaskID: "7", Result: []byte(`{}`)}, "none"},
		{"a text as taskId", `{"code":0,"taskId":"7","result":{}}`, codec.Answer{TaskID: `"7"`, Result: []byte(`{}`)}, "none"},
		{"negative taskId", `{"code":0,"taskId":-7,"result":{}}`, codec.Answer{TaskID: "-7", Result: []byte(`{}`)}, "none"},
		{"error", `{"code":103,"taskId":7,"error":"no such group"}`, codec.Answer{Code: 103, TaskID: "7", Error: "no such group"}, "none"},
		{"error that says when to come again", `{"code":201,"taskId":7,"error":"busy","retryAfterMs":250}`, codec.Answer{Code: 201, TaskID: "7", Error: "busy", RetryAfterMs: 250}, "none"},
		{"cut off", `{"code":0,"taskId":7,"result":{}`, codec.Answer{}, "syntax"},
		{"cut off in a string", `{"code":0,"taskId":7,"result":{"\`, codec.Answer{}, "syntax"},
		{"more behind it", `{"code":0,"taskId":7,"result":{}}}`, codec.Answer{}, "syntax"},
		{"taskId with a zero before", `{"code":0,"taskId":07,"result":{}}`, codec.Answer{}, "syntax"},
		{"code of another type", `{"code":"0"}`, codec.Answer{}, "field"},
		{"no object", `true`, codec.Answer{}, "field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := codec.DecodeResponse(codec.JSON, []byte(tc.json))
			if class(err) != tc.err {
				t.Fatalf("error %v, want one of class %s", err, tc.err)
			}
			if err == nil && !sameAnswer(got, tc.want) {
				t.Errorf("%+v, result %s", got, got.Result)
			}
		})
	}
}

func TestDecodeResponseMsgPack(t *testing.T) {
	for _, tc := range []struct {
		name string
		body string
		want codec.Answer
		err  string
	}{
		{"success", "\x83\xa4code\x00\xa6taskId\x07\xa6result\x81\xa1a\x01", codec.Answer{TaskID: "\x07", Result: []byte("\x81\xa1a\x01")}, "none"},
		{"a newer server says more", "\x83\xa1x\x92\xc0\xd9\x01y\xa4code\x00\xa6taskId\x07", codec.Answer{TaskID: "\x07"}, "none"},
		{"error", "\x83\xa4code\x67\xa6taskId\xa17\xa5error\xa2no", codec.Answer{Code: 103, TaskID: "\xa17", Error: "no"}, "none"},
		{"error that says when to come again", "\x82\xa4code\xcc\xc9\xacretryAfterMs\xcd\x01\x00", codec.Answer{Code: 201, RetryAfterMs: 256}, "none"},
		{"code of another type", "\x81\xa4code\xa10", codec.Answer{}, "field"},
		{"taskId of another type", "\x81\xa6taskId\xc3", codec.Answer{}, "field"},
		{"key of another type", "\x81\x01\x01", codec.Answer{}, "field"},
		{"no map", "\xc3", codec.Answer{}, "field"},
		{"cut off", "\x83\xa4code\x00", codec.Answer{}, "syntax"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := codec.DecodeResponse(codec.MsgPack, []byte(tc.body))
			if class(err) != tc.err {
				t.Fatalf("error %v, want one of class %s", err, tc.err)
			}
			if err == nil && !sameAnswer(got, tc.want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func sameAnswer(a, b codec.Answer) bool {
	return a.Code == b.Code && a.TaskID == b.TaskID && string(a.Result) == string(b.Result) && a.Error == b.Error && a.RetryAfterMs == b.RetryAfterMs
}

// FuzzDecodeResponse: the short way through an answer gives what the library gives, and lets nothing pass
// that neither the library nor whoever reads the result would take.
func FuzzDecodeResponse(f *testing.F) {
	for _, seed := range []string{
		`{"code":0,"taskId":7,"result":{"msgId":"m","seq":1}}`, `{"code":0,"taskId":7,"result":{},"x":{}}`,
		`{"code":0,"taskId":7,"result":{"a":"}\""}}`, `{"code":5,"taskId":"x","error":"e"}`, `{"code":0,"taskId":01,"result":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var lib struct {
			Code   int            `json:"code"`
			TaskID codec.TaskID   `json:"taskId"`
			Result jsontext.Value `json:"result"`
			Error  string         `json:"error"`
			Retry  int64          `json:"retryAfterMs"`
		}
		libErr := jsonx.Unmarshal(body, &lib)
		got, err := codec.DecodeResponse(codec.JSON, body)
		switch {
		case err == nil && libErr == nil:
			if want := (codec.Answer{Code: lib.Code, TaskID: lib.TaskID, Result: lib.Result, Error: lib.Error, RetryAfterMs: lib.Retry}); !sameAnswer(got, want) {
				t.Fatalf("%+v %s, want %+v %s", got, got.Result, want, want.Result)
			}
		case err == nil:
			var v any
			if codec.UnmarshalValue(codec.JSON, got.Result, &v) == nil {
				t.Fatalf("%+v %s, but the library says %v", got, got.Result, libErr)
			}
		case libErr == nil && class(err) != "field": // null is a document for the library, but no answer
			t.Fatalf("%v for what the library takes", err)
		}
		_, _ = codec.DecodeResponse(codec.MsgPack, body)
	})
}
