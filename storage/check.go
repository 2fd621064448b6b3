package storage

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// Report is what a check found in a database that is in order.
type Report struct {
	Entries       int64  `json:"entries"`       // messages and notices in the log
	Notices       int64  `json:"notices"`       // of them
	Conversations int64  `json:"conversations"` // that have entries
	Postings      int64  `json:"postings"`      // in the index; the rest is indexed when the server opens the file
	Groups        int64  `json:"groups"`
	Marks         int64  `json:"marks"`
	AppliedGid    uint64 `json:"appliedGid"` // the last operation in the file
	FileBytes     int64  `json:"fileBytes"`
}

// progressEvery is how many records are looked at between two reports of progress.
const progressEvery = 10_000

// Check verifies the database of a directory that no server uses: bbolt's own structure, the checksum of every
// record, that the seqs of each conversation are dense, and the index against the log. What a killed server
// left in the journal is applied first. The error names the first thing that is wrong.
func Check(dir string, progress Progress) (Report, error) {
	if err := settleDir(dir); err != nil {
		return Report{}, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return Report{}, offlineError(err, "check a backup of it")
	}
	report, err := checkFile(filepath.Join(dir, fileName), progress)
	return report, errors.Join(err, lock.Close())
}

// settleDir opens and closes the database, which empties the journal.
func settleDir(dir string) error {
	if err := hasDatabase(dir); err != nil {
		return err
	}
	db, err := Open(dir, Options{MinFree: -1})
	if err != nil {
		return offlineError(err, "make a backup over the admin address of the server and work on that")
	}
	return db.Close()
}

// hasDatabase is an error if there is no database in dir: opening would make one.
func hasDatabase(dir string) error {
	if err := refuseUnfinished(dir); err != nil {
		return err
	}
	there, err := isFile(filepath.Join(dir, fileName))
	if err == nil && !there {
		err = fmt.Errorf("there is no database in %s", dir)
	}
	return err
}

// checkFile is Check for one database file, which nobody writes.
func checkFile(path string, progress Progress) (Report, error) {
	if err := checkLength(path); err != nil {
		return Report{}, err
	}
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: boltLock, ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		return Report{}, fmt.Errorf("open %s: %w", path, err)
	}
	c := checker{progress: progress, convs: map[service.ConvID]stretchOf{}}
	err = b.View(c.check)
	return c.report, errors.Join(err, b.Close())
}

// checker goes over a database once. A conversation costs it some 50 bytes of memory.
type checker struct {
	progress Progress
	report   Report
	convs    map[service.ConvID]stretchOf
	seen     int64
	total    int64
	retained uint64
	hash     hashKey
	pending  map[service.ConvID]service.Seq // the first entry of each conversation that opening reads again
}

// stretchOf is the seqs of one conversation that the log has.
type stretchOf struct{ first, last, indexed service.Seq }

func (c *checker) check(tx *bbolt.Tx) (err error) {
	m, err := readMeta(tx)
	if err != nil {
		return err
	}
	c.hash = m.hash
	for e := range tx.Check() {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("the structure of the file: %w", err)
	}
	c.report.AppliedGid, c.report.FileBytes = appliedIn(tx), tx.Size()
	c.retained = metaUint(tx, metaRetained)
	c.total = int64(2 * tx.Bucket(bucketLog).Stats().KeyN)
	for _, step := range []func(*bbolt.Tx) error{c.checkLog, c.checkIndex, c.checkGroups, c.checkMarks} {
		if err := step(tx); err != nil {
			return err
		}
	}
	c.report.Conversations = int64(len(c.convs))
	return nil
}

// step counts n records as done.
func (c *checker) step(n int64) {
	before := c.seen / progressEvery
	c.seen += n
	if c.progress != nil && c.seen/progressEvery != before {
		c.progress(min(c.seen, c.total), c.total)
	}
}

// checkLog verifies every entry and that the seqs of each conversation follow one another.
func (c *checker) checkLog(tx *bbolt.Tx) error {
	return tx.Bucket(bucketLog).ForEach(func(k, op []byte) error {
		gid := gidOfKey(k)
		e, err := decodeEntry(gid, op)
		if err != nil {
			return err
		}
		if gid > c.report.AppliedGid || gid < c.retained {
			return fmt.Errorf("record %d is outside of what the file says it has: %w", gid, errDamaged)
		}
		s, known := c.convs[e.Conv]
		switch {
		case !known && c.retained == 0 && e.Seq != 1:
			return fmt.Errorf("conversation %x begins with entry %d: %w", e.Conv, e.Seq, errDamaged)
		case !known:
			s.first = e.Seq
		case e.Seq != s.last+1:
			return fmt.Errorf("conversation %x has entry %d behind entry %d: %w", e.Conv, e.Seq, s.last, errDamaged)
		}
		s.last = e.Seq
		c.convs[e.Conv] = s
		c.report.Entries++
		if e.Kind.Notice() {
			c.report.Notices++
		}
		c.step(1)
		return nil
	})
}

// checkIndex verifies that every posting names the entry that it should, and that those of a conversation
// leave nothing out up to where the index ends.
func (c *checker) checkIndex(tx *bbolt.Tx) error {
	log := tx.Bucket(bucketLog)
	x := indexOf(tx)
	err := x.runs().ForEach(func(k, run []byte) error {
		return c.checkRun(log, service.ConvID(k[:16]), seqOfKey(k), run)
	})
	if err != nil {
		return err
	}
	err = x.tails.ForEach(func(k, _ []byte) error {
		first, run, _ := x.tail(service.ConvID(k))
		return c.checkRun(log, service.ConvID(k), first, run)
	})
	if err != nil {
		return err
	}
	indexed := metaUint(tx, metaIndexed)
	for conv, s := range c.convs {
		if s.indexed == s.last {
			continue
		}
		// What is not indexed must be what opening reads again: entries from the gid indexed on.
		if err := c.checkPending(tx, conv, s, indexed); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkRun(log *bbolt.Bucket, conv service.ConvID, first service.Seq, run []byte) error {
	ps, err := decodeRun(nil, first, run)
	if err != nil {
		return fmt.Errorf("index of conversation %x: %w", conv, err)
	}
	s := c.convs[conv]
	for _, p := range ps {
		if p.gid() < c.retained {
			continue // it expired
		}
		if s.indexed != 0 && p.seq != s.indexed+1 || s.indexed == 0 && p.seq != s.first {
			return fmt.Errorf("index of conversation %x has entry %d behind entry %d: %w", conv, p.seq, s.indexed, errDamaged)
		}
		op := log.Get(keyOfGid(p.gid()))
		if len(op) <= crcSize {
			return fmt.Errorf("index of conversation %x: entry %d, record %d, is not in the log: %w", conv, p.seq, p.gid(), errDamaged)
		}
		h, err := parseEntry(p.gid(), op[:len(op)-crcSize])
		if err != nil {
			return err
		}
		if h.conv != conv || c.hash.posting(p.gid(), h.seq, h.kind, h.from, h.id()) != p {
			return fmt.Errorf("index of conversation %x: entry %d is not what record %d holds: %w", conv, p.seq, p.gid(), errDamaged)
		}
		s.indexed = p.seq
		c.report.Postings++
	}
	c.convs[conv] = s
	c.step(int64(len(ps)))
	return nil
}

// checkPending looks for the first entry of a conversation that the index lacks among those that opening reads.
func (c *checker) checkPending(tx *bbolt.Tx, conv service.ConvID, s stretchOf, indexed uint64) error {
	if c.pending == nil {
		c.pending = map[service.ConvID]service.Seq{}
		cur := tx.Bucket(bucketLog).Cursor()
		for k, op := cur.Seek(keyOfGid(indexed)); k != nil; k, op = cur.Next() {
			h, err := parseEntry(gidOfKey(k), op[:len(op)-crcSize])
			if err != nil {
				return err
			}
			if _, seen := c.pending[h.conv]; !seen {
				c.pending[h.conv] = h.seq
			}
		}
	}
	from, ok := c.pending[conv]
	if next := max(s.indexed+1, s.first); !ok || from > next {
		return fmt.Errorf("entry %d of conversation %x is neither in the index nor behind record %d: %w", next, conv, indexed, errDamaged)
	}
	return nil
}

// checkGroups verifies that every group can be read and that its members have it in their lists.
func (c *checker) checkGroups(tx *bbolt.Tx) error {
	return tx.Bucket(bucketGroups).ForEach(func(k, _ []byte) error {
		g, err := loadGroup(tx, service.GroupID(k))
		if err != nil {
			return err
		}
		for _, u := range g.Members {
			spans, err := spansOf(tx, nil, u, g.ID)
			if err != nil {
				return err
			}
			if !(service.ConvRef{Spans: spans}).Present() {
				return fmt.Errorf("user %d is a member of group %s, but not by his own list: %w", u, g.ID, errDamaged)
			}
		}
		c.report.Groups++
		return nil
	})
}

func (c *checker) checkMarks(tx *bbolt.Tx) error {
	return tx.Bucket(bucketMarks).ForEach(func(k, v []byte) error {
		s := scan{b: bytes.Clone(v)}
		m := s.marks()
		if s.bad || len(s.b) > 0 || m.Read > m.Delivered {
			return fmt.Errorf("marks of user %d in conversation %x: %w", seqOfKey(k), k[:16], errDamaged)
		}
		c.report.Marks++
		return nil
	})
}
