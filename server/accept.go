package server

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
)

// We accept connections ourselves and hand them to gnet's event loops, which therefore run as those of a gnet
// client. A gnet server ends when one accept fails: running out of file descriptors, whoever used them up, would
// take all connections with it. Here it costs those who come while there are none.

const (
	// acceptors is how many goroutines accept for each event loop: each waits until the loop has taken over.
	acceptors = 4
	// acceptPause is how long accepting rests after a failure.
	acceptPause = 20 * time.Millisecond
	// acceptLog is how often failures are logged.
	acceptLog = 10 * time.Second
)

// network is the listener with the event loops behind it.
type network struct {
	srv      *Server
	listener net.Listener
	loops    *gnet.Client
	accept   sync.WaitGroup // acceptAll
	quit     chan struct{}

	mu     sync.Mutex
	logged time.Time // guarded by mu: when a failure was logged last
}

// listenNetwork listens on an address and starts the event loops. It accepts nobody yet.
func listenNetwork(srv *Server, addr string) (*network, error) {
	keepAlive := net.ListenConfig{KeepAlive: time.Minute}
	l, err := keepAlive.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, listenError(addr, err)
	}
	loops, err := gnet.NewClient(&engine{srv: srv}, gnet.WithMulticore(true),
		gnet.WithLogger(srv.log.Named("gnet").WithOptions(zap.IncreaseLevel(zap.WarnLevel)).Sugar()))
	if err == nil {
		err = loops.Start()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &network{srv: srv, listener: l, loops: loops, quit: make(chan struct{})}, nil
}

// start begins to accept.
func (n *network) start() {
	for range acceptors * runtime.GOMAXPROCS(0) {
		n.accept.Go(n.acceptAll)
	}
}

// acceptAll accepts until the listener is closed.
func (n *network) acceptAll() {
	for {
		c, err := n.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			// gnet takes the name of an IPv6 zone for a buffer of its own and would write into it.
			for _, addr := range []net.Addr{c.LocalAddr(), c.RemoteAddr()} {
				if tcp, ok := addr.(*net.TCPAddr); ok {
					tcp.Zone = ""
				}
			}
			_, err = n.loops.EnrollContext(c, nil)
		}
		if err != nil {
			n.failed(err)
		}
	}
}

// failed notes a connection that could not be accepted, and waits a little.
func (n *network) failed(err error) {
	n.srv.stats.AcceptErrors.Add(1)
	n.mu.Lock()
	log := time.Since(n.logged) > acceptLog
	if log {
		n.logged = time.Now()
	}
	n.mu.Unlock()
	if log {
		n.srv.log.Warn("a connection cannot be accepted: if descriptors have run out, raise their limit (ulimit -n)", zap.Error(err))
	}
	pause := time.NewTimer(acceptPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-n.quit:
	}
}

// stopAccepting takes nobody any more.
func (n *network) stopAccepting() {
	close(n.quit)
	_ = n.listener.Close()
	n.bounded("accepting", n.accept.Wait)
}

// stop closes all connections and ends the loops. What the sockets take at once of what waits is sent.
func (n *network) stop() {
	n.bounded("the event loops", func() { _ = n.loops.Stop() }) // its errors are those of loops, which end now
}

// bounded waits for f, but not for ever: a loop that hangs keeps it.
func (n *network) bounded(what string, f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	late := time.NewTimer(stopTimeout)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		n.srv.log.Warn("the end takes too long", zap.String("of", what))
	}
}
