package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

var slowConsumerKind = kind{
	Description: Description{
		Name:   "slow-consumer",
		Models: "pairs as in direct, and --slow clients beside them that never read, although messages are sent to them like to everyone else. The latencies are those of the others",
		Omits:  "clients that read slowly instead of not at all. What is sent to the slow ones is stored and not delivered; they come back a second after the server has closed them",
	},
	defaults: result.Spec{Users: 40, Slow: 10, Rate: 2000, Payload: 4096},
	begins:   kindAck,
	build:    func(r *run) scenario { return &slowConsumer{messages: messages{run: r}} },
}

// slowConsumer is pairs, and clients that do not read.
type slowConsumer struct{ messages }

func (c *slowConsumer) prepare(ctx context.Context) error {
	r := c.run
	all := r.enlist(r.spec.Users, r.spec.Conns)
	c.flows = r.pairs(all)
	if err := r.openAll(ctx, all); err != nil {
		return err
	}
	senders := c.flows
	for i, s := range r.enlist(r.spec.Slow, r.spec.Slow) {
		c.flows = append(c.flows, r.ledger.flow(senders[i%len(senders)].from, client.Conversation{Peer: s.user}, nil))
		deaf, err := s.openDeaf(ctx)
		if err != nil {
			return err
		}
		r.running.Go(func() { s.stayDeaf(deaf) })
	}
	return nil
}

// slowClosed counts slow clients that the server closed, which is what must happen to them.
const slowClosed = "closed as a slow consumer, as it should be"

// stayDeaf reads nothing, and comes back when the server has had enough.
func (s *session) stayDeaf(deaf net.Conn) {
	ctx := s.run.ctx
	for sleep(ctx, time.Second) == nil {
		if deaf == nil {
			deaf, _ = s.openDeaf(ctx)
			continue
		}
		_ = deaf.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := deaf.Write(codec.AppendHeartbeat(nil)); err != nil {
			s.run.rec.failed(s.index, slowClosed)
			deaf.Close()
			deaf = nil
		}
	}
	if deaf != nil {
		deaf.Close()
	}
}

// deafBuffer is the receive buffer of a slow client, small so that the server notices early.
const deafBuffer = 4096

// openDeaf binds a connection that nothing is read from any more.
func (s *session) openDeaf(ctx context.Context) (net.Conn, error) {
	r := s.run
	c, err := r.dialer(s.index)(ctx, "tcp", r.spec.Addr)
	if err != nil {
		return nil, err
	}
	if err := s.bindDeaf(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("bind a slow client: %w", err)
	}
	return c, nil
}

func (s *session) bindDeaf(c net.Conn) error {
	f := s.run.format
	if err := c.(*net.TCPConn).SetReadBuffer(deafBuffer); err != nil {
		return err
	}
	frame, at := codec.BeginFrame(nil, f, codec.Request, codec.GetUserID)
	frame, err := codec.AppendBody(frame, f, &codec.Bind{
		UserID: codec.SomeID(codec.ID(s.user)), DeviceID: s.device, TaskID: codec.IntTask(f, 1),
	})
	if err != nil {
		return err
	}
	if frame, err = codec.EndFrame(frame, at); err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(requestTimeout))
	if _, err := c.Write(frame); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 256)) // the answer, which comes before any push
	return err
}
