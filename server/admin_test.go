package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/server"
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
