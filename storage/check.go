package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// Report is what a check found in a database.
type Report struct {
	Entries       int64  `json:"entries"`       // messages and notices in the log
	Notices       int64  `json:"notices"`       // of them
	Conversations int64  `json:"conversations"` // that have entries
	Postings      int64  `json:"postings"`      // in the index; the rest is indexed when the server opens the file
	Groups        int64  `json:"groups"`
	Marks         int64  `json:"marks"`
	AppliedGid    uint64 `json:"appliedGid"` // the last operation in the file
	FileBytes     int64  `json:"fileBytes"`

	FaultCount int64    `json:"faultCount"`
	Faults     []string `json:"faults,omitempty"` // the first of them
}

// progressEvery is how many records are looked at between two reports of progress.
const progressEvery = 10_000

// ErrFaulty says that a check found faults. Its report has them.
var ErrFaulty = errors.New("the database is not in order")

// maxFaults is how many faults a report describes. It counts all of them.
const maxFaults = 20

// Check verifies the database of a directory that no server uses: bbolt's own structure, the checksum of every
// record, that the seqs of each conversation are dense, and the index against the log. What a killed server
// left in the journal is applied first. It goes on behind what is wrong, and its error is ErrFaulty then.
func Check(dir string, progress Progress) (Report, error) {
	c := newChecker(progress)
	err := wholePages(dir)
	if err == nil {
		err = applyJournal(dir)
	}
	switch {
	case errors.Is(err, errPages): // the check finds it once more
	case errors.Is(err, errDamaged), errors.Is(err, errJournalDamaged), errors.Is(err, errJournalLost):
		c.fault(fmt.Errorf("the server cannot open it, and what is in the journal only was not looked at: %w", err))
	case err != nil:
		return Report{}, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return Report{}, offlineError(err, "check a backup of it")
	}
	err = c.checkFile(filepath.Join(dir, fileName))
	return c.report, errors.Join(err, lock.Close())
}

// errPages says that the pages of a file do not lie in each other as they should.
var errPages = fmt.Errorf("restore a backup: %w", errDamaged)

// wholePages is an error if there is no database in a directory, or its pages are damaged. What bbolt does with a
// page that claims to be billions of pages long would fill the memory.
func wholePages(dir string) error {
	if err := hasDatabase(dir); err != nil {
		return err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return offlineError(err, "make a backup over the admin address of the server and work on that")
	}
	path := filepath.Join(dir, fileName)
	c := newChecker(nil)
	err = c.openFile(path, false, c.checkPages)
	if c.first != nil {
		err = fmt.Errorf("%s: %w: %w", path, c.first, errPages)
	}
	return errors.Join(err, lock.Close())
}

// settleDir opens and closes the database, which empties the journal.
func settleDir(dir string) error {
	if err := wholePages(dir); err != nil {
		return err
	}
	return applyJournal(dir)
}

func applyJournal(dir string) error {
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
	c := newChecker(progress)
	err := c.checkFile(path)
	return c.report, err
}

// checker goes over a database once. A conversation costs it some 50 bytes of memory.
type checker struct {
	progress Progress
	report   Report
	first    error // of the faults
	torn     bool  // there are pages that cannot be read, so that bbolt's own check would run into them, too
	convs    map[service.ConvID]stretchOf
	seen     int64
	total    int64
	retained uint64
	hash     hashKey
	pending  map[service.ConvID]service.Seq // the first entry of each conversation that opening reads again
}

func newChecker(progress Progress) *checker {
	return &checker{progress: progress, convs: map[service.ConvID]stretchOf{}}
}

// stretchOf is the seqs of one conversation that the log has.
type stretchOf struct{ first, last, indexed service.Seq }

// fault takes down what is wrong.
func (c *checker) fault(err error) {
	if c.first == nil {
		c.first = err
	}
	if c.report.FaultCount++; len(c.report.Faults) < maxFaults {
		c.report.Faults = append(c.report.Faults, err.Error())
	}
}

// verdict is the error of a check.
func (c *checker) verdict(path string) error {
	if c.first == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: restore a backup: faults: %d, the first: %w", path, ErrFaulty, c.report.FaultCount, c.first)
}

func (c *checker) checkFile(path string) error {
	err := c.openFile(path, false, c.checkPages)
	if err == nil {
		err = c.openFile(path, !c.torn, c.check)
	}
	return cmp.Or(err, c.verdict(path))
}

// openFile runs a part of the check on a file. Damage is a fault, anything else an error.
func (c *checker) openFile(path string, freelist bool, part func(*bbolt.Tx) error) error {
	err := checkLength(path)
	if err == nil {
		var b *bbolt.DB
		b, err = openGuarded(path, bbolt.Options{Timeout: boltLock, ReadOnly: true, PreLoadFreelist: freelist})
		if err == nil {
			err = errors.Join(c.read(path, b.View, part), b.Close())
		}
	}
	if errors.Is(err, errDamaged) {
		c.torn = true
		c.fault(err)
		return nil
	}
	return err
}

// read runs a part of the check on pages that may be damaged.
func (c *checker) read(path string, view func(func(*bbolt.Tx) error) error, part func(*bbolt.Tx) error) error {
	whole := false
	err := guarded(path, func() error {
		err := view(part)
		whole = true
		return err
	})
	c.torn = c.torn || !whole
	return err
}

// check takes down what is wrong, and is an error if it cannot even begin.
func (c *checker) check(tx *bbolt.Tx) (err error) {
	m, err := readMeta(tx)
	if err != nil {
		return err
	}
	c.hash = m.hash
	c.report.AppliedGid, c.report.FileBytes = appliedIn(tx), tx.Size()
	c.retained = metaUint(tx, metaRetained)
	same := func(part func(*bbolt.Tx) error) error { return part(tx) }
	read := func(what string, part func(*bbolt.Tx) error) {
		if err := c.read(tx.DB().Path(), same, part); err != nil {
			c.fault(fmt.Errorf("%s: %w", what, err))
		}
	}
	read("the log", func(tx *bbolt.Tx) error {
		c.total = int64(2 * tx.Bucket(bucketLog).Stats().KeyN)
		return c.checkLog(tx)
	})
	if !c.torn { // a log of which a part cannot be read tells nothing about the index
		read("the index", c.checkIndex)
	}
	read("the groups", c.checkGroups)
	read("the marks", c.checkMarks)
	read("the receipts", c.checkReceipts)
	for _, name := range [][]byte{bucketConvs, bucketMembers, bucketUserGroups} {
		read(string(name), func(tx *bbolt.Tx) error { return touch(tx.Bucket(name)) })
	}
	if !c.torn {
		for e := range tx.Check() {
			c.fault(fmt.Errorf("the structure of the file: %w: %w", e, errDamaged))
		}
	}
	c.report.Conversations = int64(len(c.convs))
	return nil
}

// checkPages looks at how the pages lie in each other.
func (c *checker) checkPages(tx *bbolt.Tx) error {
	whole, err := walkPages(tx, c.fault)
	c.torn = c.torn || !whole
	return err
}

// touch reads every key and value of a bucket at both ends.
func touch(b *bbolt.Bucket) error {
	sum := byte(0)
	return b.ForEach(func(k, v []byte) error {
		for _, s := range [][]byte{k, v} {
			if len(s) > 0 {
				sum ^= s[0] ^ s[len(s)-1]
			}
		}
		return nil
	})
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
		c.step(1)
		if len(k) != 8 {
			c.fault(fmt.Errorf("a record has the key %x: %w", k, errDamaged))
			return nil
		}
		gid := gidOfKey(k)
		e, err := decodeEntry(gid, op)
		if err != nil {
			c.fault(err)
			return nil
		}
		if gid > c.report.AppliedGid || gid < c.retained {
			c.fault(fmt.Errorf("record %d is outside of what the file says it has: %w", gid, errDamaged))
		}
		s, known := c.convs[e.Conv]
		switch {
		case !known && c.retained == 0 && e.Seq != 1:
			c.fault(fmt.Errorf("conversation %x begins with entry %d: %w", e.Conv, e.Seq, errDamaged))
		case known && e.Seq != s.last+1:
			c.fault(fmt.Errorf("conversation %x has entry %d behind entry %d: %w", e.Conv, e.Seq, s.last, errDamaged))
		}
		if !known {
			s.first = e.Seq
		}
		s.last = e.Seq
		c.convs[e.Conv] = s
		c.report.Entries++
		if e.Kind.Notice() {
			c.report.Notices++
		}
		return nil
	})
}

// checkIndex verifies that every posting names the entry that it should, and that those of a conversation
// leave nothing out up to where the index ends.
func (c *checker) checkIndex(tx *bbolt.Tx) error {
	log := tx.Bucket(bucketLog)
	x := indexOf(tx)
	err := x.runs().ForEach(func(k, run []byte) error {
		if len(k) != 24 {
			c.fault(fmt.Errorf("a run of postings has the key %x: %w", k, errDamaged))
			return nil
		}
		c.checkRun(log, service.ConvID(k[:16]), seqOfKey(k), run)
		return nil
	})
	if err != nil {
		return err
	}
	err = x.tails.ForEach(func(k, _ []byte) error {
		if len(k) != 16 {
			c.fault(fmt.Errorf("a tail of postings has the key %x: %w", k, errDamaged))
			return nil
		}
		first, run, _ := x.tail(service.ConvID(k))
		c.checkRun(log, service.ConvID(k), first, run)
		return nil
	})
	if err != nil {
		return err
	}
	indexed := metaUint(tx, metaIndexed)
	for conv, s := range c.convs {
		if s.indexed != s.last {
			// What is not indexed must be what opening reads again: entries from the gid indexed on.
			c.checkPending(tx, conv, s, indexed)
		}
	}
	return nil
}

// checkRun goes on to the next run behind the first posting that is wrong.
func (c *checker) checkRun(log *bbolt.Bucket, conv service.ConvID, first service.Seq, run []byte) {
	ps, err := decodeRun(nil, first, run)
	if err != nil {
		c.fault(fmt.Errorf("index of conversation %x: %w", conv, err))
		return
	}
	s := c.convs[conv]
	for _, p := range ps {
		if p.gid() < c.retained {
			continue // it expired
		}
		if err := c.checkPosting(log, conv, s, p); err != nil {
			c.fault(fmt.Errorf("index of conversation %x: %w", conv, err))
			s.indexed = ps[len(ps)-1].seq
			break
		}
		s.indexed = p.seq
		c.report.Postings++
	}
	c.convs[conv] = s
	c.step(int64(len(ps)))
}

// checkPosting compares a posting with the one before it and with its entry.
func (c *checker) checkPosting(log *bbolt.Bucket, conv service.ConvID, s stretchOf, p posting) error {
	if s.indexed != 0 && p.seq != s.indexed+1 || s.indexed == 0 && p.seq != s.first {
		return fmt.Errorf("it has entry %d behind entry %d: %w", p.seq, s.indexed, errDamaged)
	}
	op := log.Get(keyOfGid(p.gid()))
	if len(op) <= crcSize {
		return fmt.Errorf("entry %d, record %d, is not in the log: %w", p.seq, p.gid(), errDamaged)
	}
	h, err := parseEntry(p.gid(), op[:len(op)-crcSize])
	if err != nil {
		return err
	}
	if h.conv != conv || c.hash.posting(p.gid(), h.seq, h.kind, h.from, h.id()) != p {
		return fmt.Errorf("entry %d is not what record %d holds: %w", p.seq, p.gid(), errDamaged)
	}
	return nil
}

// checkPending looks for the first entry of a conversation that the index lacks among those that opening reads.
func (c *checker) checkPending(tx *bbolt.Tx, conv service.ConvID, s stretchOf, indexed uint64) {
	if c.pending == nil {
		c.pending = map[service.ConvID]service.Seq{}
		cur := tx.Bucket(bucketLog).Cursor()
		for k, op := cur.Seek(keyOfGid(indexed)); k != nil; k, op = cur.Next() {
			h, err := unsealEntry(gidOfKey(k), op)
			if err != nil {
				continue // the log's check has said it
			}
			if _, seen := c.pending[h.conv]; !seen {
				c.pending[h.conv] = h.seq
			}
		}
	}
	from, ok := c.pending[conv]
	if next := max(s.indexed+1, s.first); !ok || from > next {
		c.fault(fmt.Errorf("entry %d of conversation %x is neither in the index nor behind record %d: %w", next, conv, indexed, errDamaged))
	}
}

// checkGroups verifies that every group can be read and that its members have it in their lists.
func (c *checker) checkGroups(tx *bbolt.Tx) error {
	return tx.Bucket(bucketGroups).ForEach(func(k, _ []byte) error {
		if len(k) != 16 {
			c.fault(fmt.Errorf("a group has the key %x: %w", k, errDamaged))
			return nil
		}
		g, err := loadGroup(tx, service.GroupID(k))
		if err != nil {
			c.fault(err)
			return nil
		}
		for _, u := range g.Members {
			spans, err := spansOf(tx, nil, u, g.ID)
			if err == nil && !(service.ConvRef{Spans: spans}).Present() {
				err = fmt.Errorf("user %d is a member of group %s, but not by his own list: %w", u, g.ID, errDamaged)
			}
			if err != nil {
				c.fault(err)
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
		if len(k) != 24 || s.bad || len(s.b) > 0 || m.Read > m.Delivered {
			c.fault(fmt.Errorf("marks of conversation and user %x: %w", k, errDamaged))
			return nil
		}
		c.report.Marks++
		return nil
	})
}

// checkReceipts verifies those that are not in marks yet.
func (c *checker) checkReceipts(tx *bbolt.Tx) error {
	return tx.Bucket(bucketReceipts).ForEach(func(k, op []byte) error {
		if len(k) != 8 {
			c.fault(fmt.Errorf("a receipt has the key %x: %w", k, errDamaged))
			return nil
		}
		body, err := unseal(gidOfKey(k), op)
		if err == nil {
			_, _, err = parseReceipt(gidOfKey(k), body)
		}
		if err != nil {
			c.fault(err)
		}
		return nil
	})
}
