package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// What others wrote, a text, a name, a server's error, may hold what a terminal obeys: escape sequences that colour the
// screen or fill the clipboard, line ends that forge somebody else's line, marks that turn the order of a line around. People
// are shown all of it escaped. Two things see to that:
//
//   - plain, where a foreign string goes into a line: it stays one line.
//   - terminal, around everything that a command prints: whatever was forgotten elsewhere obeys nothing. It lets line ends
//     through, which are the program's own.

// plain returns s as one line that a terminal obeys nothing of. Escapes are those of JSON; a byte that is not UTF-8
// becomes \xff, say.
func plain(s string) string {
	return escape(s, isControl)
}

// quote returns a foreign string between quotes, for lines in which it has words of the program around it.
func quote(s string) string {
	return `"` + plain(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)) + `"`
}

// shorten cuts s behind a number of runes.
func shorten(s string, runes int) string {
	for i := range s {
		if runes--; runes < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// isControl reports whether r does something instead of being seen: the control characters C0, DEL and C1, the ends of lines
// and paragraphs, and the marks of bidirectional and interlinear text. Joiners stay: emoji and some scripts need them.
func isControl(r rune) bool {
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return true
	case r == '\u2028', r == '\u2029', r >= '\ufff9' && r <= '\ufffb':
		return true
	}
	return false
}

// escape replaces the runes of s that are unsafe, and the bytes that are not UTF-8.
func escape(s string, unsafe func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !unsafe(r):
			b.WriteString(s[i : i+n])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// errorLine is an error for people, in one line. Errors that were joined stand one behind the other.
func errorLine(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") {
		var parts []string
		for _, e := range joined.Unwrap() {
			parts = append(parts, errorLine(e))
		}
		return strings.Join(parts, "; ")
	}
	return plain(err.Error())
}

// terminal is a writer for people's eyes: of control characters only line ends and tabs reach w. In JSON the
// escapes mean what they replace.
type terminal struct {
	w io.Writer

	mu   sync.Mutex
	part []byte // guarded by mu: the beginning of a rune whose rest is in the next Write
}

// Write escapes and writes p.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Concat(t.part, p)
	whole := len(all) - unfinished(all)
	text := escape(string(all[:whole]), func(r rune) bool { return r != '\n' && r != '\t' && isControl(r) })
	t.part = all[whole:]
	if _, err := io.WriteString(t.w, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unfinished is the number of bytes at the end of b that begin a rune and do not complete it.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
