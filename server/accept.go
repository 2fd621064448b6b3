package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// We accept connections ourselves and hand them to gnet's event loops, which therefore run as those of a gnet
// client. A gnet server ends when one accept fails: running out of file descriptors, whoever used them up, would
// take all connections with it. Here it costs those who come while there are none.

// We wait for connections in a system call of our own. Go's poller would wake us up to 10 ms late: the loops wait in
// theirs, and while nothing else runs the runtime looks at its poller that often.

const (
	// enrollers is how many connections at once wait until a loop has taken them over.
	enrollers = 64
	// acceptWait is how often the end of the server is looked for.
	acceptWait = 100 * time.Millisecond
	// acceptPause is how long accepting rests after a failure.
	acceptPause = 20 * time.Millisecond
	// acceptLog is how often failures are logged.
	acceptLog = 10 * time.Second
)

// network is the listener with the event loops behind it.
type network struct {
	srv      *Server
	listener net.Listener
	file     *os.File // of the listener
	fd       int      // of file, non-blocking
	loops    *gnet.Client
	accepted chan int // descriptors
	accept   sync.WaitGroup
	quit     chan struct{}

	mu     sync.Mutex
	logged time.Time // guarded by mu: when a failure was logged last
}

// listenNetwork listens on an address and starts the event loops. It accepts nobody yet.
func listenNetwork(srv *Server, addr string) (*network, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, listenError(addr, err)
	}
	n := &network{srv: srv, listener: l, accepted: make(chan int), quit: make(chan struct{})}
	if n.file, err = l.(*net.TCPListener).File(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	n.fd = int(n.file.Fd())
	err = unix.SetNonblock(n.fd, true)
	if err == nil {
		n.loops, err = gnet.NewClient(&engine{srv: srv}, gnet.WithMulticore(true),
			gnet.WithLogger(srv.log.Named("gnet").WithOptions(zap.IncreaseLevel(zap.WarnLevel)).Sugar()))
	}
	if err == nil {
		err = n.loops.Start()
	}
	if err != nil {
		return nil, errors.Join(err, n.file.Close(), l.Close())
	}
	return n, nil
}

// start begins to accept.
func (n *network) start() {
	n.accept.Go(n.acceptAll)
	for range enrollers {
		n.accept.Go(n.enrollAll)
	}
}

// acceptAll accepts until the end.
func (n *network) acceptAll() {
	defer close(n.accepted)
	for {
		select {
		case <-n.quit:
			return
		default:
		}
		ready := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}}
		if k, _ := unix.Poll(ready, int(acceptWait.Milliseconds())); k > 0 {
			n.acceptReady()
		}
	}
}

// acceptReady accepts those who are there.
func (n *network) acceptReady() {
	for {
		fd, _, err := unix.Accept(n.fd)
		switch {
		case err == nil:
			unix.CloseOnExec(fd)
			select {
			case n.accepted <- fd:
			case <-n.quit: // however many still come
				_ = unix.Close(fd)
				return
			}
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.ECONNRESET):
		default:
			n.failed(err)
			return
		}
	}
}

// enrollAll hands connections over to the loops.
func (n *network) enrollAll() {
	for fd := range n.accepted {
		if err := n.enroll(fd); err != nil {
			n.failed(err)
		}
	}
}

func (n *network) enroll(fd int) error {
	f := os.NewFile(uintptr(fd), "connection")
	c, err := net.FileConn(f)
	_ = f.Close() // c has a descriptor of its own
	if err != nil {
		return err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: time.Minute})
	}
	// gnet takes the name of an IPv6 zone for a buffer of its own and would write into it.
	for _, addr := range []net.Addr{c.LocalAddr(), c.RemoteAddr()} {
		if tcp, ok := addr.(*net.TCPAddr); ok {
			tcp.Zone = ""
		}
	}
	_, err = n.loops.EnrollContext(c, nil)
	return err
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
	n.bounded("accepting", n.accept.Wait)
	_ = n.file.Close()
	_ = n.listener.Close()
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
