package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/storage"
)

// TestJSONIsThatOfTheWire: ids came out as {"ID":2,"Set":true} and dates as strings.
func TestJSONIsThatOfTheWire(t *testing.T) {
	for _, tc := range []struct {
		name string
		v    any
		want string
	}{
		{"message", &codec.Timeline{Messages: []codec.TimelineItem{{LabelName: codec.Message, Content: &codec.MessageBody{SendDate: "1795", ContentStr: "<&>"}}}},
			`{"messages":[{"labelName":"message","content":{"fromUserId":0,"toUserId":0,"contentStr":"<&>","msgId":"","sendDate":1795,` +
				`"msgContentType":0,"sessionId":"","serverReceiveDate":0,"state":0,"seq":0}}],"more":false}`},
		{"session", &codec.SessionList{Sessions: []codec.SessionBody{{PeerID: codec.SomeID(2)}}},
			`{"sessions":[{"peerId":2,"seq":0,"readSeq":0,"deliveredSeq":0,"unread":0,"updateDate":0}],"more":false}`},
		{"group", []codec.GroupBody{{UserID: codec.SomeID(0), Seq: 7}},
			`[{"groupId":"","groupName":"","groupHeadImage":"","creator":0,"memberIds":[],"updateDate":0,"createDate":0,"userId":0,"seq":7}]`},
		{"no groups", []codec.GroupBody{}, `[]`},
		{"report", storage.Report{Entries: 1}, `{"entries":1,"notices":0,"conversations":0,"postings":0,"groups":0,"marks":0,"appliedGid":0,"fileBytes":0,"faultCount":0}`},
	} {
		var out, compact bytes.Buffer
		if err := printJSON(&out, tc.v); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&compact, out.Bytes()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, compact.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}
