package storage

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/service"
)

var someMessage = service.Message{
	Conv: service.Pair(7, 9), From: 9, To: 7, MsgID: "a message id", ContentType: -1, SendDate: "1795000000000", Content: "你好",
}

// someOps are entries with the ops that stand for them, as of gid 5.
func someOps() map[string]struct {
	entry service.Entry
	op    []byte
} {
	type sample = struct {
		entry service.Entry
		op    []byte
	}
	group := service.GroupID{1: 2, 0: 1}
	notice := service.Message{Conv: group.Conv(), From: 3}
	made := &change{revision: 4, createDate: 1, updateDate: -2, creator: 3, name: "名", headImage: "http://x",
		add: []service.UserID{3, 1 << 40}, remove: []service.UserID{0, 8}, members: []service.UserID{3, 5}}
	entry := func(m service.Message, kind service.EntryKind) service.Entry {
		return service.Entry{Message: m, Seq: 300, Kind: kind, ServerDate: 1795000000001}
	}
	ops := map[string]sample{
		"message": {entry(someMessage, service.KindMessage), appendEntry(nil, 5, &someMessage, 300, service.KindMessage, 1795000000001, nil)},
	}
	for kind, name := range map[service.EntryKind]string{
		service.KindGroupCreated: "created", service.KindGroupUpdated: "updated", service.KindMembersAdded: "added",
		service.KindMembersGone: "gone", service.KindGroupDissolved: "dissolved",
	} {
		e := entry(notice, kind)
		made.tell(&e)
		ops[name] = sample{e, appendEntry(nil, 5, &notice, 300, kind, 1795000000001, made)}
	}
	return ops
}

func TestOpsComeBackAsTheyWere(t *testing.T) {
	for name, s := range someOps() {
		t.Run(name, func(t *testing.T) {
			e, err := decodeEntry(5, s.op)
			if err != nil || !cmp.Equal(e, s.entry) {
				t.Fatal(err, cmp.Diff(s.entry, e))
			}
			if _, err := decodeEntry(6, s.op); !errors.Is(err, errDamaged) {
				t.Errorf("it passes for the record of another gid: %v", err)
			}
			for i := range s.op {
				spoiled := append([]byte{}, s.op...)
				spoiled[i] ^= 0x10
				if _, err := decodeEntry(5, spoiled); !errors.Is(err, errDamaged) {
					t.Errorf("byte %d can be changed: %v", i, err)
				}
				// Cut short with a right checksum is what only a bug could write: an error too, not a panic.
				cut := append([]byte{}, s.op[:i]...)
				if _, err := decodeEntry(5, seal(cut, 0, 5)); i < len(s.op)-crcSize && !errors.Is(err, errDamaged) {
					t.Errorf("it can be cut after %d bytes: %v", i, err)
				}
			}
		})
	}
}

func TestDecodingAMessageAllocatesItsTextOnly(t *testing.T) {
	op := someOps()["message"].op
	if n := testing.AllocsPerRun(100, func() {
		if _, err := decodeEntry(5, op); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	for _, s := range someOps() {
		f.Add(s.op[:len(s.op)-crcSize])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if e, err := decodeEntry(5, seal(append([]byte{}, body...), 0, 5)); err == nil && e.Kind == 0 {
			t.Fatal("an entry without a kind")
		}
	})
}
