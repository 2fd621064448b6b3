package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// piped is chat with the whole of its input from a pipe.
func piped(t *testing.T, in string, args ...string) (out, errOut string, code int) {
	t.Helper()
	cmd := command(t, append([]string{"chat"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestLinesOfAnyLength(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	in := lineReader{bufio.NewReaderSize(strings.NewReader("\na\r\n"+long[1:]+"\n"+long+"\n"+long+long+"\nb\r\nlast"), 16)}
	for _, want := range []string{"", "a", long[1:], "!", "!", "b", "last"} {
		got, err := in.next()
		if want == "!" {
			if !errors.Is(err, errTooLong) || got != "" {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		} else if err != nil || got != want {
			t.Errorf("%.20q, want %.20q: %v", got, want, err)
		}
	}
	for range 2 {
		if got, err := in.next(); got != "" || !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %q, %v", got, err)
		}
	}
}

// TestChatGoesOnBehindLongLines: a line over 64 KiB ended the input, with all behind it, and exit 0.
func TestChatGoesOnBehindLongLines(t *testing.T) {
	s := serve(t, t.TempDir())
	args := []string{"--user", "1", "--to", "2", "--addr", s.addr}
	fits := strings.Repeat("f", 64<<10)
	out, errOut, code := piped(t, strings.Join([]string{
		"first", fits, fits + "x", strings.Repeat("frame", 60_000), strings.Repeat("l", 2<<20), "", "  ", "\x80 is no UTF-8", "last",
	}, "\n"), args...)
	for _, want := range []string{
		"contentStr has 65537 bytes, the limit is 65536", "tooLarge: a frame of", "a line of 2097153 bytes", "not valid UTF-8", "#3  stored",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != exitFailed || !strings.Contains(errOut, "4 messages were not sent") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if len(out) > 4<<10 {
		t.Errorf("the refusals take %d bytes of the screen", len(out))
	}
	history := ok(t, "history", "--user", "2", "--to", "1", "--addr", s.addr)
	for _, want := range []string{"#1  1: first\n", "#2  1: " + fits + "\n", "#3  1: last\n"} {
		if !strings.Contains(history, want) {
			t.Errorf("the history lacks %.40q", want)
		}
	}
	if out, errOut, code := piped(t, "one more", args...); code != 0 || !strings.Contains(out, "#4  stored") {
		t.Errorf("an end of input without trouble: exit %d\n%s%s", code, out, errOut)
	}
}

// TestCommandsAreNotSent: /help and mistyped commands went to the other person.
func TestCommandsAreNotSent(t *testing.T) {
	s := serve(t, t.TempDir())
	one := chatting(t, "--user", "1", "--to", "2", "--addr", s.addr)
	one.sees("/help")
	one.say("/help")
	one.sees("//text   sends")
	one.say("/qiut now")
	one.sees(`not sent: "/qiut now": there is no such command: /help lists them, and //qiut … sends it`)
	one.say("//usr/bin is a path")
	one.sees("#1  stored")
	one.say(" /leave it")
	one.sees("#2  stored")
	history := ok(t, "history", "--user", "2", "--to", "1", "--addr", s.addr)
	if !strings.Contains(history, "1: /usr/bin is a path\n") || !strings.Contains(history, "1:  /leave it\n") || strings.Count(history, "\n") != 2 {
		t.Errorf("history:\n%s", history)
	}
	if _, errOut, code := piped(t, "/quit \nnot sent any more", "--user", "1", "--to", "2", "--addr", s.addr); code != 0 {
		t.Errorf("/quit: exit %d: %s", code, errOut)
	}
}
