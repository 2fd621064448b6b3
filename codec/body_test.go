package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/msgserver/msgserver/codec"
)

// pack gives v in MessagePack, made by the library alone.
func pack(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnmarshalNumbers(t *testing.T) {
	type numbers struct {
		ID  codec.ID         `json:"id"`
		Opt codec.OptID      `json:"opt"`
		N   codec.Integer    `json:"n"`
		Lim codec.OptInteger `json:"lim"`
		IDs codec.IDs        `json:"ids"`
	}
	for _, tc := range []struct {
		name  string
		json  string
		pack  any
		want  numbers
		wrong string // the field that is wrong; "" is none
	}{
		{name: "numbers", json: `{"id":1,"opt":0,"n":-5,"lim":9}`, pack: map[string]any{"id": 1, "opt": 0, "n": -5, "lim": int64(9)},
			want: numbers{1, codec.SomeID(0), -5, codec.SomeInteger(9), nil}},
		{name: "strings", json: `{"id":"9007199254740991","opt":"7","n":"-5","lim":"0"}`, pack: map[string]any{"id": "9007199254740991", "opt": "7", "n": "-5", "lim": "0"},
			want: numbers{codec.MaxID, codec.SomeID(7), -5, codec.SomeInteger(0), nil}},
		{name: "null is absent", json: `{"opt":null,"n":null,"lim":null}`, pack: map[string]any{"opt": nil, "n": nil, "lim": nil}},
		{name: "ids null", json: `{"ids":[null]}`, pack: map[string]any{"ids": []any{nil}}, wrong: "ids"},
		{name: "ids", json: `{"ids":[1,"2"]}`, pack: map[string]any{"ids": []any{1, "2"}}, want: numbers{IDs: codec.IDs{1, 2}}},
		{name: "id over 2^53-1", json: `{"id":9007199254740992}`, pack: map[string]any{"id": uint64(1) << 53}, wrong: "id"},
		{name: "id over 2^64", json: `{"id":99999999999999999999}`, pack: map[string]any{"id": "99999999999999999999"}, wrong: "id"},
		{name: "id negative", json: `{"id":-1}`, pack: map[string]any{"id": -1}, wrong: "id"},
		{name: "id with a fraction", json: `{"id":1.0}`, pack: map[string]any{"id": 1.0}, wrong: "id"},
		{name: "id in exponents", json: `{"id":1e3}`, pack: map[string]any{"id": "1e3"}, wrong: "id"},
		{name: "id with a plus", json: `{"id":"+1"}`, pack: map[string]any{"id": "+1"}, wrong: "id"},
		{name: "id with a zero before", json: `{"id":"01"}`, pack: map[string]any{"id": "01"}, wrong: "id"},
		{name: "id empty", json: `{"id":""}`, pack: map[string]any{"id": ""}, wrong: "id"},
		{name: "id a list", json: `{"id":[1]}`, pack: map[string]any{"id": []int{1}}, wrong: "id"},
		{name: "n over 64 bits", json: `{"n":9223372036854775808}`, pack: map[string]any{"n": uint64(1) << 63}, wrong: "n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for format, body := range map[codec.Format][]byte{codec.JSON: []byte(tc.json), codec.MsgPack: pack(t, tc.pack)} {
				var got numbers
				err := codec.Unmarshal(format, body, &got)
				if tc.wrong != "" {
					var field *codec.FieldError
					if !errors.As(err, &field) {
						t.Errorf("%s: error %v, want a FieldError", format, err)
					}
					continue
				}
				if err != nil || !cmp.Equal(got, tc.want) {
					t.Errorf("%s: %+v, %v", format, got, err)
				}
			}
		})
	}
}

func TestUnmarshalErrors(t *testing.T) {
	const syntax, field, fine = "syntax", "field", "fine"
	deep := bytes.Repeat([]byte{0x91}, 1<<20)
	for _, tc := range []struct {
		name   string
		format codec.Format
		body   string
		want   string
	}{
		{"empty object", codec.JSON, `{}`, fine},
		{"unknown fields", codec.JSON, `{"x":{"y":[1,2,{"z":null}]}}`, fine},
		{"empty json", codec.JSON, ``, syntax},
		{"cut off", codec.JSON, `{"groupName":"a"`, syntax},
		{"trailing bytes", codec.JSON, `{} {}`, syntax},
		{"duplicate keys", codec.JSON, `{"groupName":"a","groupName":"a"}`, syntax},
		{"duplicate unknown keys", codec.JSON, `{"x":1,"x":2}`, syntax},
		{"invalid utf-8", codec.JSON, "{\"groupName\":\"\xff\"}", syntax},
		{"wrong type, then broken", codec.JSON, `{"groupName":5,`, syntax},
		{"wrong type", codec.JSON, `{"groupName":5}`, field},
		{"a list", codec.JSON, `[1]`, field},
		{"null", codec.JSON, `null`, field},
		{"deep json", codec.JSON, strings.Repeat("[", 1<<20), syntax},
		{"no body", codec.None, ``, fine},
		{"a body that is not there", codec.None, `{}`, syntax},
		{"empty map", codec.MsgPack, "\x80", fine},
		{"empty msgpack", codec.MsgPack, ``, syntax},
		{"nil", codec.MsgPack, "\xc0", field},
		{"an array", codec.MsgPack, "\x91\x01", field},
		{"trailing bytes in msgpack", codec.MsgPack, "\x80\x80", syntax},
		{"array32 of 4 billion", codec.MsgPack, "\xdd\xff\xff\xff\xff", syntax},
		{"map32 of 4 billion", codec.MsgPack, "\xdf\xff\xff\xff\xff", syntax},
		{"str32 of 4 gigabytes", codec.MsgPack, "\x81\xa9groupName\xdb\xff\xff\xff\xff", syntax},
		{"bin32 of 4 gigabytes", codec.MsgPack, "\x81\xa9groupName\xc6\xff\xff\xff\xff", syntax},
		{"memberIds of 4 billion", codec.MsgPack, "\x81\xa9memberIds\xdd\xff\xff\xff\xff", syntax},
		{"a megabyte of nesting", codec.MsgPack, string(deep), syntax},
		{"16 deep", codec.MsgPack, "\x81\xa1x" + string(deep[:15]) + "\x01", fine},
		{"17 deep", codec.MsgPack, "\x81\xa1x" + string(deep[:16]) + "\x01", syntax},
		{"byte that begins nothing", codec.MsgPack, "\x81\xa1x\xc1", syntax},
		{"invalid utf-8 in msgpack", codec.MsgPack, "\x81\xa9groupName\xa1\xff", syntax},
		{"wrong type in msgpack", codec.MsgPack, "\x81\xa9groupName\x05", field},
		{"key that is no string", codec.MsgPack, "\x81\x01\x02", field},
		{"extension in an unknown field", codec.MsgPack, "\x81\xa1x\xc7\x03\x01abc", fine},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var req codec.GroupRequest
			err := codec.Unmarshal(tc.format, []byte(tc.body), &req)
			got := fine
			if errors.As(err, new(*codec.SyntaxError)) {
				got = syntax
			} else if errors.As(err, new(*codec.FieldError)) {
				got = field
			} else if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%s (%v), want %s", got, err, tc.want)
			}
		})
	}
}

func TestTaskIDIsEchoedAsItCame(t *testing.T) {
	for _, tc := range []struct {
		name   string
		format codec.Format
		body   string
		want   string
		ok     bool
	}{
		{"string", codec.JSON, `{"taskId":"a\u0041\"x"}`, `"a\u0041\"x"`, true},
		{"integer", codec.JSON, `{"taskId": -12}`, `-12`, true},
		{"large integer", codec.JSON, `{"taskId":123456789012345678901234567890}`, `123456789012345678901234567890`, true},
		{"null", codec.JSON, `{"taskId":null}`, ``, true},
		{"128 bytes", codec.JSON, `{"taskId":"` + strings.Repeat("x", 126) + `"}`, `"` + strings.Repeat("x", 126) + `"`, true},
		{"130 bytes of digits", codec.JSON, `{"taskId":` + strings.Repeat("1", 130) + `}`, ``, false},
		{"fraction", codec.JSON, `{"taskId":1.5}`, ``, false},
		{"object", codec.JSON, `{"taskId":{}}`, ``, false},
		{"string in msgpack", codec.MsgPack, "\x81\xa6taskId\xd9\x01a", "\xd9\x01a", true},
		{"integer in msgpack", codec.MsgPack, "\x81\xa6taskId\xd3\x00\x00\x00\x00\x00\x00\x00\x01", "\xd3\x00\x00\x00\x00\x00\x00\x00\x01", true},
		{"uint64 in msgpack", codec.MsgPack, "\x81\xa6taskId\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", true},
		{"float in msgpack", codec.MsgPack, "\x81\xa6taskId\xca\x00\x00\x00\x00", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var req codec.GroupRequest
			err := codec.Unmarshal(tc.format, []byte(tc.body), &req)
			if (err == nil) != tc.ok || string(req.TaskID) != tc.want {
				t.Fatalf("taskId %q, err %v", req.TaskID, err)
			}
			var m codec.MessageRequest
			err = codec.DecodeMessage(tc.format, []byte(tc.body), &m)
			if (err == nil) != tc.ok || string(m.TaskID) != tc.want {
				t.Fatalf("in a message: taskId %q, err %v", m.TaskID, err)
			}
			if !tc.ok || tc.want == "" {
				return
			}
			frame, err := codec.AppendResponse(nil, tc.format, codec.QueryGroupInfo, req.TaskID, codec.Empty{})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(frame, []byte("taskId")) || !bytes.Contains(frame, []byte(tc.want)) {
				t.Fatalf("%q is not in %q", tc.want, frame)
			}
		})
	}
}

func TestTaskIDOfABodyThatBreaksARule(t *testing.T) {
	for _, tc := range []struct {
		name, body  string
		task, msgID string
	}{
		{"both", `{"userId":[],"taskId":"t","msgId":"m"}`, `"t"`, "m"},
		{"a wrong taskId", `{"taskId":{"a":[1]},"msgId":"m"}`, "", "m"},
		{"a wrong msgId", `{"msgId":[true],"taskId":"t"}`, `"t"`, ""},
		{"empty ones", `{"msgId":"","taskId":""}`, "", ""},
		{"null", `{"msgId":null,"taskId":null}`, "", ""},
		{"long ones", `{"msgId":"` + strings.Repeat("x", 129) + `","taskId":"` + strings.Repeat("x", 129) + `"}`, "", ""},
		{"escapes", `{"m\u0073gId":"a\n","taskId":"t"}`, `"t"`, "a\n"},
		{"a list", `["taskId"]`, "", ""},
	} {
		for format, body := range inBoth(t, tc.body) {
			task, msgID := codec.TaskIDOf(format, body)
			want := codec.TaskID(tc.task)
			if format == codec.MsgPack && want != "" {
				want = codec.StringTask(format, strings.Trim(tc.task, `"`))
			}
			if task != want || msgID != tc.msgID {
				t.Errorf("%s in %s: %q %q", tc.name, format, task, msgID)
			}
		}
	}
	for _, broken := range []string{`{"taskId":`, `{"taskId":7}x`, `{"taskId":7,"x":1,"x":1}`, `{"taskId":7,"taskId":7}`, ``} {
		if task, _ := codec.TaskIDOf(codec.JSON, []byte(broken)); task != "" {
			t.Errorf("%q from %s", task, broken)
		}
	}
}

func TestScalarCrossesFormats(t *testing.T) {
	for _, tc := range []struct {
		name  string
		value any
		token string
	}{
		{"integer", int64(1700000000000), `1700000000000`},
		{"negative", -3, `-3`},
		{"uint64", uint64(1<<64 - 1), `18446744073709551615`},
		{"float", 1.5, `1.5`},
		{"whole float", 2.0, `2.0`},
		{"string", "2016-01-01 \"x\"", `"2016-01-01 \"x\""`},
		{"true", true, `true`},
		{"absent", nil, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := pack(t, map[string]any{"sendDate": tc.value})
			var m codec.MessageRequest
			if err := codec.DecodeMessage(codec.MsgPack, body, &m); err != nil || string(m.SendDate) != tc.token {
				t.Fatalf("token %q, %v", m.SendDate, err)
			}
			var again struct {
				SendDate any `msgpack:"sendDate"`
			}
			out, err := codec.AppendBody(nil, codec.MsgPack, &m)
			if err != nil {
				t.Fatal(err)
			}
			if err := msgpack.Unmarshal(out, &again); err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(again.SendDate), fmt.Sprint(tc.value); got != want {
				t.Errorf("came back as %s, want %s", got, want)
			}
		})
	}
}

func TestBodiesAreTheSameInBothFormats(t *testing.T) {
	name, delivered := "a group \u00e4 \U0001f600", 3
	for _, body := range []any{
		&codec.Bind{UserID: codec.SomeID(0), Token: "t", DeviceID: "d"},
		&codec.Bound{UserID: 1, ServerDate: 2, Epoch: "e"},
		&codec.Bound{UserID: 1, ServerDate: 2},
		&codec.GroupRequest{GroupName: &name, MemberIDs: []codec.ID{1, 2, codec.MaxID}, Creator: codec.SomeID(4)},
		&codec.GroupBody{GroupID: "g", GroupName: name, MemberIDs: []codec.ID{}, UpdateDate: 5, Seq: 7, UserID: codec.SomeID(0)},
		&codec.StatusRequest{State: 2, MsgIDs: []string{"a"}, PeerID: codec.SomeID(0)},
		&codec.HistoryRequest{SessionID: "g", BeforeSeq: codec.SomeInteger(0), Limit: codec.SomeInteger(200)},
		&codec.MessageInfo{MessageBody: codec.MessageBody{ContentStr: "x", SendDate: `"d"`, Seq: 1 << 40}, DeliveredCount: &delivered, ReadCount: new(int)},
		&codec.Timeline{Messages: []codec.TimelineItem{
			{LabelName: codec.Message, Content: &codec.MessageBody{ContentStr: name, Seq: 1}},
			{LabelName: codec.GroupMembersAddNoti, Content: &codec.MembersBody{GroupID: "g", MemberIDs: []codec.ID{1}, Seq: 2}},
			{LabelName: codec.CreateGroupNoti, Content: &codec.GroupBody{GroupID: "g", MemberIDs: []codec.ID{2}, Seq: 3}},
			{LabelName: "ofTheFutureNoti", Content: &codec.UnknownBody{FromUserID: 1, ToUserID: 2, SessionID: "g", ServerReceiveDate: 5, Seq: 4}},
		}, More: true, FirstSeq: 1},
		&codec.SessionList{Sessions: []codec.SessionBody{{PeerID: codec.SomeID(0), LastMessage: &codec.MessageBody{ContentStr: "x"}}}, After: "a"},
	} {
		for _, format := range []codec.Format{codec.JSON, codec.MsgPack} {
			b, err := codec.AppendBody(nil, format, body)
			if err != nil {
				t.Fatalf("%T in %s: %v", body, format, err)
			}
			again := newLike(body)
			if err := codec.Unmarshal(format, b, again); err != nil {
				t.Fatalf("%T in %s: %v\n%q", body, format, err, b)
			}
			if diff := cmp.Diff(body, again); diff != "" {
				t.Errorf("%T in %s:\n%s\n%q", body, format, diff, b)
			}
		}
	}
}

// TestEntriesOfUnknownKindsAreNotMessages, and do not spoil the page that they stand in, whatever they hold.
func TestEntriesOfUnknownKindsAreNotMessages(t *testing.T) {
	const page = `{"messages":[{"labelName":"recallMessageNoti","content":{"fromUserId":1,"sessionId":"g","seq":7,"contentStr":5}},
		{"labelName":"bareNoti"},{"labelName":"oddNoti","content":{"seq":{"a":1}}},{"labelName":"listNoti","content":[1]},
		{"labelName":"message","content":{"fromUserId":2,"contentStr":"x","seq":8}}],"more":true}`
	var inJSON, inMsgPack codec.Timeline
	if err := codec.UnmarshalValue(codec.JSON, []byte(page), &inJSON); err != nil {
		t.Fatal(err)
	}
	type doc = map[string]any
	b := pack(t, doc{"more": true, "messages": []doc{
		{"labelName": "recallMessageNoti", "content": doc{"fromUserId": 1, "sessionId": "g", "seq": 7, "contentStr": 5}},
		{"labelName": "bareNoti"}, {"labelName": "oddNoti", "content": doc{"seq": doc{"a": 1}}}, {"labelName": "listNoti", "content": []int{1}},
		{"labelName": "message", "content": doc{"fromUserId": 2, "contentStr": "x", "seq": 8}},
	}})
	if err := codec.UnmarshalValue(codec.MsgPack, b, &inMsgPack); err != nil {
		t.Fatal(err)
	}
	want := codec.Timeline{Messages: []codec.TimelineItem{
		{LabelName: "recallMessageNoti", Content: &codec.UnknownBody{FromUserID: 1, SessionID: "g", Seq: 7}},
		{LabelName: "bareNoti", Content: &codec.UnknownBody{}}, {LabelName: "oddNoti", Content: &codec.UnknownBody{}},
		{LabelName: "listNoti", Content: &codec.UnknownBody{}},
		{LabelName: codec.Message, Content: &codec.MessageBody{FromUserID: 2, ContentStr: "x", Seq: 8}},
	}, More: true}
	if diff := cmp.Diff(want, inJSON); diff != "" {
		t.Errorf("in JSON (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, inMsgPack); diff != "" {
		t.Errorf("in MessagePack (-want +got):\n%s", diff)
	}
}

// newLike is a zero value of the type that v points to.
func newLike(v any) any { return reflect.New(reflect.TypeOf(v).Elem()).Interface() }

func TestASendDateIsNotRewritten(t *testing.T) {
	const date = `"a\u0041\/"`
	b, err := codec.AppendBody(nil, codec.JSON, &codec.MessageBody{SendDate: date})
	if err != nil || !bytes.Contains(b, []byte(date)) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestAbsentFieldsAreLeftOut(t *testing.T) {
	body := &codec.GroupRequest{GroupID: "g"}
	for format, want := range map[codec.Format]string{codec.JSON: `{"groupId":"g"}`, codec.MsgPack: "\x81\xa7groupId\xa1g"} {
		if b, err := codec.AppendBody(nil, format, body); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", format, b, err)
		}
	}
}

// TestQuickTaskID: what is found in a large body without looking at all of it is what a whole look finds.
func TestQuickTaskID(t *testing.T) {
	filler := `"memberIds":[` + strings.Repeat(`"12345",`, 3000) + `1]`
	for name, fields := range map[string]string{
		"number last": filler + `,"taskId":17`, "number first": `"taskId": -3 ,` + filler, "text": `"taskId":"abc-é",` + filler,
		"none": filler, "null": `"taskId":null,` + filler, "a float": `"taskId":1.5,` + filler, "an exponent": `"taskId":1e3,` + filler,
		"an object": `"taskId":{},` + filler, "too long": `"taskId":"` + strings.Repeat("x", 129) + `",` + filler,
		"as long as it may be": `"taskId":"` + strings.Repeat("x", 128) + `",` + filler,
		"escaped":              `"taskId":"a\"b",` + filler, "an escaped key": `"task\u0049d":4,` + filler,
		"in a text, too": `"groupName":"\"taskId\":5","taskId":6,` + filler, "twice, once deeper": `"x":{"taskId":1},"taskId":2,` + filler,
	} {
		body := []byte("{" + fields + "}")
		var v map[string]any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		packed, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for format, body := range map[codec.Format][]byte{codec.JSON: body, codec.MsgPack: packed} {
			want, _ := codec.TaskIDOf(format, body)
			if got := codec.QuickTaskID(format, body); got != want {
				t.Errorf("%s, %s: %q, want %q", name, format, got, want)
			}
		}
	}
}
