package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// These tests run the real program: this test binary is it when the variable is set.
const asProgram = "MSGSERVER_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const patience = 20 * time.Second

// command is the program with arguments, as its user would start it.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// run gives what the program printed and its exit code.
func run(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	cmd := command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// ok is run for what has to succeed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	out, errOut, code := run(t, args...)
	if code != 0 {
		t.Fatalf("%v: exit %d\n%s%s", args, code, out, errOut)
	}
	return out
}

// serving is a running server process.
type serving struct {
	cmd         *exec.Cmd
	addr, admin string
}

var addresses = regexp.MustCompile(`clients +(\S+)\n +admin +http://(\S+)`)

func serve(t *testing.T, data string, more ...string) *serving {
	t.Helper()
	args := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--min-free", "1"}, more...)
	cmd := command(t, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	var text strings.Builder
	r := bufio.NewReader(out)
	for !strings.Contains(text.String(), "--user 2") {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the server says\n%s and ends:\n%s", text.String(), log.String())
		}
		text.WriteString(line)
	}
	m := addresses.FindStringSubmatch(text.String())
	if m == nil {
		t.Fatalf("no addresses in\n%s", text.String())
	}
	return &serving{cmd: cmd, addr: m[1], admin: m[2]}
}

// talking is a chat process.
type talking struct {
	t     *testing.T
	in    io.WriteCloser
	mu    sync.Mutex
	text  strings.Builder
	grown chan struct{}
}

func chatting(t *testing.T, args ...string) *talking {
	t.Helper()
	cmd := command(t, append([]string{"chat"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &talking{t: t, in: in, grown: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			c.mu.Lock()
			c.text.Write(buf[:n])
			c.mu.Unlock()
			select {
			case c.grown <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		in.Close()
		<-read
		cmd.Wait()
	})
	return c
}

func (c *talking) say(text string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, text); err != nil {
		c.t.Fatal(err)
	}
}

// sees waits until text was shown.
func (c *talking) sees(text string) {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		c.mu.Lock()
		all := c.text.String()
		c.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-c.grown:
		case <-timeout:
			c.t.Fatalf("never saw %q in\n%s", text, all)
		}
	}
}

func TestTwoPeopleTalkAndTheServerDies(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, data)
	one, two := chatting(t, "--user", "1", "--to", "2", "--addr", s.addr), chatting(t, "--user", "2", "--to", "1", "--addr", s.addr, "--format", "msgpack")
	one.sees("you are user 1")
	two.sees("you are user 2")
	one.say("hello two")
	two.sees("1: hello two")
	two.say("hello one")
	one.sees("2: hello one")
	one.sees("#1  read")

	// What was acknowledged before a kill -9 is there after it.
	var sent []string
	for i := range 20 {
		ok(t, "send", "--user", "1", "--to", "2", "--addr", s.addr, "--msg-id", fmt.Sprint("id-", i), fmt.Sprint("number ", i))
		sent = append(sent, fmt.Sprint("number ", i))
	}
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.cmd.Wait()
	s = serve(t, data)
	history := ok(t, "history", "--user", "2", "--to", "1", "--addr", s.addr, "-o", "json")
	var page struct {
		Messages []struct {
			Content struct {
				ContentStr string `json:"contentStr"`
				Seq        int    `json:"seq"`
			} `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal([]byte(history), &page); err != nil {
		t.Fatal(err)
	}
	want := append([]string{"hello two", "hello one"}, sent...)
	if len(page.Messages) != len(want) {
		t.Fatalf("%d messages, want %d", len(page.Messages), len(want))
	}
	for i, m := range page.Messages {
		if m.Content.ContentStr != want[i] || m.Content.Seq != i+1 {
			t.Errorf("message %d is %+v, want %q", i+1, m.Content, want[i])
		}
	}
	// The same msgId again is the same message.
	if out := ok(t, "send", "--user", "1", "--to", "2", "--addr", s.addr, "--msg-id", "id-0", "number 0"); !strings.Contains(out, "seq 3,") {
		t.Errorf("sent again: %s", out)
	}
}

func TestChatOutlivesTheServer(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	ok(t, "send", "--user", "2", "--to", "1", "--addr", s.addr, "you missed this")
	one := chatting(t, "--user", "1", "--to", "2", "--addr", s.addr)
	one.sees("2: you missed this")
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.cmd.Wait()
	one.sees("connection lost")
	one.say("typed meanwhile")
	again := serve(t, data, "--listen", s.addr)
	one.sees("connected again")
	one.sees("#2  stored")
	two := chatting(t, "--user", "2", "--to", "1", "--addr", again.addr)
	two.sees("1: typed meanwhile")
	one.sees("#2  read")
	two.say("welcome back")
	one.sees("2: welcome back")
	if history := ok(t, "history", "--user", "1", "--to", "2", "--addr", again.addr); strings.Count(history, "typed meanwhile") != 1 {
		t.Errorf("history: %s", history)
	}
}

func TestAGroupTalks(t *testing.T) {
	s := serve(t, t.TempDir())
	var created struct {
		GroupID string `json:"groupId"`
	}
	if err := json.Unmarshal([]byte(ok(t, "groups", "create", "--user", "1", "--name", "friends", "--members", "2,3", "--addr", s.addr, "-o", "json")), &created); err != nil {
		t.Fatal(err)
	}
	args := func(user string) []string {
		return []string{"--user", user, "--group", created.GroupID, "--addr", s.addr}
	}
	two, three := chatting(t, args("2")...), chatting(t, args("3")...)
	two.sees("you are user 2")
	three.sees("you are user 3")
	two.say("hi all")
	three.sees("2: hi all")
	with := func(command ...string) []string {
		return append(append([]string{"groups"}, command...), "--group", created.GroupID, "--addr", s.addr)
	}
	ok(t, with("add", "--user", "2", "--members", "4")...)
	three.sees("2 added 4")
	ok(t, with("update", "--user", "1", "--name", "old friends")...)
	if out := ok(t, with("info", "--user", "4")...); !strings.Contains(out, "old friends") || !strings.Contains(out, "creator 1 and 2, 3, 4") {
		t.Errorf("info: %s", out)
	}
	ok(t, with("kick", "--user", "1", "--members", "4")...)
	if _, errOut, code := run(t, with("info", "--user", "4")...); code != exitFailed || !strings.Contains(errOut, "not a member") {
		t.Errorf("exit %d, %s", code, errOut)
	}
	ok(t, with("delete", "--user", "1")...)
	three.sees("dissolved the group")
	if out := ok(t, "groups", "list", "--user", "2", "--addr", s.addr); !strings.Contains(out, "no groups") {
		t.Errorf("list: %s", out)
	}
}

func TestASecondServerOnTheDataFails(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	began := time.Now()
	_, errOut, code := run(t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", "")
	if code != exitFailed || !strings.Contains(errOut, fmt.Sprint(s.cmd.Process.Pid)) || time.Since(began) > 5*time.Second {
		t.Errorf("exit %d after %v: %s", code, time.Since(began), errOut)
	}
}

func TestSignalsDrain(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := serve(t, t.TempDir())
		c := chatting(t, "--user", "1", "--to", "2", "--addr", s.addr)
		c.sees("you are user 1")
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("%s: %v", sig, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no server", []string{"send", "--user", "1", "--to", "2", "--addr", "127.0.0.1:1", "hi"}, exitUnreachable, "serve"},
		{"unknown command", []string{"sevre"}, exitUsage, "sevre"},
		{"unknown flag", []string{"serve", "--port", "1"}, exitUsage, "--help"},
		{"unknown group command", []string{"groups", "drop"}, exitUsage, "drop"},
		{"no user", []string{"chat", "--to", "2"}, exitUsage, "--user"},
		{"no target", []string{"send", "--user", "1", "hi"}, exitUsage, "--group"},
		{"two targets", []string{"history", "--user", "1", "--to", "2", "--group", "x"}, exitUsage, "one of"},
		{"no text", []string{"send", "--user", "1", "--to", "2"}, exitUsage, "text"},
		{"bad user", []string{"send", "--user", "-1", "--to", "2", "hi"}, exitUsage, "user id"},
		{"bad output", []string{"version", "-o", "xml"}, exitUsage, "json"},
		{"not loopback", []string{"serve", "--listen", "0.0.0.0:0", "--data", "unused"}, exitFailed, "--allow-insecure"},
		{"invalid port, not loopback's fault", []string{"serve", "--listen", "127.0.0.1:99999", "--data", "unused"}, exitFailed, "invalid"},
		{"help", []string{}, 0, ""},
		{"version", []string{"version", "-o", "json"}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if strings.Contains(tc.name, "loopback") {
				tc.args[len(tc.args)-1] = t.TempDir()
			}
			out, errOut, code := run(t, tc.args...)
			if code != tc.code || !strings.Contains(errOut, tc.says) || code != 0 && strings.Count(errOut, "\n") != 1 {
				t.Errorf("exit %d, want %d\n%s%s", code, tc.code, out, errOut)
			}
		})
	}
}

// TestThePythonClient runs the client of PROTOCOL.md.
func TestThePythonClient(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here to run the client of PROTOCOL.md")
	}
	doc, err := os.ReadFile("../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(doc)
	if m == nil {
		t.Fatal("there is no python in PROTOCOL.md")
	}
	script := filepath.Join(t.TempDir(), "client.py")
	if err := os.WriteFile(script, m[1], 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	host, port, _ := strings.Cut(s.addr, ":")
	for run := 1; run <= 2; run++ { // twice: a msgId that was the same each time made the second run wait for ever
		out, err := exec.CommandContext(ctx, python, script, host, port).CombinedOutput()
		if err != nil {
			t.Fatalf("run %d: %v\n%s", run, err, out)
		}
		for _, want := range []string{fmt.Sprint("stored as seq ", run), "user 2 got message from 1 saying hello", "user 1 knows: state 3"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("run %d: no %q in\n%s", run, want, out)
			}
		}
	}
}

func TestBackupRestoreAndDB(t *testing.T) {
	data, other := t.TempDir(), filepath.Join(t.TempDir(), "new")
	file := filepath.Join(t.TempDir(), "backup")
	s := serve(t, data)
	for i := range 5 {
		ok(t, "send", "--user", "1", "--to", "2", "--addr", s.addr, fmt.Sprint("number ", i))
	}
	if out := ok(t, "backup", "--to", file, "--admin", s.admin); !strings.Contains(out, "verified") {
		t.Errorf("backup: %s", out)
	}
	if _, errOut, code := run(t, "backup", "--to", file, "--admin", s.admin); code != exitFailed || !strings.Contains(errOut, "--force") {
		t.Errorf("a second backup: exit %d %s", code, errOut)
	}
	if _, errOut, code := run(t, "backup", "--to", file+"2", "--admin", "127.0.0.1:1"); code != exitUnreachable || !strings.Contains(errOut, "--data") {
		t.Errorf("no server: exit %d %s", code, errOut)
	}
	for _, args := range [][]string{
		{"db", "check", "--data", data}, {"db", "compact", "--data", data}, {"db", "stats", "--data", data},
		{"restore", "--from", file, "--data", data}, {"backup", "--to", file + "3", "--data", data},
	} {
		if _, errOut, code := run(t, args...); code != exitFailed || !strings.Contains(errOut, "locked by process") {
			t.Errorf("%v of a running server: exit %d %s", args, code, errOut)
		}
	}
	ok(t, "restore", "--from", file, "--data", other)
	if out := ok(t, "db", "check", "--data", other); !strings.Contains(out, "in order: 5 entries") {
		t.Errorf("check: %s", out)
	}
	if out := ok(t, "db", "stats", "--data", other); !strings.Contains(out, "users 1 and 2") {
		t.Errorf("stats: %s", out)
	}
	ok(t, "db", "compact", "--data", other, "-o", "json")
	restored := serve(t, other)
	if out := ok(t, "history", "--user", "2", "--to", "1", "--addr", restored.addr); strings.Count(out, "number") != 5 {
		t.Errorf("history: %s", out)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.cmd.Wait()
	ok(t, "backup", "--to", file+"4", "--data", data)
}

// TestALostJournalIsSaid: a server whose journal is lost does not start, unless it is told to; nor is it backed up.
func TestALostJournalIsSaid(t *testing.T) {
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s := serve(t, data)
	ok(t, "send", "--user", "1", "--to", "2", "--addr", s.addr, "hello")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.cmd.Wait()
	lose := func() {
		if err := os.Remove(filepath.Join(data, "journal-1")); err != nil {
			t.Fatal(err)
		}
	}
	lose()
	for _, args := range [][]string{
		{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", ""}, {"db", "compact", "--data", data},
		{"db", "stats", "--data", data}, {"backup", "--to", file, "--data", data},
	} {
		_, errOut, code := run(t, args...)
		if code != exitFailed || !strings.Contains(errOut, "journal-1 is missing") || !strings.Contains(errOut, "--accept-journal-loss") || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: exit %d %s", args, code, errOut)
		}
	}
	out, errOut, code := run(t, "db", "check", "--data", data, "-o", "json")
	var report struct {
		Entries    int
		FaultCount int
		Faults     []string
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFailed || report.FaultCount != 1 || len(report.Faults) != 1 || report.Entries != 1 {
		t.Errorf("check: exit %d, %v, %s%s", code, err, out, errOut)
	}
	if out, _, code := run(t, "db", "check", "--data", data); code != exitFailed || !strings.Contains(out, "faults: 1\n  the server cannot open it") {
		t.Errorf("check: exit %d %s", code, out)
	}
	if _, errOut, code := run(t, "backup", "--to", file, "--data", data, "--accept-journal-loss"); code != 0 || !strings.Contains(errOut, "journal-1 is missing") {
		t.Errorf("backup: exit %d %s", code, errOut)
	}
	ok(t, "db", "check", "--data", data)
	lose()
	s = serve(t, data, "--accept-journal-loss")
	if out := ok(t, "history", "--user", "2", "--to", "1", "--addr", s.addr); !strings.Contains(out, "hello") {
		t.Errorf("history: %s", out)
	}
}

// TestADamagedFileGivesNoStackTrace in any command.
func TestADamagedFileGivesNoStackTrace(t *testing.T) {
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s := serve(t, data)
	ok(t, "send", "--user", "1", "--to", "2", "--addr", s.addr, "hello")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.cmd.Wait()
	f, err := os.OpenFile(filepath.Join(data, "msgserver.db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for page := int64(2); page < 40; page++ {
		if _, err := f.WriteAt([]byte{77}, page*4096+8); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", ""}, {"db", "check", "--data", data},
		{"db", "compact", "--data", data}, {"db", "stats", "--data", data}, {"backup", "--to", file, "--data", data},
	} {
		_, errOut, code := run(t, args...)
		if code != exitFailed || !strings.Contains(errOut, "msgserver.db") || !strings.Contains(errOut, "restore a backup") || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: exit %d %s", args, code, errOut)
		}
	}
}
