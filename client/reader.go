package client

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Sizes of the read buffer: it doubles while reads fill it, takes a large frame whole, and is halved again when
// it is hardly used.
const (
	smallRead  = 1 << 10
	largeRead  = 64 << 10
	fewUses    = 32 // reads in a row that leave most of the buffer empty, before it is halved
	hardlyUsed = 8  // a read of less than 1/8 of the buffer
)

// readBuffer holds what was read and is not handled yet. It is owned by the goroutine that reads.
type readBuffer struct {
	buf  []byte
	n    int
	idle int
}

// resize adapts the buffer to what the last read brought, to whether it filled the buffer, and to the frame that
// is not complete yet.
func (b *readBuffer) resize(read int, filled bool, need int) {
	size := len(b.buf)
	b.idle++
	if read >= size/hardlyUsed {
		b.idle = 0
	}
	switch {
	case need > size:
		size = need
	case filled && size < largeRead:
		size *= 2
	case b.idle >= fewUses && size > smallRead:
		size = max(size/2, need, b.n, smallRead)
		b.idle = 0
	}
	if size != len(b.buf) {
		resized := make([]byte, size)
		copy(resized, b.buf[:b.n])
		b.buf = resized
	}
}

// read hands over what comes in until the connection ends.
func (c *Conn) read() {
	b := readBuffer{buf: make([]byte, smallRead)}
	for {
		m, err := c.net.Read(b.buf[b.n:])
		if m > 0 {
			c.hear()
			b.n += m
			used, need, frameErr := c.frames(b.buf[:b.n])
			if frameErr != nil {
				c.end(frameErr)
				return
			}
			filled := b.n == len(b.buf)
			b.n = copy(b.buf, b.buf[used:b.n])
			b.resize(m, filled, need)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the server closed it")
			}
			c.end(err)
			return
		}
	}
}

// frames handles the complete frames in b. need is the size of the one that is not complete, if that is known.
func (c *Conn) frames(b []byte) (used, need int, err error) {
	for {
		f, n, err := codec.ParseFrame(b[used:], codec.MaxLength)
		if err != nil {
			return used, 0, err
		}
		if n == 0 {
			if rest := b[used:]; len(rest) >= codec.HeaderLen {
				need = codec.HeaderLen + (int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3]))
			}
			return used, need, nil
		}
		used += n
		if !f.Heartbeat() {
			if err := c.frame(f); err != nil {
				return used, 0, err
			}
		}
	}
}

func (c *Conn) frame(f codec.Frame) error {
	if c.lastWord.Load() != nil {
		c.lastWord.Store(nil) // it was not the last one
	}
	label, known := codec.LookupLabel(f.Label)
	switch {
	case !known:
		return nil // of a newer server
	case f.Kind == codec.Response && label == codec.CanConnect:
		return c.canConnectAnswer(f)
	case f.Kind == codec.Response:
		return c.answer(label, f)
	case f.Kind == codec.Push:
		return c.push(label, f)
	}
	return fmt.Errorf("the server sent a request: %s", label)
}

// answer finds the request that a response belongs to.
func (c *Conn) answer(label codec.Label, f codec.Frame) error {
	a, err := codec.DecodeResponse(f.Format, f.Body)
	if err != nil {
		return fmt.Errorf("response to %s: %w", label, err)
	}
	task, ok := a.TaskID.Int(f.Format)
	if !ok {
		return nil // to a request that was not ours
	}
	w, ok := c.forget(task)
	if !ok {
		return nil // the caller gave up
	}
	if a.Code != 0 {
		err = &Error{Code: service.Code(a.Code), Message: a.Error, Label: label, RetryAfter: milliseconds(a.RetryAfterMs)}
	}
	c.finish(w, a.Result, err)
	return nil
}

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 10 * time.Minute

// milliseconds is a wait that a server asks for.
func milliseconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), maxRetryAfter.Milliseconds())) * time.Millisecond
}
