package codec

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// flat reads a JSON document in one pass, strictly, without building anything: the hot labels take their fields
// from it, guardJSON only looks. What it cannot take makes ok false, and it must not be asked further. The strings
// it gives are parts of s wherever they have no escapes.
type flat struct {
	s     string
	i     int
	ok    bool
	err   error // why not, if that is certain and more than a byte out of place
	depth int   // containers that are open, of those that skip has entered
}

// openFlat enters the object.
func openFlat(s string) flat {
	f := flat{s: s, ok: true, depth: 1}
	f.space()
	f.expect('{')
	return f
}

// next gives the next key; more is false behind the last one, or when the scanner has given up.
func (f *flat) next(first bool) (key string, more bool) {
	if key, more = f.key(first); !more {
		f.space()
		f.ok = f.ok && f.i == len(f.s)
	}
	return key, more
}

// key takes the next key of an object, with its colon; more is false when the object has ended.
func (f *flat) key(first bool) (key string, more bool) {
	f.space()
	if f.ok && f.peek() == '}' {
		f.i++
		return "", false
	}
	if !first {
		f.expect(',')
		f.space()
	}
	key = unquote(f.stringToken())
	f.space()
	f.expect(':')
	f.space()
	return key, f.ok
}

// unquote gives what a string's token stands for. stringToken has looked at its escapes.
func unquote(token string, escaped bool) string {
	switch {
	case token == "":
		return ""
	case !escaped:
		return token[1 : len(token)-1]
	}
	text, _ := jsontext.AppendUnquote(make([]byte, 0, len(token)), token)
	return string(text)
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

func (f *flat) fail(err error) {
	f.ok, f.err = false, err
}

// peek is the first byte of the next value, 0 at the end.
func (f *flat) peek() byte {
	if f.i >= len(f.s) {
		return 0
	}
	return f.s[f.i]
}

// stringToken takes a string with its quotes, and says whether it has escapes.
func (f *flat) stringToken() (token string, escaped bool) {
	start := f.i
	f.expect('"')
	ascii := true
	for f.ok {
		i := f.i
		for i < len(f.s) && plainByte[f.s[i]] {
			i++
		}
		f.i = i
		switch c := f.peek(); {
		case c == '"':
			f.i++
			token = f.s[start:f.i]
			if !ascii && !utf8.ValidString(token) {
				f.fail(errNotUTF8)
			}
			return token, escaped
		case c == '\\':
			escaped = true
			f.escape()
		case c >= utf8.RuneSelf:
			ascii = false
			f.i++
		case i == len(f.s):
			f.ok = false
		default:
			f.fail(errControl)
		}
	}
	return "", escaped
}

// plainByte are the bytes of a string that need no look.
var plainByte = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// escape passes over an escape; half a surrogate pair is no text.
func (f *flat) escape() {
	rest := f.s[f.i:]
	if len(rest) >= 2 && strings.IndexByte(`"\/bfnrt`, rest[1]) >= 0 {
		f.i += 2
		return
	}
	r, size := escapedRune(rest), 6
	if utf16.IsSurrogate(r) {
		r, size = utf16.DecodeRune(r, escapedRune(rest[6:])), 12
		if r == utf8.RuneError {
			r = -1
		}
	}
	if r < 0 {
		f.fail(errEscape)
		return
	}
	f.i += size
}

// escapedRune is the rune of the \uXXXX that s begins with, -1 if it does not.
func escapedRune(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	r := rune(0)
	for i := 2; i < 6; i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// word takes true, false or null.
func (f *flat) word(w string) {
	if !strings.HasPrefix(f.s[f.i:], w) {
		f.ok = false
		return
	}
	f.i += len(w)
}

// number takes the token of a number. What may stand behind it is for whoever reads that to check.
func (f *flat) number() string {
	start := f.i
	if f.peek() == '-' {
		f.i++
	}
	if f.peek() == '0' {
		f.i++
	} else {
		f.digits()
	}
	if f.peek() == '.' {
		f.i++
		f.digits()
	}
	if f.peek()|0x20 == 'e' {
		f.i++
		if c := f.peek(); c == '+' || c == '-' {
			f.i++
		}
		f.digits()
	}
	return f.s[start:f.i]
}

func (f *flat) digits() {
	i := f.i
	for i < len(f.s) && f.s[i]-'0' <= 9 {
		i++
	}
	if i == f.i {
		f.ok = false
	}
	f.i = i
}

// skip passes over a value, in which no object may have a key twice.
func (f *flat) skip(seen *names) {
	switch f.peek() {
	case '"':
		f.stringToken()
	case '{':
		f.object(seen)
	case '[':
		f.list(seen)
	case 't':
		f.word("true")
	case 'f':
		f.word("false")
	case 'n':
		f.word("null")
	default:
		f.number()
	}
}

func (f *flat) enter() {
	f.i++
	if f.depth++; f.depth > maxDepth {
		f.fail(errDeepJSON)
	}
}

func (f *flat) object(seen *names) {
	f.enter()
	level := seen.open()
	for first := true; ; first = false {
		key, more := f.key(first)
		if !more {
			break
		}
		if !seen.add(&level, key) {
			f.fail(errTwice)
			return
		}
		f.skip(seen)
	}
	seen.close(level)
	f.depth--
}

func (f *flat) list(seen *names) {
	f.enter()
	f.space()
	if f.peek() == ']' {
		f.i++
		f.depth--
		return
	}
	for f.ok {
		f.skip(seen)
		f.space()
		if f.peek() != ',' {
			break
		}
		f.i++
		f.space()
	}
	f.expect(']')
	f.depth--
}

// text takes a string; null is "".
func (f *flat) text() string {
	if f.peek() == 'n' {
		f.word("null")
		return ""
	}
	return unquote(f.stringToken())
}

// decimal takes an integer, as a number or a decimal string; null is "".
func (f *flat) decimal() string {
	if c := f.peek(); c == '"' || c == 'n' {
		return f.text()
	}
	return f.number()
}

// id takes a user id that may be absent.
func (f *flat) id() (o OptID) {
	token := f.decimal()
	if f.ok {
		f.ok = o.set(token, false, nil) == nil
	}
	return o
}

// integer takes an integer that may be absent.
func (f *flat) integer() (o OptInteger) {
	token := f.decimal()
	if f.ok {
		f.ok = o.set(token, false, nil) == nil
	}
	return o
}

// requiredID takes a user id that must be there.
func (f *flat) requiredID() ID {
	o := f.id()
	f.ok = f.ok && o.Set
	return o.ID
}

// uint takes an integer that is not negative.
func (f *flat) uint() uint64 {
	n, err := strconv.ParseUint(f.number(), 10, 64)
	f.ok = f.ok && err == nil
	return n
}

// token takes a value that is neither object nor list.
func (f *flat) token() string {
	start := f.i
	if c := f.peek(); c == '{' || c == '[' {
		f.ok = false
		return ""
	}
	f.skip(nil)
	return f.s[start:f.i]
}

// scalar takes a Scalar.
func (f *flat) scalar() (s Scalar) {
	if token := f.token(); f.ok {
		var err error
		s, err = jsonScalar(token)
		f.ok = err == nil
	}
	return s
}

// task takes a TaskID.
func (f *flat) task() (t TaskID) {
	if token := f.token(); f.ok {
		var err error
		t, err = jsonTask(token)
		f.ok = err == nil
	}
	return t
}

// seen refuses a key that stands twice.
func (f *flat) seen(set *uint16, bit uint) {
	if *set&(1<<bit) != 0 {
		f.fail(errTwice)
	}
	*set |= 1 << bit
}

// unknown passes over the field of a key that the body's type does not have.
func (f *flat) unknown(seen *names, top *level, key string) {
	if !seen.add(top, key) {
		f.fail(errTwice)
		return
	}
	f.skip(seen)
}

// syntaxError is what is wrong with a document that made the scanner fail.
func (f *flat) syntaxError() *SyntaxError {
	err := f.err
	switch {
	case err != nil:
	case f.i >= len(f.s):
		err = errEarly
	default:
		err = errByte
	}
	return &SyntaxError{JSON, fmt.Errorf("at byte %d: %w", min(f.i, len(f.s)), err)}
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
