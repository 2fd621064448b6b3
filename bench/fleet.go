package bench

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/service"
)

// This file holds how the sessions of a run come to be.

// enlist makes the sessions of users, without connecting them: the first device of each user, then the second
// of each, and so on.
func (r *run) enlist(users, conns int) []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := len(r.sessions)
	for i := range conns {
		r.sessions = append(r.sessions, &session{
			run: r, index: begin + i, user: r.first + service.UserID(begin+i%users), device: fmt.Sprintf("bench-%d", i/users),
		})
	}
	return r.sessions[begin:]
}

// all are the sessions so far.
func (r *run) all() []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.sessions)
}

// alive is how many sessions are connected.
func (r *run) alive() (n int64) {
	for _, s := range r.all() {
		if s.alive() {
			n++
		}
	}
	return n
}

// opening bounds how many connections are being opened at the same time.
const opening = 256

// openAll connects sessions, evenly over the ramp, and returns when all are there.
func (r *run) openAll(ctx context.Context, all []*session) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pacer := Pacer{Rate: float64(len(all)) / max(r.spec.Ramp, time.Millisecond).Seconds()}
	places := make(chan struct{}, opening)
	begin := r.now()
	var opened sync.WaitGroup
	for i, s := range all {
		if sleep(ctx, begin+pacer.Due(int64(i))-r.now()) != nil {
			break
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
		}
		opened.Go(func() {
			defer func() { <-places }()
			bounded, done := context.WithTimeout(ctx, requestTimeout)
			defer done()
			if err := s.open(bounded, r.now()); err != nil {
				cancel(fmt.Errorf("connection %d of %d: %w", i+1, len(all), err))
			}
		})
	}
	opened.Wait()
	return context.Cause(ctx)
}

// perSource is how many connections of one source address the kernel opens without a long search for a port: it
// looks at every other port of its range first, which is about 14,000 on Linux.
const perSource = 10_000

// sourcesOf are the addresses to connect from: those of the spec, or as many of the loopback network as are
// needed if the server is there. None leaves it to the kernel.
func sourcesOf(spec result.Spec) []net.IP {
	var ips []net.IP
	for _, s := range spec.Sources {
		ips = append(ips, net.ParseIP(s))
	}
	host, _, _ := net.SplitHostPort(spec.Addr)
	if ip := net.ParseIP(host).To4(); len(ips) > 0 || runtime.GOOS != "linux" || spec.Conns <= perSource || ip == nil || !ip.IsLoopback() {
		return ips
	}
	for i := range 1 + spec.Conns/perSource {
		ips = append(ips, net.IPv4(127, 0, 0, byte(2+i)))
	}
	return ips
}

// dialer opens connections from the source address that a session has.
func (r *run) dialer(index int) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1, Control: lateBind}
	if len(r.sources) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: r.sources[index%len(r.sources)]}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		// Closing sends a reset, so that no port of ours waits for a minute: the storms would run out of them.
		return c, c.(*net.TCPConn).SetLinger(0)
	}
}
