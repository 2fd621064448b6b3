package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
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
	network *network
	addr    string
	admin   *admin
	pool    *pool

	reads         *service.Budget // what reading requests hold
	bodies        *service.Budget // bodies that are not decoded yet
	waitingPushes atomic.Int64    // of Stats.WaitingBytes, those of pushes

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
	srv.reads, srv.bodies = service.NewBudget(cfg.ReadBytes), service.NewBudget(cfg.ReadBytes/4)
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
func (srv *Server) Run(ctx context.Context) (err error) {
	if srv.network, err = listenNetwork(srv, srv.cfg.Listen); err != nil {
		return err
	}
	defer srv.network.stop()
	defer srv.network.stopAccepting()
	srv.addr = srv.network.listener.Addr().String()
	if srv.cfg.Admin != "" {
		if srv.admin, err = listenAdmin(srv, srv.cfg.Admin); err != nil {
			return err
		}
		defer srv.admin.close()
	}
	srv.pool = newPool(srv.cfg.Workers, srv.cfg.RequestTimeout)
	defer srv.pool.stop()

	background, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { srv.wheel.run(background) })
	running.Go(func() { srv.watchLoops(background) })
	defer running.Wait()
	defer stop()

	srv.network.start()
	close(srv.booted)
	select {
	case err := <-srv.fatal:
		srv.draining.Store(true)
		return err
	case <-ctx.Done():
		srv.shutdown()
		select {
		case err := <-srv.fatal: // the store failed meanwhile
			return err
		default:
			return nil
		}
	}
}

// shutdown is an ordered end: nobody new, everybody told, what was taken is committed and answered, the
// answers are written. The connections are closed behind it.
func (srv *Server) shutdown() {
	srv.log.Info("draining", zap.Int64("conns", srv.stats.Conns.Load()))
	srv.draining.Store(true)
	srv.announceDrain()
	deadline := time.Now().Add(srv.cfg.DrainTimeout)
	if left := srv.awaitAnswers(deadline); left > 0 {
		srv.log.Warn("drain timeout: cutting off requests without an answer", zap.Int64("requests", left))
	}
	srv.flushLoops(deadline.Add(time.Second))
	srv.endAll()
}

// endAll closes our side of every connection and waits a moment for the clients to close theirs: to close with
// something unread would take from them what is still on its way.
func (srv *Server) endAll() {
	srv.hub.each((*session).end)
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(lingerTime); srv.stats.Conns.Load() > 0 && time.Now().Before(end); {
		<-poll.C
	}
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
	srv.hub.each(func(s *session) { s.acknowledge(frames[s.format]) })
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

// flushPatience is how long the end of the server waits for clients of which none takes anything.
const flushPatience = 500 * time.Millisecond

// flushLoops waits until the loops have written what waits, or the clients that are left take nothing any more.
func (srv *Server) flushLoops(deadline time.Time) {
	last, since := int64(-1), time.Now()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for time.Now().Before(deadline) && srv.syncLoops(deadline) {
		left := srv.stats.WaitingBytes.Load()
		if left == 0 || left == last && time.Since(since) > flushPatience {
			return
		}
		if left != last {
			last, since = left, time.Now()
		}
		<-poll.C
	}
}

// syncLoops waits until every loop has tried to write what was queued so far.
func (srv *Server) syncLoops(deadline time.Time) bool {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	for _, l := range srv.allLoops() {
		tried := make(chan struct{})
		err := l.events.Execute(ctx, gnet.RunnableFunc(func(ctx context.Context) error {
			defer close(tried)
			return l.Run(ctx)
		}))
		if err != nil {
			continue
		}
		select {
		case <-tried:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (srv *Server) allLoops() []*loop {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	loops := make([]*loop, 0, len(srv.loops))
	for _, l := range srv.loops {
		loops = append(loops, l)
	}
	return loops
}

const (
	// loopEvery is how often the loops are asked whether they turn, and loopLate how often in a row one may not
	// answer. Questions are counted, not time: a process that was stopped for a while is not a loop that hangs.
	loopEvery = time.Second
	loopLate  = 30
)

// watchLoops ends the server when one of its event loops has ended or hangs: the connections on it would wait
// for ever.
func (srv *Server) watchLoops(ctx context.Context) {
	asked := map[*loop]int64{}
	ticker := time.NewTicker(loopEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, l := range srv.allLoops() {
			if asked[l]++; asked[l]-l.turns.Load() > loopLate {
				srv.Fail(errors.New("an event loop of the network has ended or hangs"))
				return
			}
			_ = l.events.Execute(ctx, gnet.RunnableFunc(func(context.Context) error {
				l.turns.Add(1)
				return nil
			}))
		}
	}
}

// overBudget reports whether too much waits for clients that do not read, all together.
func (srv *Server) overBudget() bool {
	return srv.stats.WaitingBytes.Load() > int64(srv.cfg.WaitingBytes)
}

// farOverBudget is overBudget with a quarter more, which answers may take that are on their way already.
func (srv *Server) farOverBudget() bool {
	return srv.stats.WaitingBytes.Load() > int64(srv.cfg.WaitingBytes)*5/4
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

// epoch is the store's, if it has one.
func (srv *Server) epoch() string {
	if e, ok := srv.store.(interface{ Epoch() string }); ok {
		return e.Epoch()
	}
	return ""
}

func (srv *Server) loopOf(events gnet.EventLoop) *loop {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	l := srv.loops[events]
	if l == nil {
		l = &loop{events: events, srv: srv}
		srv.loops[events] = l
	}
	return l
}

// listenError says what to do about an address that cannot be listened on.
func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: %w: is another server running there?", addr, err)
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}
