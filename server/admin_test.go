package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
)

func TestTheNetworkReachedTheAdminAddress(t *testing.T) {
	for _, tc := range []struct {
		admin    string
		insecure bool
		ok       bool
	}{
		{"", false, true}, {"127.0.0.1:0", false, true}, {"127.8.9.10:0", false, true}, {"[::1]:0", false, true}, {"localhost:0", false, true},
		{"0.0.0.0:3007", false, false}, {":3007", false, false}, {"[::]:3007", false, false}, {"192.0.2.1:3007", false, false},
		{"localhost.example.org:3007", false, false}, {"127.0.0.1.example.org:3007", false, false}, {"nonsense", false, false},
		{"0.0.0.0:3007", true, true}, {"nonsense", true, false},
	} {
		_, err := server.New(server.Config{Admin: tc.admin, AllowInsecure: tc.insecure}, nil, zap.NewNop())
		if (err == nil) != tc.ok {
			t.Errorf("%q insecure=%v: %v", tc.admin, tc.insecure, err)
		}
		if tc.admin == "0.0.0.0:3007" && err != nil && !(strings.Contains(err.Error(), "--admin") && strings.Contains(err.Error(), "--allow-insecure")) {
			t.Errorf("it does not say what to do: %v", err)
		}
	}
}

func TestAdminHostsThatNobodyCanAskFor(t *testing.T) {
	for host, ok := range map[string]bool{
		"db1.internal": true, "192.0.2.1": true, "2001:db8::1": true, "[2001:db8::1]": true, "under_score": true,
		"": false, "db1:3007": false, "[2001:db8::1]:3007": false, "http://db1": false, "*": false, "a b": false, "fe80::1%eth0": false, "[db1]": false,
	} {
		_, err := server.New(server.Config{Admin: "127.0.0.1:0", AdminHosts: []string{host}}, nil, zap.NewNop())
		if (err == nil) != ok {
			t.Errorf("%q: %v", host, err)
		}
		if err != nil && !strings.Contains(err.Error(), "--admin-host") {
			t.Errorf("%q does not name the flag: %v", host, err)
		}
	}
}

// say asks the admin address with bytes, and returns the status and what else came until it closed.
func sayAdmin(t *testing.T, n *node, request string) (status int, rest string) {
	t.Helper()
	c := dialAdmin(t, n)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, c)
}

func dialAdmin(t *testing.T, n *node) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", n.AdminAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func readAnswer(t *testing.T, c net.Conn) (status int, body string) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// TestRebindingReadTheAdminAddress: a page whose name is pointed at 127.0.0.1 asks with that name.
func TestRebindingReadTheAdminAddress(t *testing.T) {
	n := start(t, server.Config{Admin: "127.0.0.1:0", AdminHosts: []string{"DB1.internal", "2001:DB8::1"}})
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:3007": 200, "127.200.3.4": 200, "localhost": 200, "LocalHost:1": 200, "[::1]": 200, "[::1]:3007": 200,
		"[0:0:0:0:0:0:0:1]": 200, "db1.internal": 200, "db1.INTERNAL:80": 200, "[2001:db8:0::1]:3007": 200, "localhost:": 200,

		"127.0.0.1.evil.example": 403, "localhost.evil.example": 403, "evil.example": 403, "evil.example:3007": 403, "localhost:80:80": 403,
		"127.0.0.1:80:80": 403, "localhost.": 403, "xlocalhost": 403, "db1.internal.evil.example": 403, "db1": 403, "0.0.0.0": 403, "[::]": 403,
		"192.0.2.1": 403, "10.0.0.1:3007": 403, "[::1]evil.example": 403, "[localhost]": 403, "[127.0.0.1]": 403, "::1": 403, ":3007": 403,
		"localhost:evil": 403, "127.1": 403, "2130706433": 403, "0x7f.0.0.1": 403, "127.0.0.01": 403, "localhost%00.evil.example": 403,
		"user@localhost": 403, "localhost@evil.example": 403, "localhost,evil.example": 403, "": 403, "2001:db8::1": 403,
		"localhost/": 400, "[::1%25lo]": 403, "[::1%lo]": 403, "[fe80::1%lo]:80": 403, "evil example": 400,
	} {
		status, body := sayAdmin(t, n, "GET /readyz HTTP/1.1\r\nConnection: close\r\nHost: "+host+"\r\n\r\n")
		// net/http itself refuses a Host that is none.
		if status != want && (want == 200 || status != 400 && status != 403) {
			t.Errorf("Host %q: %d %q, want %d", host, status, body, want)
		}
		if status == 403 && !strings.Contains(body, "--admin-host") {
			t.Errorf("Host %q is not told what to do: %q", host, body)
		}
	}
}

// TestOddRequestsReachedTheAdminAddress has requests whose host is not in one Host header.
func TestOddRequestsReachedTheAdminAddress(t *testing.T) {
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	for request, want := range map[string]int{
		"GET /readyz HTTP/1.0\r\n\r\n":                                                               403,
		"GET /readyz HTTP/1.0\r\nHost:\r\n\r\n":                                                      403,
		"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n":                                            200,
		"GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n":                                          400,
		"GET /readyz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n": 400,
		"GET http://evil.example/readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":    403,
		"GET /nothing HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n":                   403,
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n":                      403,
		"POST /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":                      405,
		"HEAD /backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":                      200,
	} {
		if status, body := sayAdmin(t, n, request); status != want {
			t.Errorf("%.80q: %d %q, want %d", request, status, body, want)
		}
	}
}

// TestForeignPagesAskedTheAdminAddress: a script of any page may send a request here, though not read the answer.
func TestForeignPagesAskedTheAdminAddress(t *testing.T) {
	n := start(t, server.Config{Admin: "127.0.0.1:0", AdminHosts: []string{"db1.internal"}})
	for header, want := range map[string]int{
		"Origin: http://localhost:3007": 200, "Origin: http://127.0.0.1": 200, "Origin: https://[::1]:8080": 200, "Origin: http://db1.internal:3007": 200,
		"Sec-Fetch-Site: none": 200, "Sec-Fetch-Site: same-origin": 200,

		"Origin: http://evil.example": 403, "Origin: null": 403, "Origin:": 403, "Origin: localhost": 403, "Origin: http://localhost.evil.example": 403,
		"Origin: http://localhost@evil.example": 403, "Origin: ftp://localhost": 403, "Origin: http://": 403, "Origin: http://[::1%25lo]": 403,
		"Origin: http://localhost http://evil.example": 403, "Origin: http://localhost\r\nOrigin: http://evil.example": 403,
		"Sec-Fetch-Site: cross-site": 403,
	} {
		status, body := sayAdmin(t, n, "GET /readyz HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n"+header+"\r\n\r\n")
		if status != want || want == 403 && !strings.Contains(body, "pages of") {
			t.Errorf("%q: %d %q, want %d", header, status, body, want)
		}
	}
}

func TestProfilesRanForHours(t *testing.T) {
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	for path, want := range map[string]int{
		"profile?seconds=61": 400, "trace?seconds=61": 400, "heap?seconds=3600": 400, "profile?seconds=0": 400, "trace?seconds=NaN": 400,
		"trace?seconds=Inf": 400, "profile?seconds=-1": 400, "profile?seconds=1x": 400, "profile?seconds=1e9": 400, "trace?seconds=60.5": 400,
		"profile?seconds=61&seconds=1": 400,
		"trace?seconds=0.01":           200, "heap": 200, "profile?seconds=1": 200,
	} {
		status, body := sayAdmin(t, n, "GET /debug/pprof/"+path+" HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n")
		if status != want || want == 400 && !strings.Contains(body, "at most 60") {
			t.Errorf("%s: %d %.100q, want %d", path, status, body, want)
		}
	}
}

// descriptors is how many files and connections this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(all)
}

// TestIdleConnectionsTookTheDescriptors opens 1,500 connections that say nothing.
func TestIdleConnectionsTookTheDescriptors(t *testing.T) {
	var fds syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &fds); err != nil || fds.Cur < 4000 {
		t.Skip("it needs 4,000 descriptors", err)
	}
	const many = 1500
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	before := descriptors(t)
	idle := make([]net.Conn, many)
	for i := range idle {
		idle[i] = dialAdmin(t, n)
	}
	for i, c := range idle[server.AdminConns:] {
		if status, body := readAnswer(t, c); status != 503 || !strings.Contains(body, "connections") {
			t.Fatalf("connection %d: %d %q", server.AdminConns+i, status, body)
		}
	}
	const others = 16 // the engine opens some after it is ready
	if took := descriptors(t) - before - many; took > server.AdminConns+others {
		t.Errorf("the server's side of %d idle connections takes %d descriptors", many, took)
	}
	for _, c := range idle[:8] {
		c.Close()
	}
	eventually(t, "a fresh connection is answered", func() bool {
		c := dialAdmin(t, n)
		defer c.Close()
		if _, err := io.WriteString(c, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return false // it was refused already
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == 200
	})
}

// TestHalfRequestsStayed: without a whole request a connection ends after the header timeout.
func TestHalfRequestsStayed(t *testing.T) {
	server.ImpatientAdmin(t, 50*time.Millisecond, time.Minute)
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	for _, half := range []string{
		"", "G", "GET /readyz HT", "GET /readyz HTTP/1.1\r\nHost: loc", "GET /readyz HTTP/1.1\r\nHost: localhost\r\n",
		"POST /readyz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf",
	} {
		c := dialAdmin(t, n)
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %q it stays", half)
		}
	}
}

// failing is a listener whose first accepts fail.
type failing struct {
	net.Listener
	left  atomic.Int32
	tries atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	f.tries.Add(1)
	if left := f.left.Add(-1); left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: []error{syscall.EMFILE, syscall.ENOBUFS, syscall.EPERM}[left%3]}
	}
	return f.Listener.Accept()
}

// TestAFailedAcceptEndedTheAdminAddress: http.Server gives up after some errors; and none may make it spin.
func TestAFailedAcceptEndedTheAdminAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &failing{Listener: l}
	f.left.Store(5)
	limited := server.NewAdminListener(f)
	began := time.Now()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	taken, err := limited.Accept()
	if err != nil {
		t.Fatal(err)
	}
	taken.Close()
	if tries, took := f.tries.Load(), time.Since(began); tries != 6 || took < 150*time.Millisecond { // 5+10+20+40+80
		t.Errorf("%d tries in %v", tries, took)
	}
	f.left.Store(1 << 30)
	ended := make(chan error, 1)
	go func() {
		_, err := limited.Accept()
		ended <- err
	}()
	tries := f.tries.Load()
	eventually(t, "it tries again", func() bool { return f.tries.Load() >= tries+8 }) // now it pauses for long
	f.left.Store(0)
	limited.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

// backup is a store whose backup is what the test writes.
type backup struct {
	service.Store
	write func(context.Context, io.Writer) error
	ended chan error
}

func (b *backup) Backup(ctx context.Context, w io.Writer) error {
	err := b.write(ctx, w)
	b.ended <- err
	return err
}

func (b *backup) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-b.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the backup goes on")
		return nil
	}
}

func endless(_ context.Context, w io.Writer) error {
	for block := make([]byte, 1<<20); ; {
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
}

// TestAStalledReaderHeldABackup: it takes the head, and nothing more.
func TestAStalledReaderHeldABackup(t *testing.T) {
	server.ImpatientAdmin(t, 5*time.Second, 100*time.Millisecond)
	store := &backup{write: endless, ended: make(chan error, 1)}
	n := startOn(t, server.Config{Admin: "127.0.0.1:0"}, store)
	c := dialAdmin(t, n)
	io.WriteString(c, "GET /backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if store.end(t) == nil {
		t.Error("the backup believes that it was read")
	}
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ends with %v", err)
	}
}

// TestAStalledReaderOfAnyEndpointStayed asks again and again, and reads nothing.
func TestAStalledReaderOfAnyEndpointStayed(t *testing.T) {
	server.ImpatientAdmin(t, 5*time.Second, 100*time.Millisecond)
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	for _, path := range []string{"/stats", "/debug/pprof/goroutine?debug=2", "/nothing"} {
		c := dialAdmin(t, n)
		c.SetDeadline(time.Now().Add(6 * patience)) // until the buffers are full, thousands of answers are made
		requests := []byte(strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 100))
		var err error
		for err == nil {
			_, err = c.Write(requests)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays", path)
		}
	}
}

// TestASlowReaderLostItsBackup: it takes a little each time, for many times as long as it may take nothing. (The kernel does
// not tell a writer of less than some hundred KiB.)
func TestASlowReaderLostItsBackup(t *testing.T) {
	const stall = 200 * time.Millisecond
	server.ImpatientAdmin(t, 5*time.Second, stall)
	var enough atomic.Bool
	stop := errors.New("this was all")
	store := &backup{ended: make(chan error, 1), write: func(_ context.Context, w io.Writer) error {
		for block := make([]byte, 8<<20); !enough.Load(); { // which takes longer than a stall
			if _, err := w.Write(block); err != nil {
				return err
			}
		}
		return stop
	}}
	n := startOn(t, server.Config{Admin: "127.0.0.1:0"}, store)
	c := dialAdmin(t, n)
	io.WriteString(c, "GET /backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
	tick := time.NewTicker(stall / 4)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 8*stall; <-tick.C {
		if _, err := io.ReadFull(c, make([]byte, 256<<10)); err != nil {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
	}
	enough.Store(true)
	io.Copy(io.Discard, c)
	if err := store.end(t); err != stop {
		t.Errorf("the backup ends with %v", err)
	}
}

// TestALongBackupIsNotCut: the deadlines of a request do not run on while it is answered.
func TestALongBackupIsNotCut(t *testing.T) {
	const header = 50 * time.Millisecond
	server.ImpatientAdmin(t, header, time.Minute)
	store := &backup{ended: make(chan error, 1), write: func(ctx context.Context, w io.Writer) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * header):
		}
		_, err := io.WriteString(w, "all of it")
		return err
	}}
	n := startOn(t, server.Config{Admin: "127.0.0.1:0"}, store)
	status, body := sayAdmin(t, n, "GET /backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if err := store.end(t); status != 200 || body != "all of it" || err != nil {
		t.Errorf("%d %q, %v", status, body, err)
	}
}

// TestALeaverHeldABackup: that the client has gone is noticed while nothing is written.
func TestALeaverHeldABackup(t *testing.T) {
	store := &backup{ended: make(chan error, 1), write: func(ctx context.Context, _ io.Writer) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	n := startOn(t, server.Config{Admin: "127.0.0.1:0"}, store)
	c := dialAdmin(t, n)
	io.WriteString(c, "GET /backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
	c.Close()
	if err := store.end(t); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
