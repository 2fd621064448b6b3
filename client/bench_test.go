package client_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

// echo acknowledges messages as fast as it can, in large reads and writes.
func echo(p *peer) {
	p.bind()
	r := bufio.NewReaderSize(p.r, 64<<10)
	var (
		in  []byte
		out []byte
		req codec.MessageRequest
		seq uint64
	)
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Read(chunk)
		if err != nil {
			return
		}
		in = append(in, chunk[:n]...)
		used := 0
		for {
			f, n, err := codec.ParseFrame(in[used:], codec.MaxLength)
			if err != nil || n == 0 {
				break
			}
			used += n
			if label, _ := codec.LookupLabel(f.Label); label != codec.Message {
				out = append(out, nothing(f, label)...)
				continue
			}
			if codec.DecodeMessage(f.Format, f.Body, &req) != nil {
				return
			}
			seq++
			out = codec.AppendMessageStored(out, f.Format, req.TaskID, &codec.MessageStored{MsgID: req.MsgID, Seq: seq, ServerReceiveDate: 1, State: 1})
		}
		in = in[:copy(in, in[used:])]
		if _, err := p.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

// nothing answers what a Client asks first.
func nothing(f codec.Frame, label codec.Label) []byte {
	task, _ := codec.TaskIDOf(f.Format, f.Body)
	frame, err := codec.AppendResponse(nil, f.Format, label, task, &codec.Empty{})
	if err != nil {
		return nil
	}
	return frame
}

// BenchmarkSendAsync sends 200-byte messages through one connection, or eight, to a server in the same process:
// go test ./client -run - -bench SendAsync -benchmem
func BenchmarkSendAsync(b *testing.B) {
	for _, conns := range []int{1, 8} {
		for _, format := range formats {
			b.Run(fmt.Sprintf("%s/conns=%d", format, conns), func(b *testing.B) {
				addr := scripted(b, echo)
				text := strings.Repeat("x", 200)
				var all sync.WaitGroup
				all.Add(b.N)
				done := func(_ client.Sent, err error) {
					if err != nil {
						b.Error(err)
					}
					all.Done()
				}
				ctx := b.Context()
				var senders sync.WaitGroup
				open := make([]*client.Conn, conns)
				for i := range open {
					open[i] = bound(b, addr, client.Options{Format: format, OnPush: func(client.Push) {}})
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i, conn := range open {
					share := b.N / conns
					if i < b.N%conns {
						share++
					}
					senders.Go(func() {
						for range share {
							if err := conn.SendAsync(ctx, client.Outgoing{To: 2, Text: text}, done); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				senders.Wait()
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			})
		}
	}
}

// BenchmarkClientSendAsync is the same through a Client and its outbox.
func BenchmarkClientSendAsync(b *testing.B) {
	addr := scripted(b, echo)
	c, err := client.New(addr, me, client.ClientOptions{NoConfirm: true})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	text := strings.Repeat("x", 200)
	var all sync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		all.Add(1)
		err := c.SendAsync(b.Context(), client.Outgoing{To: 2, Text: text}, func(_ client.Sent, err error) {
			if err != nil {
				b.Error(err)
			}
			all.Done()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// TestIdleConnIsSmall measures what a connection holds when nothing happens, the goroutine's stack included.
func TestIdleConnIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it opens 1,000 connections")
	}
	const count, limit = 1000, 10 << 10
	addr := scripted(t, func(p *peer) {
		p.r = nil // what the server's end costs is not the client's
		_, _ = io.Copy(io.Discard, p.Conn)
	})
	plain := inUse(func() { // what the two sockets and the server's goroutine cost without a client
		for range count {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
		}
	})
	with := inUse(func() {
		for range count {
			dial(t, addr, client.Options{})
		}
	})
	each := (with - plain) / count
	t.Logf("%d bytes a connection", each)
	if each > limit {
		t.Errorf("an idle connection holds %d bytes, more than %d", each, limit)
	}
}

// inUse is how much f adds to the heap and the stacks.
func inUse(f func()) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int(after.HeapAlloc+after.StackInuse) - int(before.HeapAlloc+before.StackInuse)
}
