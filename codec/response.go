package codec

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Answer is a response as clients read it: {"code","taskId","result"} or {"code","taskId","error","retryAfterMs"?}.
type Answer struct {
	Code         int
	TaskID       TaskID
	Result       []byte // a document of the frame's format; nil if there is none
	Error        string
	RetryAfterMs int64 // with an error: when to send the same again; 0 if the server does not say
}

// AppendResponse appends the answer to a request that succeeded, as a whole frame. A result that does not
// fit into a frame is an error, and dst is as it was. None is answered in JSON.
func AppendResponse(dst []byte, f Format, label Label, task TaskID, result any) ([]byte, error) {
	if f == None {
		f = JSON
	}
	before := len(dst)
	dst, at := BeginFrame(dst, f, Response, label)
	dst = appendResponseHead(dst, f, task, 0, "result")
	dst, err := AppendBody(dst, f, result)
	if err != nil {
		return dst[:before], err
	}
	if f == JSON {
		dst = append(dst, '}')
	}
	return EndFrame(dst, at)
}

// AppendErrorResponse appends the answer to a request that failed, as a whole frame.
func AppendErrorResponse(dst []byte, f Format, label Label, task TaskID, code int, message string) []byte {
	if f == None {
		f = JSON
	}
	dst, at := BeginFrame(dst, f, Response, label)
	dst = appendResponseHead(dst, f, task, code, "error")
	if f == MsgPack {
		return endShort(appendStr(dst, message), at)
	}
	return endShort(append(appendQuoted(dst, message), '}'), at)
}

// appendResponseHead appends an answer up to the value of its last key.
func appendResponseHead(dst []byte, f Format, task TaskID, code int, last string) []byte {
	if f == MsgPack {
		n := 3
		if task.IsZero() {
			n = 2
		}
		dst = appendInt(appendStr(appendMapLen(dst, n), "code"), int64(code))
		if n == 3 {
			dst = append(appendStr(dst, "taskId"), task...)
		}
		return appendStr(dst, last)
	}
	dst = strconv.AppendInt(append(dst, `{"code":`...), int64(code), 10)
	if !task.IsZero() {
		dst = append(append(dst, `,"taskId":`...), task...)
	}
	return append(append(append(dst, `,"`...), last...), `":`...)
}

// AppendPush appends a push, as a whole frame.
func AppendPush(dst []byte, f Format, label Label, v any) ([]byte, error) {
	before := len(dst)
	dst, at := BeginFrame(dst, f, Push, label)
	dst, err := AppendBody(dst, f, v)
	if err != nil {
		return dst[:before], err
	}
	return EndFrame(dst, at)
}

// AppendBool appends the bare answer to canConnect, as a whole frame. None is answered in JSON.
func AppendBool(dst []byte, f Format, label Label, yes bool) []byte {
	if f == MsgPack {
		dst, at := BeginFrame(dst, f, Response, label)
		return endShort(appendBool(dst, yes), at)
	}
	dst, at := BeginFrame(dst, JSON, Response, label)
	return endShort(strconv.AppendBool(dst, yes), at)
}

// DecodeResponse reads an answer. Its Result is a part of body.
func DecodeResponse(f Format, body []byte) (Answer, error) {
	if f == MsgPack {
		return readResponse(body)
	}
	var r struct {
		Code   int            `json:"code"`
		TaskID TaskID         `json:"taskId"`
		Result jsontext.Value `json:"result"`
		Error  string         `json:"error"`
		Retry  int64          `json:"retryAfterMs"`
	}
	if quick, ok := scanResponse(body); ok {
		return quick, nil
	}
	err := Unmarshal(f, body, &r)
	return Answer{Code: r.Code, TaskID: r.TaskID, Result: r.Result, Error: r.Error, RetryAfterMs: r.Retry}, err
}

// scanResponse reads {"code":0,"taskId":…,"result":…} as this package writes it; the rest is the library's.
func scanResponse(body []byte) (Answer, bool) {
	const code, result = `{"code":0,"taskId":`, `,"result":`
	if len(body) < len(code)+len(result)+2 || string(body[:len(code)]) != code || body[len(body)-1] != '}' {
		return Answer{}, false
	}
	i := len(code)
	for i < len(body) && body[i]-'0' <= 9 {
		i++
	}
	if i == len(code) || body[len(code)] == '0' || len(body)-i < len(result)+2 || string(body[i:i+len(result)]) != result {
		return Answer{}, false
	}
	raw := body[i+len(result) : len(body)-1]
	return Answer{TaskID: TaskID(body[len(code):i]), Result: raw}, oneObject(raw)
}

// oneObject reports whether raw is a single object from its first byte to its last, and not the first of
// several fields: a newer server may answer more.
func oneObject(raw []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
		if depth == 0 {
			return i > 0 && i == len(raw)-1
		}
	}
	return false
}

func readResponse(body []byte) (Answer, error) {
	var out Answer
	if err := guardAnswer(body); err != nil {
		return out, &SyntaxError{MsgPack, err}
	}
	r := reader{b: string(body), raw: body}
	n, ok := r.mapLen()
	if !ok {
		return out, errObject
	}
	for range n {
		key, ok := r.str()
		if !ok {
			return out, &FieldError{Reason: "a key of the answer is not a string"}
		}
		var err error
		switch key {
		case "code":
			var code int64
			code, ok = r.int()
			out.Code = int(code)
		case "taskId":
			out.TaskID, err = r.task()
		case "result":
			start := r.i
			r.skip()
			out.Result = body[start:r.i]
		case "error":
			out.Error, ok = r.str()
		case "retryAfterMs":
			out.RetryAfterMs, ok = r.int()
		default:
			r.skip()
		}
		if err != nil || !ok {
			return out, &FieldError{Field: key, Reason: "it has the wrong type"}
		}
	}
	return out, nil
}
