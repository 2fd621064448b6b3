package storage

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// A batch is as large as what queued up during the last sync, up to these bounds: one sync then costs little
// for each operation, and nobody waits long for the others of his batch.
const (
	maxBatchOps   = 4096
	maxBatchBytes = 2 << 20
	maxBatchTime  = 5 * time.Millisecond // of deciding, when much has to be read from bbolt
)

// handOff is how many batches may wait for their dones before the committer waits for them.
const handOff = 4

// arenaSize is how many bytes of ops share an allocation. Readers may keep it alive as long as they read.
const arenaSize = 256 << 10

// committer decides every operation, one after the other, and makes each batch durable with one sync. It is one
// goroutine, and owns everything here but the atomics and what db shares.
type committer struct {
	db       *DB
	maxBytes int // of a batch in the journal

	last  uint64 // gid of the last op
	date  int64  // of the last entry: dates never go back
	convs *clock[service.ConvID, convState]

	counts groupCounts
	late   *lateTable
	opened int64               // date
	backTo uint64              // gid of the first entry that was not lateWindow old then
	back   map[uint64]struct{} // hashes of the conversations that were read back to there
	seqs   []service.Seq       // space for those that the late table finds
	// The batch that is being decided.
	now     int64
	staged  []staged
	records []record
	bytes   int
	arena   []byte
	groups  map[service.GroupID]*groupState
	marks   map[markKey]service.Marks
	older   []posting // space for those of one conversation
	tx      *bbolt.Tx
	drops   uint64 // recent.drops before tx began

	stuckSince time.Time // since when the journal has no room

	commits   atomic.Uint64
	journaled atomic.Uint64 // bytes of ops
}

func newCommitter(db *DB, last uint64, date int64) (*committer, error) {
	now := max(date, db.options.Clock().UnixMilli())
	backTo, err := db.gidSince(now - lateWindow.Milliseconds())
	return &committer{
		db: db, last: last, date: date, opened: now, backTo: backTo,
		late:     newLateTable(db.options.DedupLateBytes, now),
		back:     map[uint64]struct{}{},
		maxBytes: min(maxBatchBytes, db.journal.maxBatch()),
		convs:    newClock[service.ConvID, convState](db.options.DedupBytes),
		groups:   map[service.GroupID]*groupState{},
		marks:    map[markKey]service.Marks{},
		counts:   newGroupCounts(db.recent.memberships()),
	}, err
}

// run commits until the queue is closed and empty.
func (c *committer) run(answers chan<- answers) {
	defer close(answers)
	for {
		reqs, ok := c.db.queue.take()
		if !ok {
			return
		}
		c.slowDown()
		for done := 0; done < len(reqs); {
			n := c.commit(reqs[done:])
			a := answersOf(reqs[done : done+n])
			if done += n; done == len(reqs) {
				a.whole = reqs
			}
			answers <- a
		}
	}
}

// commit decides and commits as many requests as make a batch, and says how many. Each has its answer then.
func (c *committer) commit(reqs []request) int {
	c.begin()
	n, start := 0, time.Now()
	for n < len(reqs) && len(c.records) < maxBatchOps && c.decideGuarded(&reqs[n]) {
		if n++; n%64 == 0 && time.Since(start) > maxBatchTime {
			break
		}
	}
	c.endTx()
	if len(c.records) == 0 {
		return n
	}
	err := c.write()
	switch {
	case err == nil:
		c.publish()
	case errors.Is(err, errNoRoom):
		c.undo()
		refuseAll(reqs[:n], service.ErrBusy)
	default:
		c.undo()
		refuseAll(reqs[:n], service.ErrUnknownOutcome)
		c.db.fail(fmt.Errorf("commit: %w", err))
	}
	return n
}

// refuseAll answers a batch that was not committed. What was refused before anything was staged keeps its reason; after
// that the reason may be what never came to be.
func refuseAll(reqs []request, err error) {
	for i := range reqs {
		if reqs[i].err == nil || reqs[i].tied {
			reqs[i].refuse(err)
		}
	}
}

func (c *committer) begin() {
	clear(c.staged)
	clear(c.records)
	c.staged, c.records, c.bytes = c.staged[:0], c.records[:0], 0
	clear(c.groups)
	clear(c.marks)
	c.now = max(c.date, c.db.options.Clock().UnixMilli())
	c.late.age(c.now)
	if len(c.counts.changes) > 0 {
		applied, _ := c.db.recent.gids() // the next view shows it
		c.counts.applied(applied)
	}
}

// decide gives a request its answer, or stages it; false if it belongs into the next batch.
func (c *committer) decide(r *request) bool {
	if r.err != nil {
		return true
	}
	if err := c.db.writable(); err != nil {
		r.refuse(err)
		return true
	}
	var err error
	switch r.kind {
	case requestAppend:
		err = c.append(r)
	case requestMark:
		err = c.mark(r)
	case requestChange:
		err = c.change(r)
	}
	if err == errNextBatch {
		return false
	}
	if err != nil {
		r.refuse(err)
		r.tied = len(c.staged) > 0
	}
	return true
}

// errNextBatch says that an op does not fit behind those of the batch.
var errNextBatch = errors.New("belongs into the next batch")

// stage takes an op into the batch. grown is the arena with the op behind what was in it.
func (c *committer) stage(grown []byte, s staged) error {
	s.op = grown[len(c.arena):len(grown):len(grown)]
	if size := recordSize(s.op); c.bytes+size > c.maxBytes {
		if len(c.records) > 0 {
			return errNextBatch
		}
		return fmt.Errorf("an operation of %d bytes is larger than the journal takes", size)
	}
	c.arena = grown
	c.last = s.gid
	c.bytes += recordSize(s.op)
	c.staged = append(c.staged, s)
	c.records = append(c.records, record{s.gid, s.op})
	return nil
}

// reserve makes room for an op of about n bytes without moving the others.
func (c *committer) reserve(n int) {
	if cap(c.arena)-len(c.arena) < n {
		c.arena = make([]byte, 0, max(n, arenaSize))
	}
}

// publish shows the batch to readers.
func (c *committer) publish() {
	for i := range c.staged {
		if g := c.staged[i].group; g != nil {
			c.db.groups.publish(g)
		}
	}
	c.db.recent.publish(c.staged)
	c.db.applier.wake()
	c.date = c.now
	c.commits.Add(1)
	c.journaled.Add(uint64(c.bytes))
	c.convs.evict(nil)
}

// undo forgets a batch that did not get into the journal: what was derived from it is read again.
func (c *committer) undo() {
	c.last -= uint64(len(c.staged))
	c.counts.undo(c.last)
	for i := range c.staged {
		c.convs.remove(c.staged[i].conv)
	}
}

// view is a transaction that shows everything that is not in recent. It has to be asked for after looking there.
func (c *committer) view() (*bbolt.Tx, error) {
	if c.tx != nil && c.drops == c.db.recent.drops.Load() {
		return c.tx, nil
	}
	c.endTx()
	c.drops = c.db.recent.drops.Load()
	tx, err := c.db.bolt.Begin(false)
	c.tx = tx
	return tx, err
}

func (c *committer) endTx() {
	if c.tx != nil {
		_ = c.tx.Rollback() // of a transaction that only reads: it cannot fail
		c.tx = nil
	}
}
