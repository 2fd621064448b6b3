package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// hostile has one of each kind of thing that a terminal obeys.
const hostile = "a\x1b[31mred\x1b]52;c;aGk=\x07\r\nb\tc\x00\x7f\u009b2J\u0085\u202eabc\u202c\u2066\u2069\u200e\u200f\u061c\u2028\u2029\ufff9z"

const hostilePlain = `a\u001b[31mred\u001b]52;c;aGk=\u0007\r\nb\tc\u0000\u007f\u009b2J\u0085\u202eabc\u202c\u2066\u2069\u200e\u200f\u061c\u2028\u2029\ufff9z`

// obeyed finds what a terminal would obey in what a command has printed.
func obeyed(t *testing.T, out string) {
	t.Helper()
	for i, r := range out {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029') {
			t.Fatalf("byte %d of the output is %U: %q", i, r, out)
		}
	}
}

func TestPlainIsOneLine(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"hostile", hostile, hostilePlain},
		{"text", `grüße, 世界 "x" \n`, `grüße, 世界 "x" \n`},
		{"joiners", "👨\u200d👩\u200d👧 می\u200cخواهم", "👨\u200d👩\u200d👧 می\u200cخواهم"},
		{"not UTF-8", "a\x9b2Jb\xc2", `a\x9b2Jb\xc2`},
		{"replacement", "\ufffd", "\ufffd"},
	} {
		if got := plain(tc.in); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	if got := quote("x\" created\\\n"); got != `"x\" created\\\n"` {
		t.Errorf("quote: %s", got)
	}
	if got := shorten("1234ö678", 5); got != "1234ö…" {
		t.Errorf("shorten: %s", got)
	}
}

func TestTheTerminalEscapesHoweverItIsWritten(t *testing.T) {
	const text = "ü\tone\ntwo " + hostile + "\n"
	want := "ü\tone\ntwo " + strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(hostilePlain) + "\n"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		w := &terminal{w: &out}
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			if got, err := w.Write(rest[:n]); got != n || err != nil {
				t.Fatal(got, err)
			}
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Fatalf("written %d bytes at a time (-want +got):\n%s", size, diff)
		}
	}
}

func TestTheTerminalKeepsWhatJSONMeans(t *testing.T) {
	var out bytes.Buffer
	if err := json.NewEncoder(&terminal{w: &out}).Encode(hostile); err != nil {
		t.Fatal(err)
	}
	obeyed(t, out.String())
	var back string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != hostile {
		t.Errorf("%q, %v", back, err)
	}
}

func TestAnErrorIsOneLine(t *testing.T) {
	err := errors.Join(fmt.Errorf("send: %w", errors.New("no\nmsgserver: forged")), errors.New("close: \x1b[2J"))
	if got, want := errorLine(err), `send: no\nmsgserver: forged; close: \u001b[2J`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := errorLine(errors.Join(errors.New("one"))); got != "one" {
		t.Errorf("a join of one: %s", got)
	}
}

// TestNoCommandPrintsWhatATerminalObeys: texts and names went to the terminal as they came, so that a message could colour
// it, fill the clipboard, or forge a line of somebody else.
func TestNoCommandPrintsWhatATerminalObeys(t *testing.T) {
	s := serve(t, t.TempDir())
	as := func(user string, args ...string) []string { return append(args, "--user", user, "--addr", s.addr) }
	evil := strings.ReplaceAll(hostile, "\x00", "") // exec takes no NUL
	forged := evil + "\r\n12:00:00  #9  3: forged"
	one := chatting(t, as("1", "--to", "2")...)
	one.sees("you are user 1")
	ok(t, as("2", "send", "--to", "1", forged)...)
	ok(t, as("2", "groups", "create", "--name", evil, "--members", "1")...)
	id := groupID(t, as("2", "groups", "list")...)
	ok(t, as("2", "send", "--group", id, forged)...)
	ok(t, as("2", "groups", "update", "--group", id, "--head-image", evil)...)
	one.sees(`\n12:00:00  #9  3: forged`)
	one.mu.Lock()
	shown := one.text.String()
	one.mu.Unlock()
	obeyed(t, shown)
	if strings.Contains(shown, "\n12:00:00  #9") {
		t.Errorf("the line is forged:\n%s", shown)
	}
	for _, args := range [][]string{
		{"history", "--to", "2"}, {"history", "--group", id}, {"offline"}, {"sessions"}, {"groups", "list"}, {"groups", "info", "--group", id},
		{"groups", "update", "--group", id, "--name", evil}, {"send", "--to", "2", "--msg-id", evil, "x"},
	} {
		for _, format := range []string{"text", "json"} {
			out, errOut, code := run(t, as("1", append(args, "-o", format)...)...)
			obeyed(t, out)
			obeyed(t, errOut)
			if code == 0 && !strings.Contains(out, `\u001b[31mred`) {
				t.Errorf("%v: the text is not there: %s", args, out)
			}
		}
	}
	for _, args := range [][]string{{evil}, {"groups", evil}, {"send", "--" + evil}, {"chat", evil}, {"version", "-o", evil}, {"history", "--format", evil}} {
		if _, errOut, code := run(t, args...); code != exitUsage || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%q: exit %d, %q", args, code, errOut)
		} else {
			obeyed(t, errOut)
		}
	}
}

// groupID is the id of the first group that a command lists.
func groupID(t *testing.T, args ...string) string {
	t.Helper()
	var list []struct {
		GroupID string `json:"groupId"`
	}
	if err := json.Unmarshal([]byte(ok(t, append(args, "-o", "json")...)), &list); err != nil || len(list) == 0 {
		t.Fatalf("%v: %v", list, err)
	}
	return list[0].GroupID
}
