package server

import (
	"github.com/msgserver/msgserver/codec"
)

// kind says what becomes of a frame that a client does not read.
type kind uint8

const (
	push   kind = iota // dropped beyond PendingBytes; missedNoti tells the client
	answer             // of a worker: never dropped, but the next request waits
	ack                // of everything else a client sends: who does not read them is closed at AckBytes
	kinds
)

// missed is the push that says that pushes were dropped, in each format.
var missed = [...][]byte{codec.JSON: missedFrame(codec.JSON), codec.MsgPack: missedFrame(codec.MsgPack)}

func missedFrame(f codec.Format) []byte {
	frame, err := codec.AppendPush(nil, f, codec.MissedNoti, codec.Empty{})
	if err != nil {
		panic(err) // a constant that cannot be encoded
	}
	return frame
}

// waiting is a frame, or what is left of one, that the socket has not taken. Its bytes are shared and immutable.
type waiting struct {
	b    []byte
	kind kind
}

// outbox holds what waits for one connection, in order. It is guarded by its session's mu.
type outbox struct {
	frames []waiting
	bytes  [kinds]int // of frames
	behind bool       // pushes were dropped, and missedNoti is not among frames yet
}

func (o *outbox) size() int { return o.bytes[push] + o.bytes[answer] + o.bytes[ack] }

func (o *outbox) add(b []byte, k kind) {
	o.frames = append(o.frames, waiting{b, k})
	o.bytes[k] += len(b)
}

// take moves up to about most bytes behind pieces. The last piece may be a part of a frame.
func (o *outbox) take(pieces [][]byte, most int) [][]byte {
	n := 0
	for n < len(o.frames) && most > 0 {
		w := &o.frames[n]
		piece := w.b
		if len(piece) > most {
			piece = piece[:most]
		}
		pieces = append(pieces, piece)
		o.bytes[w.kind] -= len(piece)
		most -= len(piece)
		if w.b = w.b[len(piece):]; len(w.b) > 0 {
			// The rest has to follow, whatever is dropped: the client has the frame's beginning.
			o.bytes[w.kind] -= len(w.b)
			w.kind = answer
			o.bytes[answer] += len(w.b)
			break
		}
		n++
	}
	o.forget(n)
	return pieces
}

// forget removes the first n frames.
func (o *outbox) forget(n int) {
	rest := copy(o.frames, o.frames[n:])
	clear(o.frames[rest:])
	if o.frames = o.frames[:rest]; rest == 0 && cap(o.frames) > 64 {
		o.frames = nil
	}
}

// trim throws away the newest pushes, until no more than most bytes of them wait, and returns how many it threw
// away.
func (o *outbox) trim(most int) (dropped int) {
	if o.bytes[push] <= most {
		return 0
	}
	left := most
	kept := o.frames[:0]
	for _, w := range o.frames {
		if w.kind != push {
			kept = append(kept, w)
			continue
		}
		if left -= len(w.b); left >= 0 {
			kept = append(kept, w)
			continue
		}
		left = -1 // whatever is behind the first that is dropped
		o.bytes[push] -= len(w.b)
		dropped++
	}
	clear(o.frames[len(kept):])
	o.frames, o.behind = kept, true
	return dropped
}
