package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// maxAdminConns is how many connections the admin endpoints have at once: clients must not be without descriptors
// because of a monitor that forgets to close.
const maxAdminConns = 64

// adminPause is how long accepting pauses after a first failure; it doubles up to maxAcceptPause. What fails (there
// are no descriptors, for example) fails again at once.
const (
	adminPause     = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// adminListener accepts so many connections at once as it has slots. One more is told so and closed.
type adminListener struct {
	net.Listener
	log    *zap.Logger
	stall  time.Duration // of the connections
	slots  chan struct{} // has an element for each connection
	closed chan struct{}
	once   sync.Once // of closed
}

func newAdminListener(l net.Listener, log *zap.Logger, stall time.Duration) *adminListener {
	return &adminListener{Listener: l, log: log, stall: stall, slots: make(chan struct{}, maxAdminConns), closed: make(chan struct{})}
}

// Accept returns an error only when the listener is closed: http.Server would give up after any other.
func (l *adminListener) Accept() (net.Conn, error) {
	for pause := adminPause; ; {
		c, err := l.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			l.log.Warn("the admin address cannot accept", zap.Error(err), zap.Duration("pause", pause))
			l.rest(pause)
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = adminPause
		select {
		case l.slots <- struct{}{}:
			return &adminConn{Conn: c, stall: l.stall, free: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			refuseAdmin(c)
		}
	}
}

// rest waits, unless the listener is closed.
func (l *adminListener) rest(pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.closed:
	}
}

// Close ends Accept.
func (l *adminListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

const tooManyAdmin = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\nConnection: close\r\n" +
	"\r\nthe admin address has all the connections that it may have: close some\n"

// refuseAdmin does not read the request, which could take long.
func refuseAdmin(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // it fits into the socket's buffer
	_, _ = c.Write([]byte(tooManyAdmin))
	_ = c.Close()
}

// adminConn is a connection whose peer has to take something of what is written to it now and then.
type adminConn struct {
	net.Conn
	stall time.Duration // the longest that the peer takes nothing
	free  func()        // gives its slot back
}

// Write goes on as long as the peer takes something. A deadline for the whole of it, which is what http.Server
// has, would cut a long backup. It looks several times in a stall: the kernel wakes a writer only when much of
// its buffer is free, but takes more as soon as there is any room.
func (c *adminConn) Write(b []byte) (n int, err error) {
	for last := time.Now(); ; {
		if err := c.SetWriteDeadline(time.Now().Add(c.stall / 4)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(b[n:])
		n += m
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if m > 0 {
			last = time.Now()
		} else if time.Since(last) >= c.stall {
			c.abort()
			return n, err
		}
	}
}

// abort has the connection closed with a reset, so that the kernel keeps nothing for a peer that takes nothing.
func (c *adminConn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// Close gives the slot back, once.
func (c *adminConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}
