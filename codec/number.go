package codec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// MaxID is the largest user id, 2^53-1.
const MaxID = 1<<53 - 1

// ID is a user id: 0..MaxID, read from a number or a decimal string, written as a number.
type ID uint64

// IDs are user ids. None of them may be null.
type IDs []ID

// OptID is an ID that may be absent; null and "" are absent.
type OptID struct {
	ID  ID
	Set bool
}

// IsZero reports whether there is no list; an empty one is there.
func (ids IDs) IsZero() bool { return ids == nil }

// SomeID is an OptID that is there.
func SomeID(id ID) OptID { return OptID{ID: id, Set: true} }

// IsZero reports whether the id is absent.
func (o OptID) IsZero() bool { return !o.Set }

// Integer is a signed integer, read from a number or a decimal string, written as a number; null and "" are 0.
type Integer int64

// OptInteger is an Integer that may be absent; null and "" are absent.
type OptInteger struct {
	N   int64
	Set bool
}

// SomeInteger is an OptInteger that is there.
func SomeInteger(n int64) OptInteger { return OptInteger{N: n, Set: true} }

// IsZero reports whether the integer is absent.
func (o OptInteger) IsZero() bool { return !o.Set }

// maxDigits is more than any integer has; strconv's errors hold a copy of what it was given.
const maxDigits = 24

func parseID(digits string) (ID, error) {
	n, err := strconv.ParseUint(digits[:min(len(digits), maxDigits)], 10, 64)
	if err != nil || n > MaxID || !plainDecimal(digits) {
		return 0, errors.New("not a user id: an integer from 0 to 2^53-1, as a number or a decimal string")
	}
	return ID(n), nil
}

func parseInteger(digits string) (int64, error) {
	n, err := strconv.ParseInt(digits[:min(len(digits), maxDigits)], 10, 64)
	if err != nil || !plainDecimal(digits) {
		return 0, errors.New("not an integer of 64 bits, as a number or a decimal string")
	}
	return n, nil
}

// plainDecimal refuses what strconv takes and JSON does not: signs of plus and leading zeros.
func plainDecimal(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	return s != "" && s[0] != '+' && (s[0] != '0' || len(s) == 1)
}

// digits gives the decimal digits of a JSON number or string; null is reported apart.
func digits(dec *jsontext.Decoder) (s string, null bool, err error) {
	v, err := dec.ReadValue()
	if err != nil {
		return "", false, err
	}
	switch v.Kind() {
	case 'n':
		return "", true, nil
	case '0':
		return string(v), false, nil
	case '"':
		raw, err := jsontext.AppendUnquote(nil, v)
		return string(raw), false, err
	}
	return "", false, errNotNumber
}

// digitsMP gives the decimal digits of a MessagePack integer or string; nil is reported apart.
func digitsMP(dec *msgpack.Decoder) (s string, null bool, err error) {
	code, err := dec.PeekCode()
	if err != nil {
		return "", false, err
	}
	switch {
	case code == msgpcode.Nil:
		return "", true, dec.DecodeNil()
	case msgpcode.IsString(code):
		s, err = dec.DecodeString()
		return s, false, err
	case code == msgpcode.Uint64:
		n, err := dec.DecodeUint64()
		return strconv.FormatUint(n, 10), false, err
	case msgpcode.IsFixedNum(code), code >= msgpcode.Uint8 && code <= msgpcode.Uint32, code >= msgpcode.Int8 && code <= msgpcode.Int64:
		n, err := dec.DecodeInt64()
		return strconv.FormatInt(n, 10), false, err
	}
	return "", false, errNotNumber
}

var (
	errNotNumber = errors.New("neither an integer nor a decimal string")
	errNotText   = errors.New("not a string")
	errNotIDs    = errors.New("not a list of user ids")
)

// The set methods end every way of reading the four types. "" is absent where null is: clients of the seed write it
// where they have nothing.

func (id *ID) set(s string, null bool, err error) error {
	if err == nil && null {
		err = errNotNumber
	}
	if err == nil {
		*id, err = parseID(s)
	}
	return err
}

func (o *OptID) set(s string, null bool, err error) error {
	if *o = (OptID{}); err != nil || null || s == "" {
		return err
	}
	o.ID, err = parseID(s)
	o.Set = err == nil
	return err
}

func (n *Integer) set(s string, null bool, err error) error {
	if *n = 0; err != nil || null || s == "" {
		return err
	}
	i, err := parseInteger(s)
	*n = Integer(i)
	return err
}

func (o *OptInteger) set(s string, null bool, err error) error {
	if *o = (OptInteger{}); err != nil || null || s == "" {
		return err
	}
	o.N, err = parseInteger(s)
	o.Set = err == nil
	return err
}

// UnmarshalJSONFrom reads the id.
func (id *ID) UnmarshalJSONFrom(dec *jsontext.Decoder) error { return id.set(digits(dec)) }

// UnmarshalJSONFrom reads the id, if there is one.
func (o *OptID) UnmarshalJSONFrom(dec *jsontext.Decoder) error { return o.set(digits(dec)) }

// UnmarshalJSONFrom reads the integer.
func (n *Integer) UnmarshalJSONFrom(dec *jsontext.Decoder) error { return n.set(digits(dec)) }

// UnmarshalJSONFrom reads the integer, if there is one.
func (o *OptInteger) UnmarshalJSONFrom(dec *jsontext.Decoder) error { return o.set(digits(dec)) }

// DecodeMsgpack reads the id.
func (id *ID) DecodeMsgpack(dec *msgpack.Decoder) error { return id.set(digitsMP(dec)) }

// UnmarshalJSONFrom reads the ids in one pass; the library would begin anew for each of 100,000.
func (ids *IDs) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*ids = nil
	v, err := dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return err
	}
	if v.Kind() != '[' {
		return errNotIDs
	}
	f := flat{s: string(v), i: 1, ok: true}
	list := make(IDs, 0, strings.Count(f.s, ",")+1)
	for f.space(); f.peek() != ']'; f.space() {
		token := f.decimal()
		if !f.ok {
			return fmt.Errorf("entry %d: %w", len(list), errNotNumber)
		}
		id, err := parseID(token)
		if err != nil {
			return fmt.Errorf("entry %d: %w", len(list), err)
		}
		list = append(list, id)
		if f.space(); f.peek() == ',' {
			f.i++
		}
	}
	*ids = list
	return nil
}

// DecodeMsgpack reads the ids in one pass. The library alone would take nil for user 0.
func (ids *IDs) DecodeMsgpack(dec *msgpack.Decoder) error {
	*ids = nil
	raw, err := dec.DecodeRaw()
	if err != nil {
		return err
	}
	r := reader{b: string(raw)}
	n, null, err := r.arrayLen()
	if err != nil || null {
		return err
	}
	list := make(IDs, n)
	for i := range list {
		var o OptID
		err := r.id(&o)
		if err == nil && !o.Set {
			err = errNotNumber
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		list[i] = o.ID
	}
	*ids = list
	return nil
}

// DecodeMsgpack reads the id, if there is one.
func (o *OptID) DecodeMsgpack(dec *msgpack.Decoder) error { return o.set(digitsMP(dec)) }

// DecodeMsgpack reads the integer.
func (n *Integer) DecodeMsgpack(dec *msgpack.Decoder) error { return n.set(digitsMP(dec)) }

// DecodeMsgpack reads the integer, if there is one.
func (o *OptInteger) DecodeMsgpack(dec *msgpack.Decoder) error { return o.set(digitsMP(dec)) }

// MarshalJSONTo writes the id, or null.
func (o OptID) MarshalJSONTo(enc *jsontext.Encoder) error {
	if !o.Set {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteToken(jsontext.Uint(uint64(o.ID)))
}

// MarshalJSONTo writes the integer, or null.
func (o OptInteger) MarshalJSONTo(enc *jsontext.Encoder) error {
	if !o.Set {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteToken(jsontext.Int(o.N))
}

// EncodeMsgpack writes the id, or nil.
func (o OptID) EncodeMsgpack(enc *msgpack.Encoder) error {
	if !o.Set {
		return enc.EncodeNil()
	}
	return enc.EncodeUint(uint64(o.ID))
}

// EncodeMsgpack writes the integer, or nil.
func (o OptInteger) EncodeMsgpack(enc *msgpack.Encoder) error {
	if !o.Set {
		return enc.EncodeNil()
	}
	return enc.EncodeInt(o.N)
}
