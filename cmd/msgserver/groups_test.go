package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestGroupChangesSayWhatHappened: each said "added", "removed" or "deleted", also when nothing was.
func TestGroupChangesSayWhatHappened(t *testing.T) {
	s := serve(t, t.TempDir())
	as := func(user string, args ...string) string {
		return ok(t, append(append([]string{"groups"}, args...), "--user", user, "--addr", s.addr)...)
	}
	if out := as("1", "create", "--name", "friends", "--members", "2,3"); !strings.Contains(out, `, "friends", with 2, 3`) {
		t.Errorf("create: %s", out)
	}
	id := groupID(t, "groups", "list", "--user", "1", "--addr", s.addr)
	for _, tc := range []struct {
		user, command, flag, value, want string
	}{
		{"1", "add", "--members", "3,4,5", "added 4, 5 #2; members before: 3\n"},
		{"1", "add", "--members", "4", "nothing changed: all of them are members already\n"},
		{"1", "add", "--members", "6", "added 6 #3\n"},
		{"1", "kick", "--members", "4,9", "removed 4 #4; not members: 9\n"},
		{"1", "kick", "--members", "4", "nothing changed: none of them is a member\n"},
		{"5", "kick", "--members", "5", "left the group #5\n"},
		{"1", "update", "--name", "friends", "nothing changed: the group is like that already\n"},
		{"1", "update", "--head-image", "x.png", "updated #6: \"friends\", creator 1, picture \"x.png\"\n"},
		{"1", "update", "--head-image", "", "updated #7: \"friends\", creator 1\n"},
		{"3", "delete", "-o", "text", "left the group #8: only its creator can dissolve it\n"},
	} {
		if out := as(tc.user, tc.command, "--group", id, tc.flag, tc.value); out != tc.want {
			t.Errorf("%s %s says %q, want %q", tc.command, tc.value, out, tc.want)
		}
	}
	if out := ok(t, "history", "--user", "2", "--group", id, "--addr", s.addr); !strings.Contains(out, "#5  * 5 left the group\n") {
		t.Errorf("history:\n%s", out)
	}
	var added struct {
		MemberIDs []int
		Seq       int
	}
	if err := json.Unmarshal([]byte(as("1", "add", "--group", id, "--members", "7", "-o", "json")), &added); err != nil || len(added.MemberIDs) != 1 || added.Seq != 9 {
		t.Errorf("add -o json: %+v, %v", added, err)
	}
	if out := as("1", "delete", "--group", id); out != "dissolved the group for all its members #10\n" {
		t.Errorf("delete: %q", out)
	}
}
