package storage

import (
	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// window is the part of a page that recent has, and what is needed to find the rest in bbolt. It is taken
// before the transaction begins: see recent.
type window struct {
	conv  service.ConvID
	from  service.Seq
	limit int
	dir   service.Direction

	first, last service.Seq // of everything pending; 0 if nothing is
	found       []located   // of the page, what is pending

	looked  bool        // indexed was looked up
	indexed service.Seq // the last in the index
}

// located is an entry that was found: op if it is in the tail, otherwise in the log.
type located struct {
	posting
	op []byte
}

// window looks for a page of a conversation.
func (r *recent) window(c service.ConvID, from service.Seq, limit int, dir service.Direction) window {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.lookAt(c, from, limit, dir)
}

// lookAt is window for a caller who holds mu.
func (r *recent) lookAt(c service.ConvID, from service.Seq, limit int, dir service.Direction) window {
	w := window{conv: c, from: from, limit: limit, dir: dir}
	ps := r.index.pending(c)
	if len(ps) == 0 {
		return w
	}
	w.first, w.last = ps[0].seq, ps[len(ps)-1].seq
	lo, hi := w.bounds(w.last)
	if lo = max(lo, w.first); lo > hi {
		return w
	}
	w.found = make([]located, 0, hi-lo+1)
	for _, p := range ps[lo-w.first : hi-w.first+1] {
		w.found = append(w.found, located{p, r.op(p.gid())})
	}
	return w
}

// bounds are the first and the last seq of the page in a conversation that ends at last; lo > hi: it is empty.
func (w *window) bounds(last service.Seq) (lo, hi service.Seq) {
	n := service.Seq(w.limit)
	if w.dir == service.Forward {
		lo, hi = max(w.from, 1), last
		if hi >= lo && hi-lo >= n {
			hi = lo + n - 1
		}
		return lo, hi
	}
	lo, hi = 1, min(w.from, last)
	if hi >= n {
		lo = hi - n + 1
	}
	return lo, hi
}

// end is the last seq of the conversation, 0 if it has no entries. It is looked up once: that of a new
// conversation is all there is to find.
func (w *window) end(tx *bbolt.Tx) service.Seq {
	switch {
	case w.last > 0:
		return w.last
	case !w.looked:
		w.indexed, w.looked = indexOf(tx).last(w.conv), true
	}
	return w.indexed
}

// page gives the whole page in ascending order, with what the index has of it. What has expired is left out.
func (w *window) page(tx *bbolt.Tx) ([]located, error) {
	older, err := w.older(nil, tx)
	if err != nil || len(older) == 0 {
		return w.found, err
	}
	page := make([]located, 0, len(older)+len(w.found))
	for _, p := range older {
		page = append(page, located{posting: p})
	}
	return append(page, w.found...), nil
}

// older appends what the index has of the page; it comes before what was found.
func (w *window) older(dst []posting, tx *bbolt.Tx) ([]posting, error) {
	lo, hi := w.bounds(w.end(tx))
	if w.first > 0 {
		hi = min(hi, w.first-1)
	}
	if lo > hi {
		return dst, nil
	}
	x := indexOf(tx)
	if retained := metaUint(tx, metaRetained); retained > 0 {
		first, err := x.first(w.conv, retained)
		if err != nil {
			return nil, err
		}
		if lo = max(lo, first); lo > hi {
			return dst, nil
		}
	}
	return x.postings(dst, w.conv, lo, hi)
}
