package client

import (
	"context"
	"time"

	"github.com/msgserver/msgserver/codec"
)

// ClientOptions says how a Client connects and what it keeps. The zero value of a field means its default.
type ClientOptions struct {
	// Conn is how each connection is made. Of its fields Token, Window, Inbox and OnPush are not used. Without a
	// DeviceID the Client makes one for its own life, so that a new connection replaces a lost one at once.
	Conn Options

	// Token gives the token for a bind, where the server asks for one: before every connection, and once
	// more when the server did not accept it. An error that wraps an *Error whose code does not heal stops
	// the Client; after any other it tries again.
	Token func(ctx context.Context) (string, error)

	Cursors        CursorStore   // default MemoryCursors
	PartialCursors bool          // Cursors need not have one for each conversation that is known: the others begin with what is not confirmed
	ByAck          bool          // an entry counts as handled when it was given to Ack, not when the loop comes back
	CloseWait      time.Duration // how long Close waits for entries that are being handled; default 2 s, below 0 not at all
	SaveEvery      time.Duration // cursors are saved at most this often, and by Close; default 1 s
	Outbox         int           // messages without an answer, before Send waits; default 1,024
	OutboxBytes    int           // of them together; default 4 MiB
	Queue          int           // entries that wait for the application, before more are left to the server; default 256
	RetryMin       time.Duration // the ceiling of the wait before the second attempt; default 200 ms
	RetryMax       time.Duration // the highest ceiling; default 20 s
	RequestTimeout time.Duration // a connection counts as dead when a request or a message has no answer for so long; default 15 s

	// NoConfirm leaves it to the application to confirm what was delivered. Otherwise a Client confirms what the
	// application has taken from Messages, as service.StateDelivered.
	NoConfirm bool

	// The callbacks run on the Client's goroutines, OnReceipt in the order of the pushes. They must not block,
	// nor call Close or Drain.

	OnState   func(State)                              // the Client connects, is online, waits, has stopped
	OnReceipt func(v Conversation, r codec.StatusBody) // a message of this user has come further; at most once
	OnError   func(error)                              // what went wrong without ending anything: cursors that could not be saved
}

func (o ClientOptions) withDefaults() ClientOptions {
	if o.Conn.DeviceID == "" {
		o.Conn.DeviceID = "client-" + NewMsgID()
	}
	if o.CloseWait == 0 {
		o.CloseWait = 2 * time.Second
	}
	if o.Cursors == nil {
		o.Cursors = MemoryCursors()
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.SaveEvery, time.Second}, {&o.RetryMin, 200 * time.Millisecond}, {&o.RetryMax, 20 * time.Second},
		{&o.RequestTimeout, 15 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&o.Outbox, 1024}, {&o.OutboxBytes, 4 << 20}, {&o.Queue, 256}} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	if o.OnState == nil {
		o.OnState = func(State) {}
	}
	if o.OnReceipt == nil {
		o.OnReceipt = func(Conversation, codec.StatusBody) {}
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	o.Conn = o.Conn.withDefaults()
	return o
}

// Phase is what a Client is doing.
type Phase string

// The phases of a Client.
const (
	Connecting Phase = "connecting"
	Online     Phase = "online"    // connected and bound; what was missed is being fetched
	CaughtUp   Phase = "caught up" // everything that was missed is in the queue of Messages, or taken from it
	Waiting    Phase = "waiting"   // until the next attempt
	Stopped    Phase = "stopped"   // for good
)

// State is what a Client is doing and why.
type State struct {
	Phase   Phase
	Err     error         // with Waiting and Stopped: why
	RetryIn time.Duration // with Waiting: until the next attempt
}
