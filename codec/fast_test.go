package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	jsonx "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/codec"
)

// wholeModel is the MsgModel of the seed's document as a client that knows nothing else may send it.
const wholeModel = `{"fromUserId": 1, "toUserId": "2", "contentStr": "hello", "serverReceiveDate": null, "msgId": "m1",
	"msgContentType": "1", "sessionId": null, "state": 0, "sendDate": 1.7000000005E+12, "taskId": "", "isSend": false, "progress": -0.5e-3,
	"user": {"name": "a\u00e4\n\"b\"", "tags": [], "more": {"x": [1, [true, null, {}], 0]}}, "empty": {}, "list": [ 1 , 2.50 , "x" ]}`

// TestAWholeMsgModelStaysOnTheFastPath: it must not cost such a client's messages more than their length.
func TestAWholeMsgModelStaysOnTheFastPath(t *testing.T) {
	want := codec.MessageRequest{FromUserID: codec.SomeID(1), ToUserID: codec.SomeID(2), ContentStr: "hello", MsgID: "m1",
		MsgContentType: codec.SomeInteger(1), SendDate: "1.7000000005E+12"}
	var got codec.MessageRequest
	body := []byte(wholeModel)
	allocs := testing.AllocsPerRun(100, func() {
		if err := codec.DecodeMessage(codec.JSON, body, &got); err != nil {
			t.Fatal(err)
		}
	})
	if got != want {
		t.Error(cmp.Diff(want, got))
	}
	if allocs > 1 { // the copy of the body
		t.Errorf("it allocates %v times", allocs)
	}
}

// odd are documents at the edges of JSON.
var odd = []string{
	`{"x":1.5e-3,"y":-0,"z":0.0}`, `{"x":01}`, `{"x":1.}`, `{"x":.5}`, `{"x":1e}`, `{"x":+1}`, `{"x":-}`, `{"x":1e+}`, `{"x":1E+2}`, `{"x":0x1}`, `{"x":1 2}`,
	`{"x":true,"y":false,"z":null}`, `{"x":True}`, `{"x":tru}`, `{"x":nul`, `{"x":nulll}`, `{"x":NaN}`, `{"x":undefined}`,
	`{"x":"\ud83d\ude00"}`, `{"x":"\ud83d"}`, `{"x":"\ude00\ud83d"}`, `{"x":"\ud83dx"}`, `{"x":"\ud83d\n"}`, `{"x":"\u12g4"}`, `{"x":"\u12`, `{"x":"\x"}`, `{"x":"\`, `{"x":"\u00E4\uD83D\uDE00\ufffd"}`,
	"{\"x\":\"\xc3\"}", "{\"\xff\":1}", "{\"x\":\"a\x00b\"}", "{\"x\":[\"\u2028\"]}", "{\"x\":\"\xed\xa0\x80\"}", "{\"x\":\"\x7f\"}",
	`{"x":[]}`, `{"x":[1,]}`, `{"x":[,1]}`, `{"x":[1 2]}`, `{"x":[1}`, `{"x":[`, `{"x":[[[]]]}`, `{"x":[1,2`, `{"x":]}`,
	`{"x":{}}`, `{"x":{"a":1,}}`, `{"x":{,}}`, `{"x":{"a"}}`, `{"x":{"a":}}`, `{"x":{a:1}}`, `{"x":{"a":1 "b":2}}`, `{"x":{"a":1`, `{,}`, `{"x":1,}`,
	`{"x":{"a":1,"a":2}}`, `{"x":{"a":{"a":1},"b":{"a":1}}}`, `{"x":{"a":1,"\u0061":2}}`, `{"x":[{"a":1},{"a":1}]}`, `{"x":1,"\u0078":2}`, `{"":1,"":2}`, `{"":{"":{"":1}}}`,
	`{"msgId":"a","\u006dsgId":"b"}`, `{"\u006dsgId":"b"}`, `{"msgId":null,"toUserId":null,"msgContentType":null,"sendDate":null,"taskId":null}`,
	`{"sendDate":true}`, `{"sendDate":-1.5E3}`, `{"sendDate":[]}`, `{"taskId":1.5}`, `{"taskId":1e3}`, `{"taskId":-0}`, `{"taskId":false}`, `{"taskId":[]}`,
	`{"toUserId":""}`, `{"toUserId":true}`, `{"toUserId":[]}`, `{"toUserId":1e0}`, `{"toUserId":"\u0031"}`, `{"contentStr":[]}`, `{"contentStr":1}`, `{"contentStr":true}`,
	wholeModel, " \t\r\n{ \"x\" : [ 1 , { } ] } \n", `{"x":1}}`, `{"x":1},`, `{}{}`, `{} x`, "\v{}", `"x"`, `tru`, `true`, `-`, `[`, `[1]`, ``, ` `,
	many(16), many(17), many(100), many(100) + "x", `{"x":` + many(40) + `,"y":` + many(40) + `}`,
	strings.Replace(many(100), `"k99"`, `"k3"`, 1), `{"x":` + strings.Replace(many(30), `"k17"`, `"k17","k17"`, 1) + `}`,
	`{"x":` + strings.Replace(many(30), `"k29"`, `"k0"`, 1) + `}`, strings.Replace(many(17), `"k16"`, `"k0"`, 1),
	`{"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`,
}

// many is an object of n fields.
func many(n int) string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"k%d":%d`, i, i)
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// TestTheFastPathIsTheLibrary: it takes and refuses what the library would, with the same result.
func TestTheFastPathIsTheLibrary(t *testing.T) {
	for _, body := range odd {
		sameAsLibrary(t, body)
	}
}

func sameAsLibrary(t *testing.T, body string) {
	t.Helper()
	guarded := codec.GuardJSON([]byte(body))
	if errors.Is(guarded, codec.ErrDeepJSON) {
		return // a rule of ours
	}
	if valid := jsontext.Value(body).IsValid(); (guarded == nil) != valid {
		t.Errorf("%s: guard %v, but to the library it is valid: %v", body, guarded, valid)
	}
	var fast, slow codec.MessageRequest
	err := codec.DecodeMessage(codec.JSON, []byte(body), &fast)
	libErr := jsonx.Unmarshal([]byte(body), &slow)
	if libErr == nil && !strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{") {
		libErr = errors.New("null is no body")
	}
	if (err == nil) != (libErr == nil) || err == nil && fast != slow {
		t.Errorf("%s\nfast %+v %v\nlibrary %+v %v", body, fast, err, slow, libErr)
	}
	if class(err) != "syntax" && guarded != nil || class(err) == "syntax" && guarded == nil {
		t.Errorf("%s: %v, but the guard says %v", body, err, guarded)
	}
	var push, slowPush codec.MessageBody
	err = codec.DecodeMessagePush(codec.JSON, []byte(body), &push)
	libErr = codec.Unmarshal(codec.JSON, []byte(body), &slowPush)
	if class(err) != class(libErr) || err == nil && push != slowPush {
		t.Errorf("%s as a push\nfast %+v %v\nlibrary %+v %v", body, push, err, slowPush, libErr)
	}
}

func FuzzTheFastPathIsTheLibrary(f *testing.F) {
	for _, body := range odd {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) { sameAsLibrary(t, body) })
}

// TestAJSONBodyNests16Deep, as one in MessagePack does.
func TestAJSONBodyNests16Deep(t *testing.T) {
	for depth, want := range map[int]string{15: "none", 16: "syntax"} { // the body is a level itself
		for _, c := range []string{"[]", `{}`} {
			body := `{"x":` + strings.Repeat(map[string]string{"[]": "[", "{}": `{"y":`}[c], depth) + "1" + strings.Repeat(c[1:], depth) + "}"
			for way, decode := range decoders(&codec.MessageRequest{}) {
				if err := decode(codec.JSON, []byte(body), &codec.MessageRequest{}); class(err) != want {
					t.Errorf("%d of %s by %s: %v", depth, c, way, err)
				}
			}
		}
	}
}

// BenchmarkWholeMsgModel is a message of a client of the seed:
//
//	go test ./codec -run '^$' -bench WholeMsgModel
func BenchmarkWholeMsgModel(b *testing.B) {
	b.ReportAllocs()
	body := []byte(wholeModel)
	var m codec.MessageRequest
	for b.Loop() {
		if err := codec.DecodeMessage(codec.JSON, body, &m); err != nil {
			b.Fatal(err)
		}
	}
}
