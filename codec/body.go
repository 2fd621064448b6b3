package codec

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// SyntaxError says that a body is not a document of its format: broken, with trailing bytes, duplicate keys
// (JSON) or invalid UTF-8, or declaring more than it has.
type SyntaxError struct {
	Format Format
	err    error
}

// Error says what is wrong.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("the body is not valid %s: %v", e.Format, e.err)
}

// Unwrap gives the library's error.
func (e *SyntaxError) Unwrap() error { return e.err }

// FieldError says that a body is a document, but breaks a rule.
type FieldError struct {
	Field  string // "" is the body itself
	Reason string
}

// Error says which field is wrong and how.
func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

var errObject = &FieldError{Reason: "the body is not an object"}

// Unmarshal reads a body into one of this package's types. Its errors are *SyntaxError and *FieldError.
// Fields that the type does not have are ignored. No body is the empty object. Of a key that stands twice
// JSON makes an error; MessagePack takes the last one.
func Unmarshal(f Format, body []byte, v any) error {
	switch f {
	case JSON:
		return unmarshalJSON(body, v)
	case MsgPack:
		return unmarshalMsgPack(body, v)
	}
	if len(body) != 0 {
		return &SyntaxError{f, errors.New("there is a body, but the flags say that there is none")}
	}
	return nil
}

// UnmarshalValue is Unmarshal for what a server sent, which only the frame bounds and which may be an array:
// the result of queryGroupList is.
func UnmarshalValue(f Format, value []byte, v any) error {
	if f != MsgPack {
		return json.Unmarshal(value, v)
	}
	if err := guardAnswer(value); err != nil {
		return &SyntaxError{MsgPack, err}
	}
	return decodeMsgPack(value, v)
}

func unmarshalJSON(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		if !startsWith(body, '{') {
			return errObject // null is nothing to the library
		}
		return nil
	}
	// What the library says first may hide that the rest is no JSON at all.
	if !jsontext.Value(body).IsValid() {
		return &SyntaxError{JSON, syntaxReason(body, err)}
	}
	if !startsWith(body, '{') {
		return errObject
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		reason := fmt.Sprintf("a JSON %s does not fit here", semantic.JSONKind)
		if semantic.Err != nil {
			reason = semantic.Err.Error()
		}
		return &FieldError{Field: strings.TrimPrefix(string(semantic.JSONPointer), "/"), Reason: reason}
	}
	return &FieldError{Reason: err.Error()}
}

func syntaxReason(body []byte, err error) error {
	if syntactic := (*jsontext.SyntacticError)(nil); errors.As(err, &syntactic) {
		return err
	}
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	if err := dec.SkipValue(); err != nil {
		return err
	}
	return errors.New("there are bytes behind the JSON document")
}

func startsWith(body []byte, c byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == c
}

func unmarshalMsgPack(body []byte, v any) error {
	if err := guard(body); err != nil {
		return &SyntaxError{MsgPack, err}
	}
	if c := body[0]; !msgpcode.IsFixedMap(c) && c != msgpcode.Map16 && c != msgpcode.Map32 {
		return errObject
	}
	if err := decodeMsgPack(body, v); err != nil {
		return &FieldError{Reason: "a field has the wrong type: " + strings.TrimPrefix(err.Error(), "msgpack: ")}
	}
	return nil
}

// decodeMsgPack reads what has passed guard.
func decodeMsgPack(value []byte, v any) error {
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(bytes.NewReader(value))
	dec.SetCustomStructTag("json")
	return dec.Decode(v)
}

// AppendBody appends v in format f; None is written as JSON.
func AppendBody(dst []byte, f Format, v any) ([]byte, error) {
	if f != MsgPack {
		b, err := json.Marshal(v, jsontext.PreserveRawStrings(true)) // a sendDate goes out as it came
		return append(dst, b...), err
	}
	buf := bytes.NewBuffer(dst)
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(buf)
	enc.SetCustomStructTag("json")
	enc.UseCompactInts(true)
	err := enc.Encode(v)
	return buf.Bytes(), err
}

// TaskIDOf finds the taskId and msgId of a body that did not decode, as well as it can.
func TaskIDOf(f Format, body []byte) (task TaskID, msgID string) {
	var loose struct {
		TaskID TaskID `json:"taskId"`
	}
	var named struct {
		MsgID string `json:"msgId"`
	}
	if Unmarshal(f, body, &loose) != nil {
		loose.TaskID = ""
	}
	if Unmarshal(f, body, &named) != nil || len(named.MsgID) > maxScalar {
		named.MsgID = ""
	}
	return loose.TaskID, named.MsgID
}
