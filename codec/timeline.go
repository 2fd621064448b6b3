package codec

import (
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5"
)

// UnmarshalJSONFrom reads an entry into the type that its label stands for.
func (t *TimelineItem) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var raw struct {
		LabelName Label          `json:"labelName"`
		Content   jsontext.Value `json:"content"`
	}
	if err := decodeJSON(v, &raw); err != nil {
		return err
	}
	t.LabelName, t.Content = raw.LabelName, contentOf(raw.LabelName)
	if len(raw.Content) == 0 {
		return nil
	}
	return t.settle(decodeJSON(raw.Content, t.Content))
}

// DecodeMsgpack reads an entry into the type that its label stands for.
func (t *TimelineItem) DecodeMsgpack(dec *msgpack.Decoder) error {
	all, err := dec.DecodeRaw()
	if err != nil {
		return err
	}
	var raw struct {
		LabelName Label              `json:"labelName"`
		Content   msgpack.RawMessage `json:"content"`
	}
	if err := decodeMsgPack(all, &raw); err != nil { // guarded as a part of what it came in
		return err
	}
	t.LabelName, t.Content = raw.LabelName, contentOf(raw.LabelName)
	if len(raw.Content) == 0 {
		return nil
	}
	return t.settle(decodeMsgPack(raw.Content, t.Content))
}

// settle passes over what does not decode of an entry of an unknown kind: nobody has promised what is in it.
func (t *TimelineItem) settle(err error) error {
	if _, unknown := t.Content.(*UnknownBody); unknown {
		return nil
	}
	return err
}

// contentOf is what an entry with this label holds.
func contentOf(l Label) any {
	switch l {
	case CreateGroupNoti, GroupInfoUpdateNoti:
		return &GroupBody{}
	case GroupMembersAddNoti, GroupMembersDelNoti, DeleteGroupNoti:
		return &MembersBody{}
	case Message:
		return &MessageBody{}
	}
	return &UnknownBody{}
}
