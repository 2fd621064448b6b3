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
	weight  int   // of a change, in the share of changes
	err     error // the answer, if it was refused
	tied    bool  // err stands only if the batch is committed

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
	holds    int // bytes that marked keeps in memory
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

// size is what a request counts in the queue: what it takes until it is answered, itself and staged, and what its done holds.
func (r *request) size() int {
	n := int(unsafe.Sizeof(*r)+unsafe.Sizeof(staged{})) + r.holds
	n += len(r.message.MsgID) + len(r.message.SendDate) + len(r.message.Content)
	if r.change != nil {
		n += int(unsafe.Sizeof(*r.change)) + len(r.change.MsgID) + len(r.change.Name) + len(r.change.HeadImage)
		n += 8 * (len(r.change.Add) + len(r.change.Remove))
	}
	return n
}

// refuse makes the request its answer, and lets go of what it holds.
func (r *request) refuse(err error) {
	*r = request{kind: r.kind, counted: r.counted, weight: r.weight, err: err, appended: r.appended, marked: r.marked, change: r.change}
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

// maxChanges is what the changes of groups may weigh that are not in bbolt yet: four of the largest groups at the default
// limits. Members are what a change costs, some 40 bytes and three puts at random each, and what is acknowledged is applied
// before Close returns. It was chosen so that this takes about a second.
const maxChanges = 40_000

// weightOf is what a change weighs that moves so many members of a group and leaves the others in it: the list of all is
// copied, but nothing is written for them.
func weightOf(moves, others int) int { return 1 + moves + max(0, others)/8 }

// queue holds requests in the order of their submission until the committer takes them. Its bound counts what
// is not answered yet, in bytes; what is over it stays in line as a refusal, so that answers keep their order.
// Changes of groups have a bound of their own, which counts them until they are applied.
type queue struct {
	limit int
	ready chan struct{} // there is something to take, or the queue is closed

	mu      sync.Mutex
	waiting []request
	bytes   int
	changes int // what the changes weigh that are not in bbolt yet
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
		if q.bytes+r.counted > q.limit || r.change != nil && !q.share(r, weightOf(len(r.change.Add)+len(r.change.Remove), 0)) {
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

// share gives a change its weight, if there is room for it. A change of any weight has room when the others weigh little.
// The caller holds mu.
func (q *queue) share(r *request, weight int) bool {
	if others := q.changes - r.weight; others > 0 && others+weight > maxChanges {
		return false
	}
	q.changes += weight - r.weight
	r.weight = weight
	return true
}

// reweigh is share for the committer, who knows the group.
func (q *queue) reweigh(r *request, weight int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	ok := q.share(r, weight)
	if !ok {
		q.refused++
	}
	return ok
}

// applied takes changes out of their share: bbolt has them.
func (q *queue) applied(weight int) {
	if weight == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changes -= weight
}

// answered takes requests out of the bound; whole are all that were taken together, to be used again.
func (q *queue) answered(a *answers) {
	clear(a.whole)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= a.bytes
	q.changes -= a.refused
	whole := a.whole
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
