package client

import (
	"context"
	"net"
	"time"

	"github.com/msgserver/msgserver/codec"
)

// Options says how to connect. The zero value of a field means its default.
type Options struct {
	Format    codec.Format  // codec.JSON (default) or codec.MsgPack
	DeviceID  string        // a new connection of the same device replaces the older one
	Token     string        // where the server asks for one
	Heartbeat time.Duration // sent when nothing went out or came in for this long; default 60 s, below 0 never
	Window    int           // messages that are not answered yet, before SendAsync waits; default 1,024
	Inbox     int           // pushes that wait for the application; default 256
	MaxFrame  int           // bytes of a frame that is sent; default 256 KiB, which is the server's

	// OnPush, if set, gets every push instead of Pushes. It is called on the goroutine that reads, in order,
	// and must not block.
	OnPush func(Push)

	// onEntry gets the entries that answers bring, like OnPush.
	onEntry func(Entry)

	// onBound gets the answer to a bind before anything that the server sends behind it.
	onBound func(*codec.Bound)

	// requestTimeout ends a connection on which a request has no answer for so long; 0 never. It is not for messages.
	requestTimeout time.Duration

	// Dial opens the network connection; default is a net.Dialer with a timeout of 10 s. Set it to choose a
	// local address, a proxy or TLS.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	if o.Format == codec.None {
		o.Format = codec.JSON
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 60 * time.Second
	}
	if o.Window <= 0 {
		o.Window = 1024
	}
	if o.Inbox <= 0 {
		o.Inbox = 256
	}
	if o.MaxFrame <= 0 || o.MaxFrame > codec.MaxLength {
		o.MaxFrame = 256 << 10
	}
	if o.onBound == nil {
		o.onBound = func(*codec.Bound) {}
	}
	if o.onEntry == nil {
		o.onEntry = func(Entry) {}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: time.Minute}).DialContext
	}
	return o
}
