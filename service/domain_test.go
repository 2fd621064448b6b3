package service_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
)

func TestGroupID(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	id := service.NewGroupID(now)
	text := id.String()
	if ok, _ := regexp.MatchString(`^018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, text); !ok {
		t.Errorf("%s is not a UUIDv7 of that moment", text)
	}
	if again, ok := service.ParseGroupID(text); !ok || again != id {
		t.Errorf("%s came back as %s", text, again)
	}
	if old := service.NewGroupID(time.Unix(0, 0)); old[0] == 0 {
		t.Error("a clock in 1970 makes ids that look like pairs")
	}
	if service.NewGroupID(now) == id {
		t.Error("the same id twice")
	}
	for _, bad := range []string{
		"", "x", text[:35], text + "0", "00000000-0000-7000-8000-000000000001", "018bcfe5x6800-7000-8000-000000000001",
		"018bcfe5-6800-7000-8000-00000000000g", "{18bcfe5-6800-7000-8000-00000000000}",
	} {
		if _, ok := service.ParseGroupID(bad); ok {
			t.Errorf("%q is taken for a group id", bad)
		}
	}
}

func TestConvID(t *testing.T) {
	if service.Pair(7, service.MaxUserID) != service.Pair(service.MaxUserID, 7) {
		t.Error("a pair depends on who speaks")
	}
	c := service.Pair(9, 7)
	if lower, higher := c.Users(); lower != 7 || higher != 9 || c.Peer(7) != 9 || c.Peer(9) != 7 {
		t.Errorf("users %d and %d", lower, higher)
	}
	if self := service.Pair(5, 5); self.Peer(5) != 5 {
		t.Error("the peer of oneself is somebody else")
	}
	if _, group := service.Pair(service.MaxUserID, service.MaxUserID).Group(); group {
		t.Error("a pair is a group")
	}
	id := service.NewGroupID(time.Now())
	if g, group := id.Conv().Group(); !group || g != id {
		t.Error("a group's conversation is not its own")
	}
}

// TestCodesAreThoseOfTheDocument: the table in PROTOCOL.md and the codes here are the same.
func TestCodesAreThoseOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[service.Code]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| (\w+) \| `).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		code := service.Code(n)
		documented[code] = true
		if code.String() != m[2] {
			t.Errorf("code %d is %s in the document and %s here", n, m[2], code)
		}
	}
	for n := range 1000 {
		code := service.Code(n)
		if known := code.String() != fmt.Sprintf("code %d", n); known != documented[code] {
			t.Errorf("code %d: known %v, documented %v", n, known, documented[code])
		}
		if code.Retry() != (n >= 200) {
			t.Errorf("code %d: retry %v", n, code.Retry())
		}
	}
}

func TestWhatClientsAreToldOfErrors(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code service.Code
	}{
		{service.Errorf(service.Conflict, "x"), service.Conflict},
		{fmt.Errorf("append: %w", service.ErrBusy), service.Busy},
		{service.ErrUnavailable, service.Unavailable}, {service.ErrConflict, service.Conflict}, {service.ErrNotFound, service.NotFound},
		{service.ErrDenied, service.Denied}, {service.ErrTooLarge, service.TooLarge}, {service.ErrUnknownOutcome, service.Internal},
		{errors.New("open /secret/path: permission denied"), service.Internal},
	} {
		told := service.AsError(tc.err)
		if told.Code != tc.code || told.Message == tc.err.Error() {
			t.Errorf("%v: told %v", tc.err, told)
		}
	}
}
