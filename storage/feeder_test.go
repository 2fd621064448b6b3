package storage_test

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// feeder appends messages over all conversations in random order, without pause.
type feeder struct {
	db      *storage.DB
	random  *rand.Rand
	sent    int
	content [256]string
	free    chan struct{} // batches that may be sent
	acks    chan time.Duration
	failed  atomic.Pointer[error]
}

func newFeeder(db *storage.DB, seed uint64) *feeder {
	f := &feeder{db: db, random: rand.New(rand.NewPCG(seed, 1)), free: make(chan struct{}, benchWindow/benchBatch)}
	f.acks = make(chan time.Duration, 1<<20)
	for i := range f.content {
		b := make([]byte, benchPayload)
		for j := range b {
			b[j] = byte('a' + f.random.IntN(26))
		}
		f.content[i] = string(b)
	}
	return f
}

// send sends one batch when there is room for it.
func (f *feeder) send() {
	f.free <- struct{}{}
	batch := make([]service.Append, benchBatch)
	ids := make([]byte, 0, benchBatch*20)
	start := time.Now()
	var left atomic.Int32
	left.Store(benchBatch)
	done := func(_ service.Appended, err error) {
		if err != nil {
			f.failed.Store(&err)
		}
		if left.Add(-1) == 0 {
			select {
			case f.acks <- time.Since(start):
			default:
			}
			<-f.free
		}
	}
	for i := range batch {
		from := service.UserID(f.random.IntN(benchUsers) + 1)
		at := len(ids)
		ids = strconv.AppendUint(append(ids, "m-"...), f.random.Uint64()>>8, 10)
		batch[i] = service.Append{Done: done, Message: service.Message{
			Conv: service.Pair(from, from+1), From: from, To: from + 1, MsgID: string(ids[at:]), ContentType: 1,
			SendDate: "1795000000000", Content: f.content[f.sent&255],
		}}
		f.sent++
	}
	f.db.Append(batch)
}

// wait waits until everything is acknowledged.
func (f *feeder) wait(b *testing.B) {
	for range cap(f.free) {
		f.free <- struct{}{}
	}
	for range cap(f.free) {
		<-f.free
	}
	if err := f.failed.Load(); err != nil {
		b.Fatal(*err)
	}
}
