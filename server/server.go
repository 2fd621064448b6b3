package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Server is one node: it listens, decodes, dispatches and pushes. Its store is its owner's.
type Server struct {
	// Static after New.
	cfg     Config
	log     *zap.Logger
	hub     *hub
	service *service.Service
	store   service.Store
	wheel   *wheel
	stats   Stats
	booted  chan struct{} // closed when the listeners are open
	fatal   chan error    // why the server cannot go on

	// Set by Run before booted is closed.
	gnet  gnet.Engine
	addr  string
	admin *admin
	pool  *pool

	sessionID atomic.Uint64
	draining  atomic.Bool
	backingUp atomic.Bool

	mu    sync.Mutex
	loops map[gnet.EventLoop]*loop // guarded by mu
}

// stopTimeout bounds the end of the network engine.
const stopTimeout = 5 * time.Second

// New checks the configuration and makes a server on store. It starts nothing.
func New(cfg Config, store service.Store, log *zap.Logger) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	srv := &Server{
		cfg: cfg, log: log, store: store, wheel: newWheel(), loops: map[gnet.EventLoop]*loop{},
		booted: make(chan struct{}), fatal: make(chan error, 1),
	}
	srv.hub = newHub(&srv.stats)
	srv.service = service.New(store, srv.hub, cfg.Limits, cfg.Clock)
	return srv, nil
}

// Ready is closed when the server accepts connections.
func (srv *Server) Ready() <-chan struct{} { return srv.booted }

// Addr is the address the server listens on, once it is ready.
func (srv *Server) Addr() string { return srv.addr }

// AdminAddr is the address of the admin endpoints once the server is ready, "" if there are none.
func (srv *Server) AdminAddr() string {
	if srv.admin == nil {
		return ""
	}
	return srv.admin.addr()
}

// Stats are the server's counters.
func (srv *Server) Stats() *Stats { return &srv.stats }

// Fail ends Run with err, without draining: the store has failed and no answer can be trusted any more.
func (srv *Server) Fail(err error) {
	select {
	case srv.fatal <- err:
	default: // it is ending for an earlier reason
	}
}

// Run serves until ctx ends, then drains and returns nil; or it returns what made it stop.
func (srv *Server) Run(ctx context.Context) error {
	addr, err := freeAddr(srv.cfg.Listen)
	if err != nil {
		return err
	}
	srv.addr = addr
	if srv.cfg.Admin != "" {
		if srv.admin, err = listenAdmin(srv, srv.cfg.Admin); err != nil {
			return err
		}
		defer srv.admin.close()
	}
	srv.pool = newPool(srv.cfg.Workers, srv.cfg.MaxConns, srv.cfg.RequestTimeout)
	defer srv.pool.stop()

	wheelCtx, stopWheel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { srv.wheel.run(wheelCtx) })
	defer background.Wait()
	defer stopWheel()

	stopped := make(chan error, 1)
	go func() { stopped <- srv.runEngine() }() // stopEngine waits for it, bounded

	select {
	case err := <-stopped:
		return err
	case err := <-srv.fatal:
		srv.draining.Store(true)
		srv.stopEngine(stopped)
		return err
	case <-ctx.Done():
		return srv.shutdown(stopped)
	}
}

// runEngine runs gnet until it is stopped. That gnet returns without being asked to is always a failure,
// whatever it says: it returns nil when it runs out of file descriptors.
func (srv *Server) runEngine() error {
	err := gnet.Run(&engine{srv: srv}, "tcp://"+srv.addr,
		gnet.WithMulticore(true),
		gnet.WithReusePort(true), // each loop accepts for itself, and survives accept errors
		gnet.WithReuseAddr(true), // or a restart could not bind
		gnet.WithTCPKeepAlive(time.Minute),
		gnet.WithLogger(srv.log.Named("gnet").WithOptions(zap.IncreaseLevel(zap.WarnLevel)).Sugar()))
	if err != nil {
		return fmt.Errorf("serve %s: %w", srv.addr, err)
	}
	return errors.New("the network engine stopped by itself: the limit of file descriptors may be reached (ulimit -n)")
}

// shutdown is an ordered end: nobody new, everybody told, what was taken is committed and answered, the
// answers are written, the connections are closed.
func (srv *Server) shutdown(stopped <-chan error) error {
	srv.log.Info("draining", zap.Int64("conns", srv.stats.Conns.Load()))
	srv.draining.Store(true)
	srv.announceDrain()
	deadline := time.Now().Add(srv.cfg.DrainTimeout)
	if left := srv.awaitAnswers(deadline); left > 0 {
		srv.log.Warn("drain timeout: cutting off requests without an answer", zap.Int64("requests", left))
	}
	srv.flushLoops(deadline)
	srv.stopEngine(stopped)
	return nil
}

func (srv *Server) announceDrain() {
	body := &codec.DrainBody{Error: "the server is shutting down", RetryAfterMs: 1000}
	var frames [codec.MsgPack + 1][]byte
	for _, f := range []codec.Format{codec.JSON, codec.MsgPack} {
		frame, err := codec.AppendPush(nil, f, codec.DrainNoti, body)
		if err != nil {
			srv.log.Error("encode the drain notice", zap.Error(err))
			return
		}
		frames[f] = frame
	}
	srv.hub.each(func(s *session) { s.send(frames[s.format]) })
}

// awaitAnswers waits until everything that was taken is answered, and gives what is left at the deadline.
func (srv *Server) awaitAnswers(deadline time.Time) int64 {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for left := srv.stats.Waiting.Load(); ; left = srv.stats.Waiting.Load() {
		if left == 0 || time.Now().After(deadline) {
			return left
		}
		<-poll.C
	}
}

// flushLoops waits until every loop has written what was queued so far.
func (srv *Server) flushLoops(deadline time.Time) {
	srv.mu.Lock()
	loops := make([]*loop, 0, len(srv.loops))
	for _, l := range srv.loops {
		loops = append(loops, l)
	}
	srv.mu.Unlock()
	ctx, cancel := context.WithDeadline(context.Background(), deadline.Add(time.Second))
	defer cancel()
	for _, l := range loops {
		flushed := make(chan struct{})
		err := l.events.Execute(ctx, gnet.RunnableFunc(func(ctx context.Context) error {
			defer close(flushed)
			return l.Run(ctx)
		}))
		if err != nil {
			continue
		}
		select {
		case <-flushed:
		case <-ctx.Done():
			return
		}
	}
}

// stopEngine stops gnet and waits for it, bounded.
func (srv *Server) stopEngine(stopped <-chan error) {
	select {
	case <-srv.booted:
	case <-stopped:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	go srv.gnet.Stop(ctx) // it polls every half second; that Run returns is what we wait for
	select {
	case <-stopped:
	case <-ctx.Done():
		srv.log.Warn("the network engine does not stop")
	}
}

// canConnect reports whether a new client would be taken now.
func (srv *Server) canConnect() bool {
	return !srv.draining.Load() && srv.stats.Conns.Load() < int64(srv.cfg.MaxConns) && srv.storeHealthy()
}

// storeHealthy asks the store, if it can say, whether it takes writes.
func (srv *Server) storeHealthy() bool {
	h, ok := srv.store.(interface{ Healthy() bool })
	return !ok || h.Healthy()
}

func (srv *Server) loopOf(events gnet.EventLoop) *loop {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	l := srv.loops[events]
	if l == nil {
		l = &loop{events: events}
		srv.loops[events] = l
	}
	return l
}

// freeAddr checks that nobody listens on the address, and turns port 0 into a free port. The engine's
// listeners share their port (SO_REUSEPORT), so it would not notice a second server on it.
func freeAddr(listen string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w: is another server running there?", listen, err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
