package codec

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// What a MessagePack body may declare. The library allocates what the wire asks for and recurses without a
// bound, so guard looks first: five bytes can ask for gigabytes, a megabyte of 0x91 nests a million deep.
const (
	maxDepth = 16      // containers in each other, in JSON too
	maxNodes = 1 << 16 // values in a body that a client sends, keys included
)

var (
	errTruncated = errors.New("the MessagePack body declares more than it has")
	errDeep      = errors.New("the MessagePack body is nested too deeply")
	errNodes     = errors.New("the MessagePack body has too many values")
	errTrailing  = errors.New("there are bytes behind the MessagePack document")
	errText      = errors.New("a MessagePack string is not valid UTF-8")
	errCode      = errors.New("the MessagePack body has a byte that begins no value")
)

// And what is wrong with a JSON body. The library would find the same, but says so at a price that the body
// sets: a key that stands twice behind 30,000 others, or an error 10,000 objects deep, took it 20 ms.
var (
	errEarly    = errors.New("it ends too early")
	errByte     = errors.New("a byte that does not belong there")
	errBehind   = errors.New("there are bytes behind the JSON document")
	errTwice    = errors.New("an object has a duplicate key")
	errNotUTF8  = errors.New("a string is not valid UTF-8")
	errControl  = errors.New("a control character in a string: it must be escaped")
	errEscape   = errors.New("an escape that stands for no character")
	errDeepJSON = errors.New("it is nested too deeply: 16 levels are the most")
)

// guardJSON checks in one pass that body is exactly one JSON value, nested within maxDepth, with valid UTF-8 in
// its strings and no key twice in any object.
func guardJSON(body []byte) error {
	f := flat{s: string(body), ok: true}
	f.space()
	var seen names
	f.skip(&seen)
	if f.ok {
		if f.space(); f.i == len(f.s) {
			return nil
		}
		f.err = errBehind
	}
	return f.syntaxError()
}

// guard checks, without recursion and without allocating, that b is exactly one MessagePack value whose
// declared lengths fit into it, within the bounds above, with valid UTF-8 in its strings.
func guard(b []byte) error { return guardNodes(b, maxNodes) }

// guardAnswer is guard for what a server sends, in which only the frame bounds the number of values: a list of
// large groups has many.
func guardAnswer(b []byte) error { return guardNodes(b, MaxLength) }

func guardNodes(b []byte, most int) error {
	var left [maxDepth + 1]int // values that each open container still has to have
	depth := 0
	left[0] = 1
	for i, nodes := 0, 0; ; nodes++ {
		for left[depth] == 0 {
			if depth == 0 {
				if i != len(b) {
					return errTrailing
				}
				return nil
			}
			depth--
		}
		if nodes == most {
			return errNodes
		}
		left[depth]--
		h, err := head(b, i)
		if err != nil {
			return err
		}
		i += h.size
		if h.text && !utf8.Valid(b[i-h.payload:i]) {
			return errText
		}
		if h.children == 0 {
			continue
		}
		if h.children > len(b)-i {
			return errTruncated
		}
		if depth++; depth > maxDepth {
			return errDeep
		}
		left[depth] = h.children
	}
}

// value is what the first bytes of a MessagePack value say about it.
type value struct {
	size     int // bytes up to what follows: for a container up to its first child
	payload  int // bytes of a string, binary or extension at the end of size
	children int // values in a container
	text     bool
}

// head reads the value at b[i], and checks that what it declares is there.
func head(b []byte, i int) (value, error) {
	if i >= len(b) {
		return value{}, errTruncated
	}
	code, rest := b[i], len(b)-i-1
	var v value
	switch {
	case msgpcode.IsFixedNum(code), code == msgpcode.Nil, code == msgpcode.True, code == msgpcode.False:
	case msgpcode.IsFixedString(code):
		v = value{payload: int(code & msgpcode.FixedStrMask), text: true}
	case msgpcode.IsFixedArray(code):
		v.children = int(code & msgpcode.FixedArrayMask)
	case msgpcode.IsFixedMap(code):
		v.children = 2 * int(code&msgpcode.FixedMapMask)
	default:
		return longHead(b, i, rest)
	}
	v.size = 1 + v.payload
	if v.payload > rest {
		return value{}, errTruncated
	}
	return v, nil
}

// longHead is head for values whose first byte is followed by a length or a fixed payload.
func longHead(b []byte, i, rest int) (value, error) {
	var v value
	width, fixed := lengthWidth(b[i])
	if fixed < 0 {
		return v, errCode
	}
	if width+fixed > rest {
		return v, errTruncated
	}
	n := 0
	switch width {
	case 1:
		n = int(b[i+1])
	case 2:
		n = int(binary.BigEndian.Uint16(b[i+1:]))
	case 4:
		n = int(binary.BigEndian.Uint32(b[i+1:]))
	}
	if n < 0 || n > rest { // each thing that is declared takes a byte, at least
		return v, errTruncated
	}
	switch b[i] {
	case msgpcode.Array16, msgpcode.Array32:
		v.children = n
	case msgpcode.Map16, msgpcode.Map32:
		v.children = 2 * n
	default:
		v.payload = n + fixed
		v.text = b[i] >= msgpcode.Str8 && b[i] <= msgpcode.Str32 || b[i] >= msgpcode.Bin8 && b[i] <= msgpcode.Bin32
	}
	if v.payload > rest-width {
		return v, errTruncated
	}
	v.size = 1 + width + v.payload
	return v, nil
}

// lengthWidth gives the bytes of the length that follows a code, and those of its payload that are always
// there; fixed is -1 for a byte that begins nothing.
func lengthWidth(code byte) (width, fixed int) {
	switch code {
	case msgpcode.Str8, msgpcode.Bin8:
		return 1, 0
	case msgpcode.Str16, msgpcode.Bin16, msgpcode.Array16, msgpcode.Map16:
		return 2, 0
	case msgpcode.Str32, msgpcode.Bin32, msgpcode.Array32, msgpcode.Map32:
		return 4, 0
	case msgpcode.Uint8, msgpcode.Int8:
		return 0, 1
	case msgpcode.Uint16, msgpcode.Int16:
		return 0, 2
	case msgpcode.Uint32, msgpcode.Int32, msgpcode.Float:
		return 0, 4
	case msgpcode.Uint64, msgpcode.Int64, msgpcode.Double:
		return 0, 8
	case msgpcode.FixExt1:
		return 0, 2
	case msgpcode.FixExt2:
		return 0, 3
	case msgpcode.FixExt4:
		return 0, 5
	case msgpcode.FixExt8:
		return 0, 9
	case msgpcode.FixExt16:
		return 0, 17
	case msgpcode.Ext8:
		return 1, 1
	case msgpcode.Ext16:
		return 2, 1
	case msgpcode.Ext32:
		return 4, 1
	}
	return 0, -1
}
