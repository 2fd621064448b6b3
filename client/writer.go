package client

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// writeTimeout is how long one write may take before the server counts as dead.
	writeTimeout = 30 * time.Second
	// maxPending is how many bytes wait to be written before SendAsync waits too.
	maxPending = 1 << 20
	// keepBusy and keepIdle are the largest buffers that are kept between two writes, and when all is written.
	keepBusy = 256 << 10
	keepIdle = 4 << 10
)

// writer sends frames. A goroutine exists only while there is something to write; frames that come
// meanwhile leave together, in one write.
type writer struct {
	// Static after Dial.
	net    net.Conn
	broken func(error) // called once, when nothing can be written any more

	last atomic.Int64 // since began, of the last write

	mu      sync.Mutex
	out     []byte        // guarded by mu: frames to write
	spare   []byte        // guarded by mu: a buffer for the next out
	writing bool          // guarded by mu: a goroutine is writing
	drained chan struct{} // guarded by mu: closed when out is taken; nil while nobody waits for that
}

// begin gives what goes out next, for a frame to be appended; end must follow.
func (w *writer) begin() []byte {
	w.mu.Lock()
	return w.out
}

// end takes it back, with the frame.
func (w *writer) end(out []byte) {
	w.out = out
	start := !w.writing
	w.writing = true
	w.mu.Unlock()
	if start {
		go w.flush()
	}
}

// room waits while too much waits to be written.
func (w *writer) room(ctx context.Context, ended <-chan struct{}) error {
	for {
		w.mu.Lock()
		if len(w.out) < maxPending {
			w.mu.Unlock()
			return nil
		}
		if w.drained == nil {
			w.drained = make(chan struct{})
		}
		drained := w.drained
		w.mu.Unlock()
		select {
		case <-drained:
		case <-ended:
			return nil // what is sent next says why
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take gives what is to be written now, nil if there is nothing.
func (w *writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.drained != nil {
		close(w.drained)
		w.drained = nil
	}
	out := w.out
	if len(out) == 0 {
		w.writing = false
		if cap(w.out) > keepIdle {
			w.out = nil
		}
		if cap(w.spare) > keepIdle {
			w.spare = nil
		}
		return nil
	}
	w.out, w.spare = w.spare[:0], nil
	return out
}

func (w *writer) flush() {
	for out := w.take(); out != nil; out = w.take() {
		w.last.Store(int64(elapsed()))
		err := w.net.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = w.net.Write(out)
		}
		if err != nil {
			w.broken(err)
			return // writing stays true: nothing is written any more
		}
		if cap(out) <= keepBusy {
			w.mu.Lock()
			w.spare = out[:0]
			w.mu.Unlock()
		}
	}
}
