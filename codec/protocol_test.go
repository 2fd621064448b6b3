package codec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	jsonx "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/codec"
)

// block is a fenced block of PROTOCOL.md: its words behind the fence, and what is in it.
type block struct {
	words []string
	text  string
	line  int
}

func protocol(t *testing.T) (text string, blocks []block) {
	t.Helper()
	b, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(b), "\n") {
		switch fence, ok := strings.CutPrefix(line, "```"); {
		case ok && open == nil:
			open = &block{words: strings.Fields(fence), line: i + 1}
		case ok:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	return string(b), blocks
}

// kinds and formats by the words that PROTOCOL.md uses.
var (
	kindNames   = map[string]codec.Kind{"request": codec.Request, "response": codec.Response, "push": codec.Push}
	formatNames = map[string]codec.Format{"none": codec.None, "json": codec.JSON, "msgpack": codec.MsgPack}
)

// TestProtocolFrames: every frame in the document is what is said of it.
func TestProtocolFrames(t *testing.T) {
	_, blocks := protocol(t)
	count := 0
	for _, b := range blocks {
		if len(b.words) == 0 || b.words[0] != "frame" {
			continue
		}
		count++
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			raw, err := hex.DecodeString(strings.Join(strings.Fields(b.text), ""))
			if err != nil {
				t.Fatal(err)
			}
			f, n, err := codec.ParseFrame(raw, codec.MaxLength)
			if err != nil || n != len(raw) {
				t.Fatalf("n = %d of %d, %v", n, len(raw), err)
			}
			if b.words[1] == "heartbeat" {
				if !f.Heartbeat() || !bytes.Equal(codec.AppendHeartbeat(nil), raw) {
					t.Error("not a heartbeat")
				}
				return
			}
			kind, label, format := kindNames[b.words[1]], codec.Label(b.words[2]), formatNames[b.words[3]]
			if f.Kind != kind || codec.Label(f.Label) != label || f.Format != format {
				t.Errorf("it is kind %d label %s format %s", f.Kind, f.Label, f.Format)
			}
			if again := codec.AppendFrame(nil, format, kind, label, f.Body); !bytes.Equal(again, raw) {
				t.Errorf("encoded it is %x", again)
			}
			if kind == codec.Request && label != codec.CanConnect {
				if err := codec.Unmarshal(format, f.Body, requestOf(label)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if count < 6 {
		t.Errorf("only %d frames found", count)
	}
}

// TestProtocolExamples: every body in the document is one that the codec reads to the last field, writes
// the same again, and carries over MessagePack unchanged.
func TestProtocolExamples(t *testing.T) {
	text, blocks := protocol(t)
	seen := map[string]bool{}
	for _, b := range blocks {
		if len(b.words) != 3 || b.words[0] != "json" {
			continue
		}
		kind, label := b.words[1], codec.Label(b.words[2])
		seen[kind+" "+string(label)] = true
		t.Run(fmt.Sprintf("line %d %s %s", b.line, kind, label), func(t *testing.T) { example(t, kind, label, b.text) })
	}
	table := labelsOfTable(t, text)
	for label, sender := range table {
		if label == codec.CanConnect {
			continue
		}
		if sender != "server" && (!seen["request "+string(label)] || !seen["response "+string(label)]) {
			t.Errorf("%s has no example of its request and its response", label)
		}
		if sender != "client" && !seen["push "+string(label)] {
			t.Errorf("%s has no example of its push", label)
		}
	}
	source, err := os.ReadFile("label.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Label = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		if table[codec.Label(m[1])] == "" {
			t.Errorf("%s is not in the table of labels", m[1])
		}
		if _, ok := codec.LookupLabel([]byte(m[1])); !ok {
			t.Errorf("LookupLabel does not know %s", m[1])
		}
		delete(table, codec.Label(m[1]))
	}
	if len(table) > 0 {
		t.Errorf("labels that do not exist: %v", table)
	}
}

// labelsOfTable gives who sends each label.
func labelsOfTable(t *testing.T, text string) map[codec.Label]string {
	t.Helper()
	table := map[codec.Label]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (client|server|both) \\|").FindAllStringSubmatch(text, -1) {
		table[codec.Label(m[1])] = m[2]
	}
	return table
}

func example(t *testing.T, kind string, label codec.Label, text string) {
	t.Helper()
	var body any
	switch kind {
	case "request":
		body = requestOf(label)
	case "push":
		body = pushOf(label)
	case "response":
		answer, err := codec.DecodeResponse(codec.JSON, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if answer.Code != 0 {
			frame := codec.AppendErrorResponse(nil, codec.JSON, label, answer.TaskID, answer.Code, answer.Error)
			sameJSON(t, text, bodyOf(t, frame))
			return
		}
		body = resultOf(label)
		roundTrip(t, string(answer.Result), body)
		frame, err := codec.AppendResponse(nil, codec.JSON, label, answer.TaskID, body)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, text, bodyOf(t, frame))
		return
	}
	roundTrip(t, text, body)
}

// roundTrip reads text into body, in which it may leave no field unread, and writes it in both formats.
func roundTrip(t *testing.T, text string, body any) {
	t.Helper()
	if err := jsonx.Unmarshal([]byte(text), body, jsonx.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	for _, f := range formats {
		if f == codec.MsgPack && strings.Contains(text, "taskId") {
			continue // a taskId is the bytes of one format
		}
		out, err := codec.AppendBody(nil, f, body)
		if err != nil {
			t.Fatal(err)
		}
		again := newLike(body)
		if err := codec.UnmarshalValue(f, out, again); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if diff := cmp.Diff(body, again); diff != "" {
			t.Errorf("%s: %s", f, diff)
		}
		if f == codec.JSON && !strings.Contains(text, `"3"`) && !strings.Contains(text, `"token":""`) && !strings.Contains(text, `"groupId":"","`) {
			sameJSON(t, text, out)
		}
	}
}

func sameJSON(t *testing.T, want string, got []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("written it is %s\n%s", got, diff)
	}
}

func requestOf(l codec.Label) any {
	switch l {
	case codec.GetUserID:
		return &codec.Bind{}
	case codec.Message:
		return &codec.MessageRequest{}
	case codec.MessageStatus:
		return &codec.StatusRequest{}
	case codec.QueryMessageInfo:
		return &codec.InfoRequest{}
	case codec.QueryOfflineMessage:
		return &codec.OfflineRequest{}
	case codec.QueryHistory:
		return &codec.HistoryRequest{}
	case codec.QuerySessionList:
		return &codec.SessionsRequest{}
	}
	return &codec.GroupRequest{}
}

func resultOf(l codec.Label) any {
	switch l {
	case codec.GetUserID:
		return &codec.Bound{}
	case codec.Message:
		return &codec.MessageStored{}
	case codec.QueryMessageInfo:
		return &codec.MessageInfo{}
	case codec.QueryGroupList:
		return &[]codec.GroupBody{}
	case codec.QueryGroupInfo, codec.CreateGroup, codec.UpdateGroupInfo:
		return &codec.GroupBody{}
	case codec.AddGroupMembers, codec.KickGroupMembers, codec.DeleteGroup:
		return &codec.MembersBody{}
	case codec.QueryOfflineMessage, codec.QueryHistory:
		return &codec.Timeline{}
	case codec.QuerySessionList:
		return &codec.SessionList{}
	}
	return &codec.Empty{}
}

func pushOf(l codec.Label) any {
	switch l {
	case codec.Message:
		return &codec.MessageBody{}
	case codec.MessageStatus:
		return &codec.StatusBody{}
	case codec.CreateGroupNoti, codec.GroupInfoUpdateNoti:
		return &codec.GroupBody{}
	case codec.GroupMembersAddNoti, codec.GroupMembersDelNoti, codec.DeleteGroupNoti:
		return &codec.MembersBody{}
	case codec.MissedNoti:
		return &codec.Empty{}
	case codec.DrainNoti:
		return &codec.DrainBody{}
	}
	return &codec.ErrorBody{}
}
