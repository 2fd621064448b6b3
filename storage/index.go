package storage

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// seekRun finds the run of c that holds seq, or else the last one before it; nil if there is none.
func seekRun(cur *bbolt.Cursor, c service.ConvID, seq service.Seq) (first service.Seq, run []byte) {
	want := keyOfConv(c, seq)
	key, run := cur.Seek(want[:])
	switch {
	case key == nil:
		key, run = cur.Last()
	case !bytes.Equal(key, want[:]):
		key, run = cur.Prev()
	}
	if !bytes.HasPrefix(key, c[:]) {
		return 0, nil
	}
	return seqOfKey(key), run
}

// lastIndexed is the newest seq of c in the index, 0 if there is none.
func lastIndexed(cur *bbolt.Cursor, c service.ConvID) service.Seq {
	first, run := seekRun(cur, c, service.MaxSeq)
	if run == nil {
		return 0
	}
	return first + service.Seq(countRun(run)) - 1
}

// indexed gives the postings of c from seq from to seq to, both included, or an error if one is not there.
func indexed(cur *bbolt.Cursor, c service.ConvID, from, to service.Seq) ([]posting, error) {
	if from > to {
		return nil, nil
	}
	var ps []posting
	var err error
	first, run := seekRun(cur, c, from)
	for run != nil && first <= to {
		if ps, err = decodeRun(ps, first, run); err != nil {
			return nil, fmt.Errorf("index of conversation %x: %w", c, err)
		}
		var key []byte
		if key, run = cur.Next(); !bytes.HasPrefix(key, c[:]) {
			break
		}
		first = seqOfKey(key)
	}
	if len(ps) == 0 || ps[0].seq > from || ps[len(ps)-1].seq < to || ps[len(ps)-1].seq-ps[0].seq != service.Seq(len(ps)-1) {
		return nil, fmt.Errorf("index of conversation %x has a hole between seq %d and %d: %w", c, from, to, errDamaged)
	}
	return ps[from-ps[0].seq : to-ps[0].seq+1], nil
}

// indexWriter puts pending postings into the index within one transaction. It is owned by the applier.
type indexWriter struct {
	bucket *bbolt.Bucket
	cursor *bbolt.Cursor
	arena  []byte // of the values, which bbolt refers to until the commit
	run    []posting
}

func newIndexWriter(tx *bbolt.Tx) *indexWriter {
	b := tx.Bucket(bucketIndex)
	b.FillPercent = 0.5
	return &indexWriter{bucket: b, cursor: b.Cursor()}
}

// put adds the postings of consecutive entries of c behind those that the index has. Those it has already
// (they were read again from the log on opening) are left out.
func (w *indexWriter) put(c service.ConvID, ps []posting) (err error) {
	first, run := seekRun(w.cursor, c, service.MaxSeq)
	next := service.Seq(1)
	if run != nil {
		next = first + service.Seq(countRun(run))
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
	if n := runLength - countRun(run); run != nil && n > 0 {
		if w.run, err = decodeRun(w.run[:0], first, run); err != nil {
			return fmt.Errorf("index of conversation %x: %w", c, err)
		}
		n = min(n, len(ps))
		last := w.run[len(w.run)-1].ref
		w.reserve(len(run) + postingSize*n)
		if err := w.store(c, first, extendRun(w.arena, run, last, ps[:n])); err != nil {
			return err
		}
		ps = ps[n:]
	}
	for len(ps) > 0 {
		n := min(runLength, len(ps))
		w.reserve(runHeader + postingSize*n)
		if err := w.store(c, ps[0].seq, appendRun(w.arena, ps[:n])); err != nil {
			return err
		}
		ps = ps[n:]
	}
	return nil
}

// reserve makes room in the arena without moving what is in it.
func (w *indexWriter) reserve(n int) {
	if cap(w.arena)-len(w.arena) < n {
		w.arena = make([]byte, 0, max(n, 256<<10))
	}
}

// store puts what was appended to the arena under its key.
func (w *indexWriter) store(c service.ConvID, first service.Seq, grown []byte) error {
	value := grown[len(w.arena):len(grown):len(grown)]
	w.arena = grown
	key := keyOfConv(c, first)
	return w.bucket.Put(key[:], value)
}
