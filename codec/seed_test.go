package codec_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/codec"
)

// inBoth is a document in each format, made by the libraries alone.
func inBoth(t *testing.T, text string) map[codec.Format][]byte {
	t.Helper()
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return map[codec.Format][]byte{codec.JSON: []byte(text), codec.MsgPack: pack(t, doc)}
}

// decoders are the ways into v: the library's and, for a message, the hot one.
func decoders(v any) map[string]func(codec.Format, []byte, any) error {
	ways := map[string]func(codec.Format, []byte, any) error{"Unmarshal": codec.Unmarshal}
	if _, ok := v.(*codec.MessageRequest); ok {
		ways["DecodeMessage"] = func(f codec.Format, b []byte, v any) error {
			return codec.DecodeMessage(f, b, v.(*codec.MessageRequest))
		}
	}
	return ways
}

// TestAnEmptyTextIsAbsent: clients of the seed write "" where they have nothing.
func TestAnEmptyTextIsAbsent(t *testing.T) {
	for _, tc := range []struct {
		name string
		body string
		want any
	}{
		{"bind", `{"userId":"","taskId":""}`, &codec.Bind{}},
		{"message", `{"fromUserId":"","toUserId":"","contentStr":"","msgId":"","sendDate":"","msgContentType":"","sessionId":"","taskId":""}`, &codec.MessageRequest{}},
		{"group", `{"userId":"","groupId":"","groupName":"","groupHeadImage":"","creator":"","clear":null,"msgId":"","taskId":""}`, &codec.GroupRequest{}},
		{"status", `{"userId":"","state":"","seq":"","sessionId":"","peerId":"","taskId":""}`, &codec.StatusRequest{}},
		{"info", `{"userId":"","msgId":"","seq":"","peerId":"","taskId":""}`, &codec.InfoRequest{}},
		{"offline", `{"userId":"","limit":"","taskId":""}`, &codec.OfflineRequest{}},
		{"history", `{"userId":"","peerId":"","beforeSeq":"","afterSeq":"","limit":"","taskId":""}`, &codec.HistoryRequest{}},
		{"sessions", `{"userId":"","limit":"","after":"","taskId":""}`, &codec.SessionsRequest{}},
	} {
		for format, body := range inBoth(t, tc.body) {
			for way, decode := range decoders(tc.want) {
				got := newLike(tc.want)
				if err := decode(format, body, got); err != nil || !cmp.Equal(got, tc.want) {
					t.Errorf("%s, %s by %s: %+v, %v", tc.name, format, way, got, err)
				}
			}
		}
	}
}

// TestAnEmptyTextIsNoMember: what is required stays required.
func TestAnEmptyTextIsNoMember(t *testing.T) {
	for _, text := range []string{`{"memberIds":[1,""]}`, `{"memberIds":[null]}`, `{"memberIds":[[]]}`, `{"memberIds":""}`, `{"memberIds":{}}`, `{"memberIds":[true]}`} {
		for format, body := range inBoth(t, text) {
			var field *codec.FieldError
			if err := codec.Unmarshal(format, body, &codec.GroupRequest{}); !errors.As(err, &field) || !strings.Contains(err.Error(), "memberIds") && format == codec.JSON {
				t.Errorf("%s in %s: %v", text, format, err)
			}
		}
	}
	for format, body := range inBoth(t, `{"fromUserId":""}`) {
		if err := codec.DecodeMessagePush(format, body, &codec.MessageBody{}); class(err) != "field" {
			t.Errorf("a push from nobody in %s: %v", format, err)
		}
	}
}

// TestLimitsCountTheContent: neither quotes nor headers count, and an escape as what it stands for.
func TestLimitsCountTheContent(t *testing.T) {
	for _, tc := range []struct {
		name  string
		value string // a JSON token
		ok    bool
	}{
		{"127 letters", `"` + strings.Repeat("x", 127) + `"`, true},
		{"128 letters", `"` + strings.Repeat("x", 128) + `"`, true},
		{"129 letters", `"` + strings.Repeat("x", 129) + `"`, false},
		{"128 bytes in 42 letters", `"` + strings.Repeat("\u4e2d", 42) + `xx"`, true},
		{"129 bytes in 43 letters", `"` + strings.Repeat("\u4e2d", 43) + `"`, false},
		{"128 escapes", `"` + strings.Repeat(`\n`, 128) + `"`, true},
		{"128 long escapes", `"` + strings.Repeat(`\u0001`, 128) + `"`, true},
		{"129 long escapes", `"` + strings.Repeat(`\u0001`, 129) + `"`, false},
		{"one escape too many", `"` + strings.Repeat("x", 128) + `\n"`, false},
	} {
		for _, field := range []string{"taskId", "sendDate"} {
			for format, body := range inBoth(t, `{"`+field+`":`+tc.value+`}`) {
				for way, decode := range decoders(&codec.MessageRequest{}) {
					var m codec.MessageRequest
					err := decode(format, body, &m)
					if (err == nil) != tc.ok || tc.ok && m.TaskID.IsZero() && m.SendDate.IsZero() {
						t.Errorf("%s of %s, %s by %s: %+v, %v", field, tc.name, format, way, m, err)
					}
				}
				if task, _ := codec.TaskIDOf(format, body); field == "taskId" && task.IsZero() == tc.ok {
					t.Errorf("TaskIDOf %s in %s: %q", tc.name, format, task)
				}
			}
		}
	}
	number := `{"taskId":` + strings.Repeat("1", 129) + `}`
	if err := codec.DecodeMessage(codec.JSON, []byte(number), &codec.MessageRequest{}); class(err) != "field" {
		t.Errorf("a number of 129 digits: %v", err)
	}
}
