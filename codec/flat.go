package codec

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// flat reads the JSON objects of the hot labels: keys without escapes, values that are scalars. It is strict
// in what it accepts, and gives up (ok false) on everything else, which is then the library's to accept or
// refuse. The strings it gives are parts of s wherever they have no escapes.
type flat struct {
	s  string
	i  int
	ok bool
}

// open enters the object.
func openFlat(s string) flat {
	f := flat{s: s, ok: true}
	f.space()
	f.expect('{')
	return f
}

// next gives the next key; more is false behind the last one, or when the scanner has given up.
func (f *flat) next(first bool) (key string, more bool) {
	f.space()
	if !f.ok || f.i >= len(f.s) {
		f.ok = false
		return "", false
	}
	if f.s[f.i] == '}' {
		f.i++
		f.space()
		f.ok = f.i == len(f.s)
		return "", false
	}
	if !first {
		f.expect(',')
		f.space()
	}
	token := f.stringToken()
	if !f.ok || strings.IndexByte(token, '\\') >= 0 {
		f.ok = false
		return "", false
	}
	f.space()
	f.expect(':')
	f.space()
	return token[1 : len(token)-1], f.ok
}

func (f *flat) space() {
	for f.i < len(f.s) {
		if c := f.s[f.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		f.i++
	}
}

func (f *flat) expect(c byte) {
	if f.i >= len(f.s) || f.s[f.i] != c {
		f.ok = false
		return
	}
	f.i++
}

// peek is the first byte of the next value, 0 at the end.
func (f *flat) peek() byte {
	if f.i >= len(f.s) {
		return 0
	}
	return f.s[f.i]
}

// stringToken takes a string with its quotes. Its escapes are not looked at, its bytes are.
func (f *flat) stringToken() string {
	start := f.i
	f.expect('"')
	ascii := true
	for f.ok && f.i < len(f.s) {
		switch c := f.s[f.i]; {
		case c == '"':
			f.i++
			token := f.s[start:f.i]
			f.ok = ascii || utf8.ValidString(token)
			return token
		case c == '\\':
			f.i++ // whatever follows belongs to the string; text checks it
		case c < ' ':
			f.ok = false
		case c >= utf8.RuneSelf:
			ascii = false
		}
		f.i++
	}
	f.ok = false
	return ""
}

// text takes a string.
func (f *flat) text() string {
	token := f.stringToken()
	if !f.ok {
		return ""
	}
	if strings.IndexByte(token, '\\') < 0 {
		return token[1 : len(token)-1]
	}
	unquoted, err := jsontext.AppendUnquote(make([]byte, 0, len(token)), token)
	f.ok = err == nil
	return string(unquoted)
}

// number takes the token of an integer.
func (f *flat) number() string {
	start := f.i
	if f.peek() == '-' {
		f.i++
	}
	first := f.i
	for f.i < len(f.s) && f.s[f.i]-'0' <= 9 {
		f.i++
	}
	if f.i == first || f.s[first] == '0' && f.i > first+1 || f.i >= len(f.s) || strings.IndexByte(",} \n\t\r", f.s[f.i]) < 0 {
		f.ok = false
	}
	return f.s[start:f.i]
}

// id takes a user id, as a number or a decimal string.
func (f *flat) id() OptID {
	var token string
	if f.peek() == '"' {
		token = f.text()
	} else {
		token = f.number()
	}
	if !f.ok {
		return OptID{}
	}
	id, err := parseID(token)
	f.ok = err == nil
	return OptID{ID: id, Set: true}
}

// integer takes an integer, as a number or a decimal string.
func (f *flat) integer() int64 {
	var token string
	if f.peek() == '"' {
		token = f.text()
	} else {
		token = f.number()
	}
	n, err := parseInteger(token)
	f.ok = f.ok && err == nil
	return n
}

// uint takes an integer that is not negative.
func (f *flat) uint() uint64 {
	n, err := strconv.ParseUint(f.number(), 10, 64)
	f.ok = f.ok && err == nil
	return n
}

// scalar takes the token of a string or an integer; others are left to the library.
func (f *flat) scalar() string {
	start := f.i
	if f.peek() == '"' {
		f.text() // its escapes must be valid
	} else {
		f.number()
	}
	if !f.ok || f.i-start > maxScalar {
		f.ok = false
		return ""
	}
	return f.s[start:f.i]
}

// seen gives up on a key that stands twice.
func (f *flat) seen(set *uint16, bit uint) {
	if *set&(1<<bit) != 0 {
		f.ok = false
	}
	*set |= 1 << bit
}

// appendQuoted appends s, valid UTF-8, as a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			quoted, err := jsontext.AppendQuote(dst, s)
			if err != nil { // invalid UTF-8: every string here was checked when it came in
				return append(dst, `""`...)
			}
			return quoted
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
