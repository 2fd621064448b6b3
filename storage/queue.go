package storage

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/msgserver/msgserver/service"
)

// request is one operation on its way through the committer, and then its answer.
type request struct {
	kind    requestKind
	counted int   // bytes in the queue's bound
	err     error // the answer, if it was refused

	message  service.Message // to append; of a receipt Conv, and its user as From
	state    service.State   // that a receipt confirms; then that of a message
	seq      service.Seq     // up to which a receipt confirms; then that of the entry
	date     int64
	members  []service.UserID
	first    *service.Entry // of which this is a duplicate
	before   service.Marks
	after    service.Marks
	change   *changeRequest
	appended func(service.Appended, error)
	marked   func(service.Marked, error)
}

type requestKind uint8

const (
	requestAppend requestKind = iota
	requestMark
	requestChange
)

// changeRequest is what a change of a group needs beyond other requests.
type changeRequest struct {
	service.GroupChange
	done   func(service.GroupChanged, error)
	answer service.GroupChanged
}

// size is what a request counts in the queue.
func (r *request) size() int {
	n := int(unsafe.Sizeof(*r)) + len(r.message.MsgID) + len(r.message.SendDate) + len(r.message.Content)
	if r.change != nil {
		n += len(r.change.Name) + len(r.change.HeadImage) + 8*(len(r.change.Add)+len(r.change.Remove))
	}
	return n
}

// refuse makes the request its answer, and lets go of what it holds.
func (r *request) refuse(err error) {
	*r = request{kind: r.kind, counted: r.counted, err: err, appended: r.appended, marked: r.marked, change: r.change}
	if r.change != nil {
		r.change = &changeRequest{done: r.change.done}
	}
}

// answer runs the request's done.
func (r *request) answer() {
	switch r.kind {
	case requestMark:
		r.marked(service.Marked{Before: r.before, After: r.after}, r.err)
	case requestChange:
		r.change.done(r.change.answer, r.err)
	default:
		r.appended(r.append(), r.err)
	}
}

func (r *request) append() service.Appended {
	switch {
	case r.err != nil:
		return service.Appended{}
	case r.first != nil:
		return service.Appended{Entry: *r.first, Duplicate: true, State: r.state, Members: r.members}
	}
	return service.Appended{
		Entry: service.Entry{Message: r.message, Seq: r.seq, Kind: service.KindMessage, ServerDate: r.date},
		State: service.StateStored, Members: r.members,
	}
}

// queue holds requests in the order of their submission until the committer takes them. Its bound counts what
// is not answered yet, in bytes; what is over it stays in line as a refusal, so that answers keep their order.
type queue struct {
	limit int
	ready chan struct{} // there is something to take, or the queue is closed

	mu      sync.Mutex
	waiting []request
	bytes   int
	refused uint64
	closed  bool
	spare   [][]request
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, ready: make(chan struct{}, 1)}
}

// push adds one turn's requests, which fill in makes of their numbers; false if the queue is closed.
func (q *queue) push(n int, fill func(i int, r *request)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	from := len(q.waiting)
	q.waiting = slices.Grow(q.waiting, n)[:from+n]
	for i := range n {
		r := &q.waiting[from+i]
		fill(i, r)
		r.counted = r.size()
		if q.bytes+r.counted > q.limit {
			r.counted = 0
			r.refuse(service.ErrBusy)
			q.refused++
			continue
		}
		q.bytes += r.counted
	}
	q.wake()
	return true
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for requests and gives all there are; false when the queue is closed and empty.
func (q *queue) take() ([]request, bool) {
	for {
		q.mu.Lock()
		taken, closed := q.waiting, q.closed
		if len(taken) > 0 {
			q.waiting = nil
			if n := len(q.spare); n > 0 {
				q.waiting, q.spare = q.spare[n-1], q.spare[:n-1]
			}
		}
		q.mu.Unlock()
		if len(taken) > 0 {
			return taken, true
		}
		if closed {
			return nil, false
		}
		<-q.ready
	}
}

// answered takes requests out of the bound; whole are all that were taken together, to be used again.
func (q *queue) answered(bytes int, whole []request) {
	clear(whole)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= bytes
	if whole != nil && len(q.spare) < 4 && cap(whole) <= maxSpare {
		q.spare = append(q.spare, whole[:0])
	}
}

// maxSpare is how many requests a slice that is kept for reuse may hold.
const maxSpare = 1 << 14

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *queue) load() (bytes int, refused uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes, q.refused
}
