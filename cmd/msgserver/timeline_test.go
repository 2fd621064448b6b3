package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestHistorySaysWhenWhereAndHowToGoOn: it had neither dates nor the group's name, and said "… and more".
func TestHistorySaysWhenWhereAndHowToGoOn(t *testing.T) {
	s := serve(t, t.TempDir())
	as := func(user string, args ...string) string {
		return ok(t, append(args, "--user", user, "--addr", s.addr)...)
	}
	as("1", "groups", "create", "--name", "friends", "--members", "2")
	id := groupID(t, "groups", "list", "--user", "1", "--addr", s.addr)
	for i := range 5 {
		as("1", "send", "--group", id, fmt.Sprint("number ", i))
		as("1", "send", "--to", "2", fmt.Sprint("personal ", i))
	}
	dated := regexp.MustCompile(`(?m)^ *\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  #\d+  `)
	title := "group " + id + ` "friends"` + "\n"

	out := as("2", "history", "--group", id, "--limit", "2")
	if !strings.HasPrefix(out, title) || len(dated.FindAllString(out, -1)) != 2 || !strings.HasSuffix(out, "… older ones: --before 5\n") {
		t.Errorf("history says\n%s", out)
	}
	if out := as("2", "history", "--group", id, "--before", "5", "--limit", "2"); !strings.Contains(out, "#3 ") || !strings.HasSuffix(out, "--before 3\n") {
		t.Errorf("history --before says\n%s", out)
	}
	if out := as("2", "history", "--to", "1", "--after", "0", "--limit", "4"); !strings.HasSuffix(out, "… newer ones: --after 4\n") || strings.Contains(out, "group") {
		t.Errorf("history --after says\n%s", out)
	}
	if out := as("2", "history", "--to", "1"); len(dated.FindAllString(out, -1)) != 5 || strings.Contains(out, "…") {
		t.Errorf("the whole history says\n%s", out)
	}
	out = as("2", "offline")
	if !strings.Contains(out, title) || !strings.Contains(out, "user 1\n  ") || len(dated.FindAllString(out, -1)) != 11 || strings.Contains(out, "…") {
		t.Errorf("offline says\n%s", out)
	}
	if out := as("2", "offline", "--limit", "3"); !strings.Contains(out, "… and more: --limit 200") {
		t.Errorf("offline says\n%s", out)
	}
	if out := as("2", "sessions"); !strings.Contains(out, id+` "friends"`) {
		t.Errorf("sessions says\n%s", out)
	}
	as("2", "groups", "delete", "--group", id) // the name of a group that one has left is not told any more
	if out := as("2", "history", "--group", id); !strings.HasPrefix(out, "group "+id+"\n") {
		t.Errorf("history of a former member says\n%s", out)
	}
}

func TestClockHasTheDateOfOtherDays(t *testing.T) {
	now := time.Now()
	if got := clock(now.UnixMilli()); got != now.Format(time.TimeOnly) && got != stamp(now.UnixMilli()) { // it may be midnight
		t.Errorf("now is %s", got)
	}
	before := now.AddDate(0, 0, -2)
	if got := clock(before.UnixMilli()); got != before.Format(time.DateTime) {
		t.Errorf("two days ago is %s", got)
	}
}

// TestAPageOfAnImpossibleSizeIsRefused: --limit -1 was taken for the server's default.
func TestAPageOfAnImpossibleSizeIsRefused(t *testing.T) {
	for _, args := range [][]string{{"history", "--user", "1", "--to", "2"}, {"offline", "--user", "1"}, {"sessions", "--user", "1"}} {
		for _, limit := range []string{"-1", "201", "many"} {
			if _, errOut, code := run(t, append(args, "--limit", limit)...); code != exitUsage || !strings.Contains(errOut, "from 0 to 200") {
				t.Errorf("%s --limit %s: exit %d, %s", args[0], limit, code, errOut)
			}
		}
	}
}
