package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/service"
)

// What keeps a run from beginning, for who has to say which flag was meant.
var (
	ErrProtocol    = errors.New("what answers there does not speak the protocol of msgserver")
	ErrAdmin       = errors.New("the server's admin address")
	ErrWorker      = errors.New("worker")
	ErrDescriptors = errors.New("not enough file descriptors")
)

// probeTime is how long a server may take for one bind before anything was asked of it.
const probeTime = 3 * time.Second

// probe finds out whether there is a server that speaks the protocol, by a connection of its own.
func (r *run) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	conn, err := client.Dial(ctx, r.spec.Addr, client.Options{Format: r.format, OnPush: func(client.Push) {}, Dial: r.dialer(0)})
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.Bind(ctx, r.first+service.UserID(1<<20-1)) // a user that no session has
	if _, refused := client.CodeOf(err); err == nil || refused {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w, or stands still: it said nothing to the point within %s", ErrProtocol, probeTime)
	}
	if why := conn.Err(); why != nil {
		err = why
	}
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}

// spareDescriptors is what a process needs beside its connections.
const spareDescriptors = 64

// enoughDescriptors refuses more connections than this process can have.
func (r *run) enoughDescriptors() error {
	need, limit := r.spec.Conns+r.spec.Slow+spareDescriptors, maxDescriptors()
	if need <= limit {
		return nil
	}
	return fmt.Errorf("%w: %d connections need %d, and this process may have %d", ErrDescriptors, r.spec.Conns+r.spec.Slow, need, limit)
}
