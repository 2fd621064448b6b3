package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestSendReadsStandardInput, and refuses texts that are empty, which it stored.
func TestSendReadsStandardInput(t *testing.T) {
	s := serve(t, t.TempDir())
	for _, tc := range []struct {
		name, in string
		args     []string
		code     int
		says     string
	}{
		{"text", "two\nlines\n", []string{"-"}, 0, "seq 1,"},
		{"dash as text", "unread", []string{"--", "-"}, 0, "seq 2,"},
		{"dash among words", "unread", []string{"a", "-", "b"}, 0, "seq 3,"},
		{"no end of line", "end", []string{"-"}, 0, "seq 4,"},
		{"of Windows", "end\r\n", []string{"-"}, 0, "seq 5,"},
		{"nothing", "", []string{"-"}, exitUsage, "empty"},
		{"an empty line", "\n", []string{"-"}, exitUsage, "empty"},
		{"an empty argument", "", []string{""}, exitUsage, "empty"},
		{"blanks", "", []string{" ", "\t"}, exitUsage, "empty"},
		{"over the limit of content", strings.Repeat("x", 65537), []string{"-"}, exitFailed, "contentStr has 65537 bytes, the limit is 65536"},
		{"over everything", strings.Repeat("x", maxLine+1), []string{"-"}, exitUsage, "no message may be that long"},
		{"not UTF-8", "\xff", []string{"-"}, exitFailed, "UTF-8"},
	} {
		cmd := command(t, append([]string{"send", "--user", "1", "--to", "2", "--addr", s.addr}, tc.args...)...)
		var out bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(tc.in), &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if cmd.ProcessState.ExitCode() != tc.code || !strings.Contains(out.String(), tc.says) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: exit %d: %s", tc.name, cmd.ProcessState.ExitCode(), out.String())
		}
	}
	history := ok(t, "history", "--user", "1", "--to", "2", "--addr", s.addr)
	for _, want := range []string{`1: two\nlines` + "\n", "#2  1: -\n", "#3  1: a - b\n", "#4  1: end\n", "#5  1: end\n"} {
		if !strings.Contains(history, want) {
			t.Errorf("no %q in\n%s", want, history)
		}
	}
}
