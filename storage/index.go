package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// index finds the entries of a conversation within one transaction. The last postings of a conversation are
// its tail; when that is longer than runLength its beginning becomes a run that is never written again. Tails
// have a table of their own, where many share a page, because every sweep writes all of them again: among the runs
// that would be a page for each conversation as soon as conversations are longer than a page.
type index struct {
	tx    *bbolt.Tx
	tails *bbolt.Bucket
}

func indexOf(tx *bbolt.Tx) index { return index{tx: tx, tails: tx.Bucket(bucketTails)} }

// runs are opened when they are needed: for most conversations the tail is enough.
func (x index) runs() *bbolt.Bucket { return x.tx.Bucket(bucketIndex) }

// tail is the last run of a conversation; count 0: nothing of it is in the index.
func (x index) tail(c service.ConvID) (first service.Seq, run []byte, count int) {
	value := x.tails.Get(c[:])
	seq, n := binary.Uvarint(value)
	if n <= 0 {
		return 0, nil, 0
	}
	return service.Seq(seq), value[n:], countRun(value[n:])
}

// last is the newest seq of c in the index, 0 if there is none.
func (x index) last(c service.ConvID) service.Seq {
	first, _, count := x.tail(c)
	if count == 0 {
		return 0
	}
	return first + service.Seq(count) - 1
}

// postings appends those of c from seq from to seq to, both included, or gives an error if one is not there.
func (x index) postings(dst []posting, c service.ConvID, from, to service.Seq) ([]posting, error) {
	first, tail, _ := x.tail(c)
	ps, err := dst, error(nil)
	if from < first {
		ps, err = x.older(ps, c, from, min(to, first-1))
	}
	if err == nil && to >= first {
		ps, err = decodeRun(ps, first, tail)
	}
	if err != nil {
		return nil, fmt.Errorf("index of conversation %x: %w", c, err)
	}
	ps = ps[len(dst):]
	if len(ps) == 0 || ps[0].seq > from || ps[len(ps)-1].seq < to || ps[len(ps)-1].seq-ps[0].seq != service.Seq(len(ps)-1) {
		return nil, fmt.Errorf("index of conversation %x has a hole between seq %d and %d: %w", c, from, to, errDamaged)
	}
	return append(dst, ps[from-ps[0].seq:to-ps[0].seq+1]...), nil
}

// older appends the postings of the runs from that with seq from to that with seq to.
func (x index) older(ps []posting, c service.ConvID, from, to service.Seq) (_ []posting, err error) {
	cur := x.runs().Cursor()
	want := keyOfConv(c, from)
	key, run := cur.Seek(want[:])
	switch {
	case key == nil:
		key, run = cur.Last()
	case !bytes.Equal(key, want[:]):
		key, run = cur.Prev()
	}
	for bytes.HasPrefix(key, c[:]) && seqOfKey(key) <= to {
		if ps, err = decodeRun(ps, seqOfKey(key), run); err != nil {
			return nil, err
		}
		key, run = cur.Next()
	}
	return ps, nil
}

// indexWriter puts pending postings into the index within one transaction. It is owned by the applier.
type indexWriter struct {
	index
	retained uint64 // gid: what is before it has expired
	arena    []byte // of the values, which bbolt refers to until the commit
	run      []posting
}

func newIndexWriter(tx *bbolt.Tx) *indexWriter {
	w := &indexWriter{index: indexOf(tx), retained: metaUint(tx, metaRetained)}
	w.tails.FillPercent = 0.5
	w.runs().FillPercent = 0.5 // a bucket is the same one throughout a writing transaction
	return w
}

// put adds the postings of consecutive entries of c behind those that the index has. Those it has already
// (they were read again from the log on opening) are left out.
func (w *indexWriter) put(c service.ConvID, ps []posting) (err error) {
	first, tail, count := w.tail(c)
	next := service.Seq(1)
	if w.run = w.run[:0]; count > 0 {
		if w.run, err = decodeRun(w.run, first, tail); err != nil {
			return fmt.Errorf("index of conversation %x: %w", c, err)
		}
		next = first + service.Seq(count)
	}
	for len(ps) > 0 && ps[0].seq < next {
		ps = ps[1:]
	}
	if len(ps) == 0 {
		return nil
	}
	if ps[0].seq != next {
		return fmt.Errorf("index of conversation %x ends before seq %d, the next posting is of seq %d: %w", c, next, ps[0].seq, errDamaged)
	}
	w.run = append(w.run, ps...)
	run := w.run
	for len(run) > runLength {
		if run[runLength-1].gid() < w.retained { // nobody would delete it any more
			run = run[runLength:]
			continue
		}
		key := keyOfConv(c, run[0].seq)
		if err := w.runs().Put(key[:], w.encode(nil, run[:runLength])); err != nil {
			return err
		}
		run = run[runLength:]
	}
	return w.tails.Put(c[:], w.encode(binary.AppendUvarint(nil, uint64(run[0].seq)), run))
}

// encode gives the value for a run, which stays as it is until the commit.
func (w *indexWriter) encode(head []byte, run []posting) []byte {
	if n := len(head) + runHeader + postingSize*len(run); cap(w.arena)-len(w.arena) < n {
		w.arena = make([]byte, 0, max(n, arenaSize))
	}
	start := len(w.arena)
	w.arena = appendRun(append(w.arena, head...), run)
	return w.arena[start:len(w.arena):len(w.arena)]
}
