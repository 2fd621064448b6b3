package client_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
)

// liar stands between clients and a server. It loses, repeats and delays pushes, and cuts connections in the middle
// of frames, either way.
type liar struct {
	t    *testing.T
	to   string
	addr string

	mu     sync.Mutex
	honest bool
	random *rand.Rand
	conns  int
	open   map[net.Conn]bool
}

func newLiar(t *testing.T, to string, seed uint64) *liar {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{t: t, to: to, addr: ln.Addr().String(), random: rand.New(rand.NewPCG(seed, 0)), open: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.serve(near) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		l.cutAll()
		all.Wait()
	})
	return l
}

// chance is true once in n times, as long as the liar lies.
func (l *liar) chance(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.honest && l.random.IntN(n) == 0
}

// beHonest ends the lies. What is connected is cut a last time, so that nothing that was swallowed stays unknown.
func (l *liar) beHonest() {
	l.mu.Lock()
	l.honest = true
	l.mu.Unlock()
	l.cutAll()
}

func (l *liar) cutAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for nc := range l.open {
		nc.Close()
	}
}

func (l *liar) serve(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return // the server is gone, which the client finds out
	}
	defer far.Close()
	l.mu.Lock()
	l.open[near] = true
	l.conns++
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		l.relay(near, far, false)
		near.Close()
		far.Close()
	})
	l.relay(far, near, true)
	near.Close()
	far.Close()
	both.Wait()
	l.mu.Lock()
	delete(l.open, near)
	l.mu.Unlock()
}

// relay passes frames on, with lies.
func (l *liar) relay(from, to net.Conn, pushes bool) {
	r := bufio.NewReader(from)
	var held []byte
	for {
		frame, push, err := readFrame(r)
		if err != nil {
			return
		}
		var out []byte
		switch lies := pushes && push; {
		case lies && l.chance(20): // lost
		case lies && l.chance(20):
			out = append(frame, frame...)
		case lies && held == nil && l.chance(10):
			held = frame
		default:
			out, held = append(frame, held...), nil
		}
		cut := l.chance(150)
		if cut {
			out = out[:len(out)/2]
		}
		if _, err := to.Write(out); err != nil || cut {
			return
		}
	}
}

func readFrame(r io.Reader) (frame []byte, push bool, err error) {
	frame = make([]byte, codec.HeaderLen)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, false, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
	if _, err := io.ReadFull(r, frame[codec.HeaderLen:]); err != nil {
		return nil, false, err
	}
	return frame, len(frame) > codec.HeaderLen && codec.Kind(frame[4]>>2&3) == codec.Push, nil
}

// member is one client of the test: it writes to everybody and notes what it reads.
type member struct {
	*client.Client
	want int
	all  chan struct{} // closed when it has read want messages
	// Owned by read until it has ended.
	got map[string]int // by content
	seq map[client.Conversation]uint64
}

// read notes entries and checks their order, until the client is closed.
func (m *member) read(t *testing.T) {
	for e, err := range m.Messages(context.Background()) {
		if err != nil {
			if !errors.Is(err, client.ErrClosed) {
				t.Errorf("user %d: %v", m.User(), err)
			}
			return
		}
		if e.Seq <= m.seq[e.Conversation] {
			t.Errorf("user %d: seq %d of %+v behind %d", m.User(), e.Seq, e.Conversation, m.seq[e.Conversation])
		}
		m.seq[e.Conversation] = e.Seq
		if msg, ok := e.Message(); ok {
			m.got[msg.ContentStr]++
			if service.UserID(msg.FromUserID) == m.User() {
				t.Errorf("user %d is given what he said himself: %s", m.User(), msg.ContentStr)
			}
			if m.got[msg.ContentStr] == 1 && len(m.got) == m.want {
				close(m.all)
			}
		}
	}
}

// soak is for long runs: go test ./client -run NobodyMisses -soak 100000 -timeout 1h
var soak = flag.Int("soak", 0, "go on until so many connections were made")

// TestNobodyMissesAnything has four users talk to each other and in a group, through connections that break
// all the time and lose, repeat and reorder what they carry. In the end everybody has everything, in order and once.
func TestNobodyMissesAnything(t *testing.T) {
	for conns := 0; !t.Failed() && conns <= *soak; {
		t.Run("", func(t *testing.T) { conns += converse(t) })
	}
}

// converse gives the number of connections that were made.
func converse(t *testing.T) int {
	const users, each = 4, 300
	const want = (users - 1) * each * 2
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := newLiar(t, realServer(t, server.Config{}), seed)
	members := make([]*member, users)
	for i := range members {
		c, err := client.New(l.addr, service.UserID(i), client.ClientOptions{
			Conn:     client.Options{Format: formats[i%2], Heartbeat: 50 * time.Millisecond},
			RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond, RequestTimeout: time.Second,
			Queue: 16, OnError: func(err error) { t.Error(err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		members[i] = &member{Client: c, want: want, all: make(chan struct{}), got: map[string]int{}, seq: map[client.Conversation]uint64{}}
	}
	group, err := members[0].CreateGroup(within(t), "all", []service.UserID{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	var readers, writers sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for from, m := range members {
		readers.Go(func() { m.read(t) })
		writers.Go(func() {
			var answers sync.WaitGroup
			for i := range each {
				for to := range members {
					out := client.Outgoing{To: service.UserID(to), Text: fmt.Sprintf("%d>%d %d", from, to, i)}
					if to == from {
						out.Group = group
					}
					answers.Add(1)
					err := m.SendAsync(ctx, out, func(_ client.Sent, err error) {
						defer answers.Done()
						if err != nil {
							t.Errorf("%s: %v", out.Text, err)
						}
					})
					if err != nil {
						t.Error(err)
						answers.Done()
					}
				}
			}
			answers.Wait()
		})
	}
	writers.Wait()
	l.beHonest()
	for _, m := range members {
		select {
		case <-m.all:
		case <-ctx.Done():
		}
	}
	for _, m := range members {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	readers.Wait()
	for _, m := range members {
		for text, n := range m.got {
			if n != 1 {
				t.Errorf("user %d has %q %d times", m.User(), text, n)
			}
		}
		if len(m.got) != want {
			t.Errorf("user %d has %d messages of %d", m.User(), len(m.got), want)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns
}
