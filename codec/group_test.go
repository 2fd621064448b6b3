package codec_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/codec"
)

// TestClear: since "" is absent, there is another way to empty a field.
func TestClear(t *testing.T) {
	for _, tc := range []struct {
		name  string
		body  string
		wrong string // what the error names; "" is none
	}{
		{"the picture", `{"groupId":"g","groupHeadImage":"","clear":["groupHeadImage"]}`, ""},
		{"nothing", `{"clear":[]}`, ""},
		{"twice", `{"clear":["groupHeadImage","groupHeadImage"]}`, ""},
		{"the name", `{"clear":["groupName"]}`, "groupName"},
		{"the unknown", `{"clear":["groupHeadImage","shoeSize"]}`, "shoeSize"},
		{"too many", `{"clear":["groupHeadImage",` + strings.Repeat(`"groupHeadImage",`, 7) + `"groupHeadImage"]}`, "more names"},
		{"and set", `{"groupHeadImage":"x","clear":["groupHeadImage"]}`, "at once"},
		{"a text", `{"clear":"groupHeadImage"}`, " "},
	} {
		for format, body := range inBoth(t, tc.body) {
			var got codec.GroupRequest
			err := codec.Unmarshal(format, body, &got)
			if tc.wrong == "" {
				if err != nil || got.GroupHeadImage != nil {
					t.Errorf("%s in %s: %+v, %v", tc.name, format, got, err)
				}
				continue
			}
			if class(err) != "field" || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%s in %s: %v", tc.name, format, err)
			}
		}
	}
}

// TestResultsOfGroupChanges: an empty list of members says that nothing changed, an absent one is a notice without.
func TestResultsOfGroupChanges(t *testing.T) {
	for _, format := range formats {
		for _, body := range []*codec.MembersBody{
			{GroupID: "g", MemberIDs: codec.IDs{}, UserID: 1},
			{GroupID: "g", UserID: 1, Seq: 2, ServerReceiveDate: 3},
			{GroupID: "g", MemberIDs: codec.IDs{4}, UserID: 1, Seq: 2, ServerReceiveDate: 3},
		} {
			b, err := codec.AppendBody(nil, format, body)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]bool{"memberIds": body.MemberIDs != nil, "seq": body.Seq != 0, "serverReceiveDate": body.Seq != 0} {
				if got := strings.Contains(string(b), name); got != want {
					t.Errorf("%s in %s of %+v: %v", name, format, body, got)
				}
			}
			var again codec.MembersBody
			if err := codec.Unmarshal(format, b, &again); err != nil || !reflect.DeepEqual(&again, body) {
				t.Errorf("%s: came back as %+v, %v", format, again, err)
			}
		}
	}
}
