package storage

import (
	"encoding/binary"

	"github.com/msgserver/msgserver/service"
)

// The buckets of the file. Integers in keys are big endian, so that keys sort as what they name.
//
//	meta        name                  → see below
//	log         gid u64               → op: an entry, sealed with a CRC-32C     appended in order, the truth
//	index       conv 16 | first u64   → run of postings from seq first on       swept behind the log
//	tails       conv 16               → first uvarint | run, that is not full   swept behind the log
//	convs       user u64 | conv 16    → nothing: a personal conversation        swept behind the log
//	receipts    gid u64               → op: a receipt                           appended in order, deleted when swept
//	marks       conv 16 | user u64    → delivered, read uvarint                 swept behind receipts
//	groups      group 16              → record, kept when the group is dissolved
//	members     group 16 | user u64   → nothing
//	usergroups  user u64 | group 16   → spans
//	            user u64              → uvarint, the number of groups the user is in
var (
	bucketMeta       = []byte("meta")
	bucketLog        = []byte("log")
	bucketIndex      = []byte("index")
	bucketTails      = []byte("tails")
	bucketConvs      = []byte("convs")
	bucketReceipts   = []byte("receipts")
	bucketMarks      = []byte("marks")
	bucketGroups     = []byte("groups")
	bucketMembers    = []byte("members")
	bucketUserGroups = []byte("usergroups")

	buckets = [][]byte{bucketMeta, bucketLog, bucketIndex, bucketTails, bucketConvs, bucketReceipts, bucketMarks,
		bucketGroups, bucketMembers, bucketUserGroups}
)

// The keys of meta.
var (
	metaFormat   = []byte("format")   // u64: the version of this layout
	metaID       = []byte("id")       // 16 bytes: which database this is, random; new after a restore
	metaJournal  = []byte("journal")  // u64 1: a journal was made for this id; absent until it was
	metaHashKey  = []byte("hashkey")  // 16 bytes: the key of this file's fingerprints, random
	metaApplied  = []byte("applied")  // u64: every op up to this gid is in this file
	metaIndexed  = []byte("indexed")  // u64: every entry before this gid is in index and convs
	metaMarked   = []byte("marked")   // u64: every receipt before this gid is in marks, if it is still there; absent: 0
	metaRetained = []byte("retained") // u64: entries before this gid have expired and are gone; absent: none has
)

// format is the version of the layout this package writes.
const format = 2

func keyOfGid(gid uint64) []byte { return binary.BigEndian.AppendUint64(nil, gid) }

func gidOfKey(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

func keyOfConv(c service.ConvID, seq service.Seq) (k [24]byte) {
	copy(k[:], c[:])
	binary.BigEndian.PutUint64(k[16:], uint64(seq))
	return k
}

// seqOfKey is the integer behind the 16 bytes of a key that keyOfConv made.
func seqOfKey(key []byte) service.Seq { return service.Seq(binary.BigEndian.Uint64(key[16:])) }

func keyOfUser(u service.UserID, id [16]byte) (k [24]byte) {
	binary.BigEndian.PutUint64(k[:], uint64(u))
	copy(k[8:], id[:])
	return k
}

// markKey names one user's marks in one conversation; it sorts as its key does.
type markKey struct {
	conv service.ConvID
	user service.UserID
}

func (m markKey) key() [24]byte { return keyOfConv(m.conv, service.Seq(m.user)) }

func keyOfMember(g service.GroupID, u service.UserID) [24]byte {
	return keyOfConv(g.Conv(), service.Seq(u))
}
