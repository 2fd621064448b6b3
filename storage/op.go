package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/msgserver/msgserver/service"
)

// An op is encoded once: the same bytes are the journal's record, the tail's entry and the value in the log
// or in receipts. The first byte says what it is and in which version.
//
//	entry    u8 1 | conv 16 | seq uv | kind u8 | from uv | serverDate v | contentType v |
//	         len(msgID) uv | len(sendDate) uv | len(content) uv | msgID | sendDate | content | change? | crc u32
//	change   revision uv | createDate v | updateDate v | creator uv | name | headImage | add | remove | members
//	receipt  u8 2 | conv 16 | user uv | delivered uv | read uv | crc u32
//
// uv is an unsigned, v a signed varint; name and headImage are length and bytes; add, remove and members are
// sorted lists of users. A notice has a change; members are there only if the change is an update. Who a
// personal message is to follows from conv and from. crc is the CRC-32C, little endian, of all that is before it.
// It goes on from the halves of the gid, one xor the other, so that an op does not pass for that of another gid.
const (
	opEntry   byte = 1
	opReceipt byte = 2
)

const crcSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(gid uint64, b []byte) uint32 {
	return crc32.Update(uint32(gid)^uint32(gid>>32), castagnoli, b)
}

// seal ends the op that begins at start.
func seal(b []byte, start int, gid uint64) []byte {
	return binary.LittleEndian.AppendUint32(b, checksum(gid, b[start:]))
}

// unseal gives the op without its checksum, or the error that names its gid.
func unseal(gid uint64, op []byte) ([]byte, error) {
	if len(op) <= crcSize {
		return nil, fmt.Errorf("record %d is %d bytes long: %w", gid, len(op), errDamaged)
	}
	body, sum := op[:len(op)-crcSize], binary.LittleEndian.Uint32(op[len(op)-crcSize:])
	if checksum(gid, body) != sum {
		return nil, fmt.Errorf("record %d has a wrong checksum: %w", gid, errDamaged)
	}
	return body, nil
}

// change is what a notice says about its group beyond what every entry has.
type change struct {
	revision               uint64
	createDate, updateDate int64
	creator                service.UserID
	name, headImage        string
	add, remove            []service.UserID
	members                []service.UserID // after an update
}

// appendEntry encodes an entry; ch is nil for a message.
func appendEntry(b []byte, gid uint64, m *service.Message, seq service.Seq, kind service.EntryKind, date int64, ch *change) []byte {
	start := len(b)
	b = append(b, opEntry)
	b = append(b, m.Conv[:]...)
	b = binary.AppendUvarint(b, uint64(seq))
	b = append(b, byte(kind))
	b = binary.AppendUvarint(b, uint64(m.From))
	b = binary.AppendVarint(b, date)
	b = binary.AppendVarint(b, m.ContentType)
	b = binary.AppendUvarint(b, uint64(len(m.MsgID)))
	b = binary.AppendUvarint(b, uint64(len(m.SendDate)))
	b = binary.AppendUvarint(b, uint64(len(m.Content)))
	b = append(b, m.MsgID...)
	b = append(b, m.SendDate...)
	b = append(b, m.Content...)
	if ch != nil {
		b = appendChange(b, ch)
	}
	return seal(b, start, gid)
}

// entrySize is about how many bytes appendEntry takes for m, and not less.
func entrySize(m *service.Message) int {
	return 96 + len(m.MsgID) + len(m.SendDate) + len(m.Content)
}

// changeSize is about how many bytes appendChange takes, and not less.
func changeSize(ch *change) int {
	return 64 + len(ch.name) + len(ch.headImage) + usersSize(ch.add) + usersSize(ch.remove) + usersSize(ch.members)
}

func appendChange(b []byte, ch *change) []byte {
	b = binary.AppendUvarint(b, ch.revision)
	b = binary.AppendVarint(b, ch.createDate)
	b = binary.AppendVarint(b, ch.updateDate)
	b = binary.AppendUvarint(b, uint64(ch.creator))
	b = appendText(b, ch.name)
	b = appendText(b, ch.headImage)
	b = appendUsers(b, ch.add)
	b = appendUsers(b, ch.remove)
	return appendUsers(b, ch.members)
}

func (s *scan) change() *change {
	return &change{
		revision: s.uvarint(), createDate: s.varint(), updateDate: s.varint(),
		creator: service.UserID(s.uvarint()), name: s.text(), headImage: s.text(),
		add: s.users(), remove: s.users(), members: s.users(),
	}
}

// header is an entry before its strings are made: what opening and verifying need of it.
type header struct {
	conv        service.ConvID
	seq         service.Seq
	kind        service.EntryKind
	from        service.UserID
	date        int64
	contentType int64
	msgID       int    // its length, and so on
	sendDate    int    //
	content     int    //
	text        []byte // the three strings
	change      []byte // of a notice
}

// parseEntry takes an unsealed entry apart without copying anything.
func parseEntry(gid uint64, body []byte) (h header, err error) {
	s := scan{b: body}
	version := s.byte()
	h.conv, h.seq, h.kind = s.conv(), service.Seq(s.uvarint()), service.EntryKind(s.byte())
	h.from, h.date, h.contentType = service.UserID(s.uvarint()), s.varint(), s.varint()
	msgID, sendDate, content := s.uvarint(), s.uvarint(), s.uvarint()
	if most := uint64(len(body)); version != opEntry || s.bad || msgID > most || sendDate > most || content > most {
		return h, fmt.Errorf("record %d is no entry: %w", gid, errDamaged)
	}
	h.msgID, h.sendDate, h.content = int(msgID), int(sendDate), int(content)
	h.text = s.take(msgID + sendDate + content)
	h.change = s.b
	if s.bad || h.kind == 0 || h.kind.Notice() == (len(h.change) == 0) {
		return h, fmt.Errorf("record %d is cut short: %w", gid, errDamaged)
	}
	return h, nil
}

func (h *header) id() []byte { return h.text[:h.msgID] }

// entry makes the entry with one copy of its text.
func (h *header) entry(gid uint64) (service.Entry, error) {
	text := string(h.text)
	e := service.Entry{
		Message: service.Message{
			Conv: h.conv, From: h.from, ContentType: h.contentType, MsgID: text[:h.msgID],
			SendDate: text[h.msgID : h.msgID+h.sendDate], Content: text[h.msgID+h.sendDate:],
		},
		Seq: h.seq, Kind: h.kind, ServerDate: h.date,
	}
	if !h.kind.Notice() {
		if _, group := h.conv.Group(); !group {
			e.To = h.conv.Peer(h.from)
		}
		return e, nil
	}
	ch, err := h.groupChange(gid)
	if err != nil {
		return e, err
	}
	ch.tell(&e)
	return e, nil
}

func (h *header) groupChange(gid uint64) (*change, error) {
	s := scan{b: h.change}
	ch := s.change()
	if s.bad || len(s.b) > 0 {
		return nil, fmt.Errorf("the change in record %d is cut short: %w", gid, errDamaged)
	}
	return ch, nil
}

// tell fills in what a notice says about the group.
func (ch *change) tell(e *service.Entry) {
	switch e.Kind {
	case service.KindGroupCreated:
		e.Group = ch.group(service.GroupID(e.Conv), ch.add)
	case service.KindGroupUpdated:
		e.Group = ch.group(service.GroupID(e.Conv), ch.members)
	case service.KindMembersAdded:
		e.Members = ch.add
	case service.KindMembersGone:
		e.Members = ch.remove
	}
}

// group is the group after the change, with these members.
func (ch *change) group(id service.GroupID, members []service.UserID) *service.Group {
	return &service.Group{
		ID: id, Name: ch.name, HeadImage: ch.headImage, Creator: ch.creator, Members: members,
		CreateDate: ch.createDate, UpdateDate: ch.updateDate, Revision: ch.revision,
	}
}

// decodeEntry makes an entry of a stored op.
func decodeEntry(gid uint64, op []byte) (service.Entry, error) {
	body, err := unseal(gid, op)
	if err != nil {
		return service.Entry{}, err
	}
	h, err := parseEntry(gid, body)
	if err != nil {
		return service.Entry{}, err
	}
	return h.entry(gid)
}

// appendReceipt encodes where a user's marks are from now on.
func appendReceipt(b []byte, gid uint64, k markKey, m service.Marks) []byte {
	start := len(b)
	b = append(b, opReceipt)
	b = append(b, k.conv[:]...)
	b = binary.AppendUvarint(b, uint64(k.user))
	b = appendMarks(b, m)
	return seal(b, start, gid)
}

func appendMarks(b []byte, m service.Marks) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(m.Delivered)), uint64(m.Read))
}

func (s *scan) marks() service.Marks {
	return service.Marks{Delivered: service.Seq(s.uvarint()), Read: service.Seq(s.uvarint())}
}

// parseReceipt takes an unsealed receipt apart.
func parseReceipt(gid uint64, body []byte) (k markKey, m service.Marks, err error) {
	s := scan{b: body}
	version := s.byte()
	k = markKey{s.conv(), service.UserID(s.uvarint())}
	m = s.marks()
	if version != opReceipt || s.bad || len(s.b) > 0 {
		return k, m, fmt.Errorf("record %d is no receipt: %w", gid, errDamaged)
	}
	return k, m, nil
}
