package client

import (
	"context"
	"errors"
	"sync"
)

// Bounds of an inbox beyond Options.Inbox, which is where back-pressure begins.
const (
	inboxBytes = 1 << 20 // of bodies, about, where back-pressure begins too
	inboxTimes = 16      // so many times both while a request waits for its answer
)

// ErrInboxFull ends a connection whose application took no pushes while it waited for answers.
var ErrInboxFull = errors.New("the application does not take its pushes")

// inbox holds pushes until the application takes them.
//
// When it is full the connection is not read any more: the socket fills up, and the server sees a slow client.
// But an application may ask something while it handles a push, and the answer lies behind other pushes. So
// while a request waits the inbox grows further, up to a bound at which the connection ends: better an
// error that says why than two sides that wait for each other.
type inbox struct {
	// Static.
	limit   int           // pushes
	resumed func()        // called when the reader goes on after it had to wait
	ready   chan struct{} // there may be something to take

	mu      sync.Mutex
	change  sync.Cond // of anything below; its L is mu
	queue   []item    // guarded by mu: queue[taken:] waits
	taken   int       // guarded by mu
	bytes   int       // guarded by mu: of what waits
	waiting int       // guarded by mu: requests that wait for an answer
	stalled bool      // guarded by mu: the reader waits for room
	closed  bool      // guarded by mu
}

type item struct {
	push  Push
	bytes int
}

func newInbox(limit int, resumed func()) *inbox {
	b := &inbox{limit: limit, resumed: resumed, ready: make(chan struct{}, 1)}
	b.change.L = &b.mu
	return b
}

func (b *inbox) full(times int) bool {
	return len(b.queue)-b.taken >= times*b.limit || b.bytes >= times*inboxBytes
}

// put adds a push, and waits while there is no room.
func (b *inbox) put(p Push, bytes int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.full(1) && b.waiting == 0 && !b.closed {
		b.stalled = true
		b.change.Wait()
	}
	if b.stalled {
		b.resumed()
		b.stalled = false
	}
	if b.full(inboxTimes) {
		return ErrInboxFull
	}
	if len(b.queue) == cap(b.queue) && b.taken > len(b.queue)/2 {
		n := copy(b.queue, b.queue[b.taken:])
		clear(b.queue[n:])
		b.queue, b.taken = b.queue[:n], 0
	}
	b.queue = append(b.queue, item{p, bytes})
	b.bytes += bytes
	b.signal()
	return nil
}

// signal wakes whoever waits in take.
func (b *inbox) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// asked and answered count the requests that wait.
func (b *inbox) asked() {
	b.mu.Lock()
	b.waiting++
	b.mu.Unlock()
	b.change.Broadcast()
}

func (b *inbox) answered() {
	b.mu.Lock()
	b.waiting--
	b.mu.Unlock()
}

// isStalled reports whether the reader waits for the application.
func (b *inbox) isStalled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stalled
}

// close ends put and, once what waits is taken, take.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.change.Broadcast()
	b.signal()
}

// take gives the oldest push; ok is false when there are no more.
func (b *inbox) take(ctx context.Context) (p Push, ok bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return Push{}, false, err
		}
		if p, ok, closed := b.tryTake(); ok || closed {
			return p, ok, nil
		}
		select {
		case <-b.ready:
		case <-ctx.Done():
		}
	}
}

func (b *inbox) tryTake() (p Push, ok, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken == len(b.queue) {
		if b.closed {
			b.signal() // for another take
		}
		return Push{}, false, b.closed
	}
	it := b.queue[b.taken]
	b.queue[b.taken] = item{}
	b.taken++
	b.bytes -= it.bytes
	if b.taken == len(b.queue) {
		if b.queue, b.taken = b.queue[:0], 0; cap(b.queue) > 64 {
			b.queue = nil
		}
	}
	b.change.Broadcast()
	return it.push, true, false
}
