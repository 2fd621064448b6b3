package server_test

import (
	"fmt"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
)

// smallBuffers keeps the kernel from holding megabytes for a client that does not read.
func (p *peer) smallBuffers() *peer {
	p.t.Helper()
	if err := p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		p.t.Fatal(err)
	}
	return p
}

// flood sends count messages from p to user and waits until all are stored.
func (p *peer) flood(user, count int, text string) {
	p.t.Helper()
	const window = 64
	for sent, acked := 0, 0; acked < count; acked++ {
		for ; sent < count && sent-acked < window; sent++ {
			body := say(user, text, fmt.Sprint("f", sent))
			body["taskId"] = sent
			p.send("message", body)
		}
		if a := p.answer("message"); a["code"] != 0.0 {
			p.t.Fatalf("message: %v", a)
		}
	}
}

// TestABurstDoesNotCutOffAReader: 8,000 pushes of 200 bytes at once closed clients that read all the time.
func TestABurstDoesNotCutOffAReader(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	const count = 8000
	var burst []byte
	for i := range count {
		burst = append(burst, alice.frame("message", say(2, repeated("x", 200), fmt.Sprint("m", i)))...)
	}
	go alice.Write(burst)
	go func() { // Alice reads, too
		for _, err := alice.next(); err == nil; _, err = alice.next() {
		}
	}()
	for seq := 0; seq < count; {
		g := bob.must()
		switch g.label {
		case "message":
			if seq++; g.body["seq"] != float64(seq) {
				t.Fatalf("seq %v after %d", g.body["seq"], seq-1)
			}
		case "missedNoti":
			return // told, and not cut off
		default:
			t.Fatalf("got %+v", g)
		}
	}
}

// TestWhoDoesNotReadMissesPushesAndIsTold: he is not closed, the others go on, and nothing is lost to him.
func TestWhoDoesNotReadMissesPushesAndIsTold(t *testing.T) {
	n := start(t, server.Config{PendingBytes: 64 << 10})
	deaf, alice, bob := n.bind(t, codec.MsgPack, 3).smallBuffers(), n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	sent := 0
	for text := repeated("x", 32<<10); n.Stats().Dropped.Load() < 10; sent++ {
		if sent == 2000 {
			t.Fatal("64 MiB wait for a client that does not read")
		}
		alice.want("message", say(3, text, fmt.Sprint(sent)))
	}
	alice.want("message", say(2, "fine", ""))
	check(t, bob.push("message"), doc{"contentStr": "fine"})
	seq, missed := 0.0, 0
	for missed == 0 {
		switch g := deaf.must(); g.label {
		case "message":
			if seq++; g.body["seq"] != seq {
				t.Fatalf("seq %v after %v", g.body["seq"], seq-1)
			}
		case "missedNoti":
			missed++
		}
	}
	deaf.quiet() // told once
	if int(seq) >= sent {
		t.Errorf("got all %v of %d and was told that some were missed", seq, sent)
	}
	page := deaf.want("queryHistory", doc{"peerId": 1, "afterSeq": int(seq), "limit": 1})
	if len(page["messages"].([]any)) != 1 {
		t.Error("what was dropped is not in the history")
	}
	alice.want("message", say(3, "again", ""))
	check(t, deaf.push("message"), doc{"contentStr": "again"})
}

// TestWhoTakesNothingIsClosed: after SlowTimeout, and not before.
func TestWhoTakesNothingIsClosed(t *testing.T) {
	n := start(t, server.Config{PendingBytes: 64 << 10, SlowTimeout: time.Second})
	deaf, alice := n.bind(t, codec.JSON, 3).smallBuffers(), n.bind(t, codec.JSON, 1)
	for text := repeated("x", 32<<10); n.Stats().Dropped.Load() == 0; {
		alice.want("message", say(3, text, ""))
	}
	began := time.Now()
	eventually(t, "the one who does not read is closed", func() bool { return n.Stats().SlowConsumers.Load() == 1 })
	if took := time.Since(began); took < 500*time.Millisecond || took > 3*time.Second {
		t.Errorf("closed after %v", took)
	}
	deaf.Close()
}

// TestASlowReaderIsNotClosed: one who takes a little from time to time stays for longer than SlowTimeout.
func TestASlowReaderIsNotClosed(t *testing.T) {
	n := start(t, server.Config{PendingBytes: 64 << 10, SlowTimeout: 500 * time.Millisecond})
	slow, alice := n.bind(t, codec.JSON, 3).smallBuffers(), n.bind(t, codec.JSON, 1)
	for text := repeated("x", 32<<10); n.Stats().Dropped.Load() == 0; {
		alice.want("message", say(3, text, ""))
	}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	buf := make([]byte, 16<<10)
	for range 40 {
		<-pace.C
		if _, err := slow.Read(buf); err != nil {
			t.Fatal(err)
		}
		alice.want("message", say(3, repeated("y", 32<<10), ""))
	}
	if n.Stats().SlowConsumers.Load() != 0 {
		t.Error("closed")
	}
}

// TestAnswersAreNeverDropped: they wait until their client reads, and so do the requests behind them.
func TestAnswersAreNeverDropped(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2).smallBuffers()
	alice.flood(2, 20, repeated("x", 60<<10))
	const count = 40
	for i := range count {
		bob.send("queryHistory", doc{"peerId": 1, "limit": 20, "taskId": i})
	}
	// A legal list of long messages and one push once closed the connection.
	alice.want("message", say(2, "one more", ""))
	eventually(t, "the answers wait", func() bool { return n.Stats().Waiting.Load() > 0 })
	for i := range count {
		check(t, bob.answer("queryHistory"), doc{"code": 0, "taskId": i})
	}
}

// TestAcknowledgementsThatAreNotRead end the connection of the one who sends and never reads.
func TestAcknowledgementsThatAreNotRead(t *testing.T) {
	n := start(t, server.Config{AckBytes: 64 << 10, InFlight: 1 << 20})
	p := n.bind(t, codec.JSON, 1).smallBuffers()
	frame := p.frame("message", say(2, "x", ""))
	p.SetWriteDeadline(time.Now().Add(patience))
	for n.Stats().SlowConsumers.Load() == 0 {
		if _, err := p.Write(frame); err != nil {
			break
		}
	}
	eventually(t, "he is closed as slow", func() bool { return n.Stats().SlowConsumers.Load() == 1 })
}

// TestManyWhoDoNotRead: 1,000 clients that never read cost 1.9 GB. Those with most waiting lose their pushes first.
func TestManyWhoDoNotRead(t *testing.T) {
	const budget = 8 << 20
	n := start(t, server.Config{WaitingBytes: budget})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	const deaf = 64
	for i := range deaf {
		n.bind(t, codec.JSON, 100+i).smallBuffers()
	}
	members := make([]int, deaf)
	for i := range members {
		members[i] = 100 + i
	}
	g := alice.want("createGroup", doc{"groupName": "deaf", "memberIds": members})["groupId"].(string)
	var worst int64
	for range 300 {
		alice.want("message", sayGroup(g, repeated("x", 60<<10), ""))
		worst = max(worst, n.Stats().WaitingBytes.Load())
	}
	if n.Stats().Dropped.Load() == 0 || worst > budget+deaf*(64<<10)+8<<20 {
		t.Errorf("%d bytes waited at most, %d pushes were dropped", worst, n.Stats().Dropped.Load())
	}
	alice.want("message", say(2, "fine", ""))
	check(t, bob.push("message"), doc{"contentStr": "fine"})
}

// TestAFrameDeadlineSparesWhoCompletesFrames: a sender whose writes end inside of frames was closed although he
// completed one after the other.
func TestAFrameDeadlineSparesWhoCompletesFrames(t *testing.T) {
	n := start(t, server.Config{FrameTimeout: 1500 * time.Millisecond})
	p, stuck := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	stuck.write(stuck.frame("message", say(1, "x", ""))[:20])
	began := time.Now()
	frame := p.frame("message", say(3, "x", ""))
	p.write(frame[:10])
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for range 60 {
		<-pace.C
		p.write(append(frame[10:len(frame):len(frame)], frame[:10]...))
		p.push("messageStatus")
		if n.Stats().Expired.Load() == 1 && time.Since(began) < time.Second {
			t.Fatal("closed too early")
		}
	}
	stuck.push("receiveError")
	stuck.closed()
	p.write(frame[10:])
	p.push("messageStatus")
}

// TestAFrameThatStaysIncomplete ends at its deadline, not at twice that.
func TestAFrameThatStaysIncomplete(t *testing.T) {
	const timeout = 2 * time.Second
	n := start(t, server.Config{FrameTimeout: timeout})
	p := n.bind(t, codec.JSON, 1)
	// Begin just after the wheel has looked, which was the worst case.
	eventually(t, "some time has passed", func() bool { return n.Stats().Frames.Load() > 0 })
	p.write([]byte{0, 0, 0, 20, 1})
	began := time.Now()
	p.push("receiveError")
	if took := time.Since(began); took < timeout*9/10 || took > timeout*14/10 {
		t.Errorf("closed after %v, the deadline is %v", took, timeout)
	}
}

// TestABudgetOfFramesThatEndsWithTheBuffer: exactly 512 frames behind a piece of one stalled the connection.
func TestABudgetOfFramesThatEndsWithTheBuffer(t *testing.T) {
	n := start(t, server.Config{FrameTimeout: 500 * time.Millisecond})
	p := n.bind(t, codec.JSON, 1)
	big := p.frame("message", say(2, repeated("x", 40<<10), ""))
	p.write(big[:100])
	eventually(t, "the piece is there", func() bool { return n.Stats().Frames.Load() == 1 })
	rest := big[100:len(big):len(big)]
	for range 511 {
		rest = append(rest, 0, 0, 0, 0)
	}
	p.write(rest)
	for range 512 {
		p.must()
	}
	p.quiet() // a small frame, less than was needed before
	eventually(t, "another look", func() bool { return n.Stats().Frames.Load() == 514 })
	if n.Stats().Expired.Load() != 0 {
		t.Error("closed for a frame that is complete")
	}
}

// TestAFailedAcceptCostsNothingElse: gnet stopped, and with it the server, when descriptors ran out.
func TestAFailedAcceptCostsNothingElse(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	release := useUpDescriptors(t)
	late, err := net.Dial("tcp", n.Addr())
	if err != nil {
		release()
		t.Fatal(err)
	}
	defer late.Close()
	for n.Stats().AcceptErrors.Load() == 0 {
		runtime.Gosched()
	}
	alice.want("message", say(2, "still here", ""))
	check(t, bob.push("message"), doc{"contentStr": "still here"})
	release()
	n.bind(t, codec.JSON, 3).quiet() // the one that came meanwhile may have been closed
}

// useUpDescriptors leaves room for one connection of the test itself.
func useUpDescriptors(t *testing.T) (release func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := syscall.Rlimit{Cur: 256, Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var held []int
	for {
		fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		held = append(held, fd)
	}
	free := func(n int) {
		for ; n > 0 && len(held) > 0; n-- {
			syscall.Close(held[len(held)-1])
			held = held[:len(held)-1]
		}
	}
	free(1)
	released := false
	release = func() {
		if !released {
			released = true
			free(len(held))
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
		}
	}
	t.Cleanup(release)
	return release
}
