package server

import "sync/atomic"

// Stats counts what happened since the start. All fields are safe for concurrent use.
type Stats struct {
	Conns         atomic.Int64 // open now
	Accepted      atomic.Int64
	Refused       atomic.Int64 // over the connection limit, or while draining
	Binds         atomic.Int64
	Kicked        atomic.Int64 // replaced by another connection of their user
	Expired       atomic.Int64 // not bound, silent, or a frame not completed in time
	SlowConsumers atomic.Int64 // closed because they did not read
	Dropped       atomic.Int64 // pushes that were not sent to clients that read too slowly
	Missed        atomic.Int64 // times that a client was told so
	AcceptErrors  atomic.Int64 // connections that could not be accepted, for want of descriptors
	Malformed     atomic.Int64 // connections closed for a frame that was none
	Panics        atomic.Int64 // recovered
	Frames        atomic.Int64
	Waiting       atomic.Int64 // messages and requests that are not answered yet
	WaitingBytes  atomic.Int64 // that wait for clients whose sockets take no more
	Messages      atomic.Int64 // acknowledged, duplicates included
	Pushes        atomic.Int64 // frames handed to sessions
	Errors        atomic.Int64 // requests that got an error
	BusyErrors    atomic.Int64 // of them with code 201
	EncodeErrors  atomic.Int64 // pushes that could not be encoded
}

// Values gives every counter by its name, at this moment.
func (s *Stats) Values() map[string]int64 {
	return map[string]int64{
		"conns": s.Conns.Load(), "accepted": s.Accepted.Load(), "refused": s.Refused.Load(), "binds": s.Binds.Load(),
		"kicked": s.Kicked.Load(), "expired": s.Expired.Load(), "slowConsumers": s.SlowConsumers.Load(),
		"dropped": s.Dropped.Load(), "missed": s.Missed.Load(), "acceptErrors": s.AcceptErrors.Load(),
		"malformed": s.Malformed.Load(), "panics": s.Panics.Load(), "frames": s.Frames.Load(), "waiting": s.Waiting.Load(),
		"waitingBytes": s.WaitingBytes.Load(),
		"messages":     s.Messages.Load(), "pushes": s.Pushes.Load(), "errors": s.Errors.Load(),
		"busyErrors": s.BusyErrors.Load(), "encodeErrors": s.EncodeErrors.Load(),
	}
}
