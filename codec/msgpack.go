package codec

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// reader reads a MessagePack value that has passed guard, for the hot labels. The strings it gives are parts
// of b. Methods that report ok false have not moved on.
type reader struct {
	b   string
	raw []byte // the same bytes where skip is needed
	i   int
}

// mapLen reads the head of a map.
func (r *reader) mapLen() (n int, ok bool) {
	if r.i >= len(r.b) {
		return 0, false
	}
	switch code := r.b[r.i]; {
	case msgpcode.IsFixedMap(code):
		r.i++
		return int(code & msgpcode.FixedMapMask), true
	case code == msgpcode.Map16:
		n = int(be(r.b[r.i+1 : r.i+3]))
		r.i += 3
		return n, true
	case code == msgpcode.Map32:
		n = int(be(r.b[r.i+1 : r.i+5]))
		r.i += 5
		return n, true
	}
	return 0, false
}

// arrayLen reads the head of a list; nil is reported apart.
func (r *reader) arrayLen() (n int, null bool, err error) {
	switch code := r.b[r.i]; {
	case code == msgpcode.Nil:
		r.i++
		return 0, true, nil
	case msgpcode.IsFixedArray(code):
		r.i++
		return int(code & msgpcode.FixedArrayMask), false, nil
	case code == msgpcode.Array16:
		n = int(be(r.b[r.i+1 : r.i+3]))
		r.i += 3
		return n, false, nil
	case code == msgpcode.Array32:
		n = int(be(r.b[r.i+1 : r.i+5]))
		r.i += 5
		return n, false, nil
	}
	return 0, false, errNotIDs
}

// str reads a string; nil is "".
func (r *reader) str() (s string, ok bool) {
	code := r.b[r.i]
	width := 0
	switch {
	case msgpcode.IsFixedString(code):
		n := int(code & msgpcode.FixedStrMask)
		s = r.b[r.i+1 : r.i+1+n]
		r.i += 1 + n
		return s, true
	case code == msgpcode.Nil:
		r.i++
		return "", true
	case code == msgpcode.Str8, code == msgpcode.Bin8:
		width = 1
	case code == msgpcode.Str16, code == msgpcode.Bin16:
		width = 2
	case code == msgpcode.Str32, code == msgpcode.Bin32:
		width = 4
	default:
		return "", false
	}
	at := r.i + 1 + width
	n := int(be(r.b[r.i+1 : at]))
	s = r.b[at : at+n]
	r.i = at + n
	return s, true
}

// int reads an integer that fits into an int64.
func (r *reader) int() (n int64, ok bool) {
	if r.i >= len(r.b) {
		return 0, false
	}
	code := r.b[r.i]
	if msgpcode.IsFixedNum(code) {
		r.i++
		return int64(int8(code)), true
	}
	_, width := lengthWidth(code)
	if code < msgpcode.Uint8 || code > msgpcode.Int64 || len(r.b) < r.i+1+width {
		return 0, false
	}
	u := be(r.b[r.i+1 : r.i+1+width])
	switch code {
	case msgpcode.Int8:
		n = int64(int8(u))
	case msgpcode.Int16:
		n = int64(int16(u))
	case msgpcode.Int32:
		n = int64(int32(u))
	default:
		if n = int64(u); code == msgpcode.Uint64 && n < 0 {
			return 0, false
		}
	}
	r.i += 1 + width
	return n, true
}

// skip passes over one value.
func (r *reader) skip() {
	for left := 1; left > 0; left-- {
		h, err := head(r.raw, r.i)
		if err != nil { // cannot be behind guard
			r.i = len(r.raw)
			return
		}
		r.i += h.size
		left += h.children
	}
}

// digits reads an integer or a string as decimal digits.
func (r *reader) digits() (s string, null bool, err error) {
	code := r.b[r.i]
	switch {
	case code == msgpcode.Nil:
		r.i++
		return "", true, nil
	case code == msgpcode.Uint64:
		u := be(r.b[r.i+1 : r.i+9])
		r.i += 9
		return strconv.FormatUint(u, 10), false, nil
	}
	if s, ok := r.str(); ok {
		return s, false, nil
	}
	n, ok := r.int()
	if !ok {
		return "", false, errNotNumber
	}
	return strconv.FormatInt(n, 10), false, nil
}

// id reads a user id that may be absent.
func (r *reader) id(o *OptID) error {
	if n, ok := r.int(); ok {
		if n < 0 || n > MaxID {
			return o.set("-1", false, nil)
		}
		*o = OptID{ID: ID(n), Set: true}
		return nil
	}
	return o.set(r.digits())
}

// integer reads an integer that may be absent.
func (r *reader) integer(o *OptInteger) error {
	if n, ok := r.int(); ok {
		*o = OptInteger{N: n, Set: true}
		return nil
	}
	return o.set(r.digits())
}

// scalar reads a value that is kept as a JSON token; nil and "" are none.
func (r *reader) scalar() (Scalar, error) {
	code := r.b[r.i]
	token := ""
	switch {
	case code == msgpcode.Nil:
		r.i++
		return "", nil
	case code == msgpcode.True, code == msgpcode.False:
		r.i++
		return Scalar(strconv.FormatBool(code == msgpcode.True)), nil
	case code == msgpcode.Float:
		token = floatToken(float64(math.Float32frombits(uint32(be(r.b[r.i+1 : r.i+5])))))
		r.i += 5
	case code == msgpcode.Double:
		token = floatToken(math.Float64frombits(be(r.b[r.i+1 : r.i+9])))
		r.i += 9
	case code == msgpcode.Uint64:
		token = strconv.FormatUint(be(r.b[r.i+1:r.i+9]), 10)
		r.i += 9
	default:
		if n, ok := r.int(); ok {
			token = strconv.FormatInt(n, 10)
		} else if s, ok := r.str(); ok && s == "" {
			return "", nil
		} else if ok && len(s) <= maxScalar {
			token = quote(s)
		}
	}
	if token == "" {
		return "", errScalar
	}
	return Scalar(token), nil
}

// quote is the JSON token of a text of at most maxScalar bytes, which guard has seen to be valid UTF-8.
func quote(s string) string {
	var room [6*maxScalar + 2]byte
	token, _ := jsontext.AppendQuote(room[:0], s)
	return string(token)
}

// floatToken is the shortest JSON number that reads back as f, with a mark that it is no integer; none if
// JSON has no such number.
func floatToken(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return ""
	}
	token := strconv.FormatFloat(f, 'g', -1, 64)
	if strings.ContainsAny(token, ".e") {
		return token
	}
	return token + ".0"
}

// task reads a taskId: the bytes of a string or an integer; nil and "" are none.
func (r *reader) task() (TaskID, error) {
	start := r.i
	if r.b[r.i] == msgpcode.Nil {
		r.i++
		return "", nil
	}
	_, isInt := r.int()
	if !isInt && r.b[r.i] == msgpcode.Uint64 {
		r.i += 9
		isInt = true
	}
	if !isInt {
		s, isStr := r.str()
		if !isStr || len(s) > maxScalar {
			return "", errTask
		}
		if s == "" {
			return "", nil
		}
	}
	return TaskID(r.b[start:r.i]), nil
}

// be is the big-endian number in s.
func be(s string) (n uint64) {
	for i := range len(s) {
		n = n<<8 | uint64(s[i])
	}
	return n
}

func appendMapLen(dst []byte, n int) []byte { return append(dst, msgpcode.FixedMapLow|byte(n)) }

func appendStr(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, msgpcode.FixedStrLow|byte(n))
	case n < 1<<8:
		dst = append(dst, msgpcode.Str8, byte(n))
	case n < 1<<16:
		dst = append(dst, msgpcode.Str16, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, msgpcode.Str32), uint32(n))
	}
	return append(dst, s...)
}

func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<7:
		return append(dst, byte(n))
	case n < 1<<8:
		return append(dst, msgpcode.Uint8, byte(n))
	case n < 1<<16:
		return append(dst, msgpcode.Uint16, byte(n>>8), byte(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, msgpcode.Uint32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, msgpcode.Uint64), n)
}

func appendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, msgpcode.Int8, byte(n))
	case n >= math.MinInt16:
		return append(dst, msgpcode.Int16, byte(n>>8), byte(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, msgpcode.Int32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, msgpcode.Int64), uint64(n))
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, msgpcode.Double), math.Float64bits(f))
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, msgpcode.True)
	}
	return append(dst, msgpcode.False)
}
