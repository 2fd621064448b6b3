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
	var err error
	switch {
	case f == JSON:
		err = unmarshalJSON(body, v)
	case f == MsgPack:
		err = unmarshalMsgPack(body, v)
	case len(body) != 0:
		err = &SyntaxError{f, errors.New("there is a body, but the flags say that there is none")}
	}
	if s, ok := v.(settler); ok && err == nil {
		return s.settle()
	}
	return err
}

// settler is a request with rules that its fields alone do not keep.
type settler interface{ settle() error }

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
	if err := guardJSON(body); err != nil {
		return err
	}
	return decodeJSON(body, v)
}

// decodeJSON reads what has passed guardJSON, or a part of a document that the library has looked at.
func decodeJSON(body []byte, v any) error {
	if !startsWith(body, '{') {
		return errObject // null is nothing to the library
	}
	err := json.Unmarshal(body, v, jsontext.AllowDuplicateNames(true)) // there are none, and looking is dear
	if err == nil {
		return nil
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
