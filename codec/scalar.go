package codec

import (
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// maxScalar bounds a sendDate and a taskId, in bytes of what they stand for.
const maxScalar = 128

var (
	errScalar = errors.New("not a number, string or boolean of at most 128 bytes")
	errTask   = errors.New("not a string or integer of at most 128 bytes")
)

// Scalar is a value that comes back as it was sent: the JSON token of a number, a string or a boolean, "" if
// there was none. In MessagePack bodies it is the value that the token stands for.
type Scalar string

// IsZero reports whether there is no value.
func (s Scalar) IsZero() bool { return s == "" }

// UnmarshalJSONFrom keeps the token as it came.
func (s *Scalar) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*s, err = jsonScalar(string(v))
	return err
}

// jsonScalar keeps a valid token; "" is absent, as null is.
func jsonScalar(token string) (Scalar, error) {
	switch c := token[0]; {
	case c == 'n', token == `""`:
		return "", nil
	case c == '{', c == '[', !fits(token):
		return "", errScalar
	}
	return Scalar(token), nil
}

// fits reports whether what a token stands for has at most maxScalar bytes: quotes do not count, and escapes as
// what they stand for.
func fits(token string) bool {
	if token[0] != '"' {
		return len(token) <= maxScalar
	}
	if len(token) <= maxScalar+2 {
		return true
	}
	if len(token) > 6*maxScalar+2 || strings.IndexByte(token, '\\') < 0 { // \u00XX is the longest that a byte can be
		return false
	}
	text, err := jsontext.AppendUnquote(nil, token)
	return err == nil && len(text) <= maxScalar
}

// MarshalJSONTo writes the token.
func (s Scalar) MarshalJSONTo(enc *jsontext.Encoder) error {
	if s == "" {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteValue(jsontext.Value(s))
}

// DecodeMsgpack reads the value and keeps its JSON token.
func (s *Scalar) DecodeMsgpack(dec *msgpack.Decoder) error {
	raw, err := dec.DecodeRaw()
	if err != nil {
		return err
	}
	r := reader{b: string(raw)}
	*s, err = r.scalar()
	return err
}

// EncodeMsgpack writes the value of the token.
func (s Scalar) EncodeMsgpack(enc *msgpack.Encoder) error {
	_, err := enc.Writer().Write(s.appendMsgPack(nil))
	return err
}

// appendMsgPack appends the MessagePack value that the token stands for.
func (s Scalar) appendMsgPack(dst []byte) []byte {
	switch {
	case s == "" || s == "null":
		return append(dst, msgpcode.Nil)
	case s == "true":
		return append(dst, msgpcode.True)
	case s == "false":
		return append(dst, msgpcode.False)
	case s[0] == '"':
		text, err := jsontext.AppendUnquote(nil, s)
		if err != nil {
			return append(dst, msgpcode.Nil)
		}
		return appendStr(dst, string(text))
	}
	if n, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		return appendInt(dst, n)
	}
	if n, err := strconv.ParseUint(string(s), 10, 64); err == nil {
		return appendUint(dst, n)
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil { // 1e400 is a JSON number, but not a float
		return appendStr(dst, string(s))
	}
	return appendFloat(dst, f)
}

// TaskID is a client's own mark on a request: the bytes of the value in the body's format, echoed exactly as
// they came. It is a string or an integer; "" if there was none.
type TaskID string

// IsZero reports whether there is no taskId.
func (t TaskID) IsZero() bool { return t == "" }

// IntTask is the taskId n in format f.
func IntTask(f Format, n int64) TaskID {
	if f == MsgPack {
		return TaskID(appendInt(nil, n))
	}
	return TaskID(strconv.FormatInt(n, 10))
}

// StringTask is the taskId s in format f.
func StringTask(f Format, s string) TaskID {
	if f == MsgPack {
		return TaskID(appendStr(nil, s))
	}
	quoted, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return ""
	}
	return TaskID(quoted)
}

// Int gives the integer of a taskId that is one.
func (t TaskID) Int(f Format) (n int64, ok bool) {
	if f == MsgPack {
		r := reader{b: string(t)}
		n, ok = r.int()
		return n, ok && r.i == len(t)
	}
	n, err := strconv.ParseInt(string(t), 10, 64)
	return n, err == nil
}

// UnmarshalJSONFrom keeps the token as it came.
func (t *TaskID) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*t, err = jsonTask(string(v))
	return err
}

// jsonTask keeps a valid token; "" is absent, as null is.
func jsonTask(token string) (TaskID, error) {
	switch c := token[0]; {
	case c == 'n', token == `""`:
		return "", nil
	case !fits(token):
		return "", errTask
	case c == '"', (c == '-' || c >= '0' && c <= '9') && !strings.ContainsAny(token, ".eE"):
		return TaskID(token), nil
	}
	return "", errTask
}

// MarshalJSONTo writes the token.
func (t TaskID) MarshalJSONTo(enc *jsontext.Encoder) error {
	if t == "" {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteValue(jsontext.Value(t))
}

// DecodeMsgpack keeps the bytes as they came.
func (t *TaskID) DecodeMsgpack(dec *msgpack.Decoder) error {
	raw, err := dec.DecodeRaw()
	if err != nil {
		return err
	}
	r := reader{b: string(raw)}
	*t, err = r.task()
	return err
}

// EncodeMsgpack writes the bytes.
func (t TaskID) EncodeMsgpack(enc *msgpack.Encoder) error {
	if t == "" {
		return enc.EncodeNil()
	}
	_, err := enc.Writer().Write([]byte(t))
	return err
}
