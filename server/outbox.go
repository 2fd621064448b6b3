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

// frameCost is what a frame takes beside its bytes. Small ones cost mostly this.
const frameCost = 32

// outbox holds what waits for one connection, in order. It is guarded by its session's mu.
type outbox struct {
	frames []waiting
	taken  int        // frames at the beginning that are taken
	bytes  [kinds]int // of the frames that are not, with frameCost each
	behind bool       // pushes were dropped, and missedNoti is not among frames yet
}

func (o *outbox) size() int { return o.bytes[push] + o.bytes[answer] + o.bytes[ack] }

func (o *outbox) empty() bool { return o.taken == len(o.frames) }

func (o *outbox) add(b []byte, k kind) {
	o.frames = append(o.frames, waiting{b, k})
	o.bytes[k] += len(b) + frameCost
}

// take moves up to about most bytes behind pieces. The last piece may be a part of a frame.
func (o *outbox) take(pieces [][]byte, most int) [][]byte {
	for !o.empty() && most > 0 {
		w := &o.frames[o.taken]
		piece := w.b[:min(len(w.b), most)]
		pieces = append(pieces, piece)
		o.bytes[w.kind] -= len(piece)
		most -= len(piece)
		if w.b = w.b[len(piece):]; len(w.b) > 0 {
			// The rest has to follow, whatever is dropped: the client has the frame's beginning.
			o.bytes[w.kind] -= len(w.b) + frameCost
			w.kind = answer
			o.bytes[answer] += len(w.b) + frameCost
			break
		}
		o.bytes[w.kind] -= frameCost
		*w = waiting{}
		o.taken++
	}
	o.tidy()
	return pieces
}

// tidy gives up space: all of it when nothing is left, and the first half when that is taken.
func (o *outbox) tidy() {
	switch {
	case o.empty() && cap(o.frames) > 64:
		o.frames, o.taken = nil, 0
	case o.empty():
		o.frames, o.taken = o.frames[:0], 0
	case o.taken > len(o.frames)/2:
		n := copy(o.frames, o.frames[o.taken:])
		clear(o.frames[n:])
		o.frames, o.taken = o.frames[:n], 0
	}
}

// trim throws away the newest pushes, until no more than most bytes of them wait, and returns how many it threw
// away.
func (o *outbox) trim(most int) (dropped int) {
	if o.bytes[push] <= most {
		return 0
	}
	left := most
	kept := o.frames[:o.taken]
	for _, w := range o.frames[o.taken:] {
		if w.kind != push {
			kept = append(kept, w)
			continue
		}
		cost := len(w.b) + frameCost
		if left -= cost; left >= 0 {
			kept = append(kept, w)
			continue
		}
		left = -1 // whatever is behind the first that is dropped
		o.bytes[push] -= cost
		dropped++
	}
	clear(o.frames[len(kept):])
	o.frames, o.behind = kept, true
	o.tidy()
	return dropped
}
