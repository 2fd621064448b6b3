package bench_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/msgserver/msgserver/codec"
)

// lies say what a liar does wrong: each n-th time for a number, never for 0.
type lies struct {
	lose, repeat, swap, tamper, misdeliver int // deliveries
	sameSeq, skipSeq, strangeSender        int // deliveries: with seq 7, with a seq beyond, of user 424242
	strangeType, strangeState, strangeRoom int // deliveries
	foreignAck, skip                       int // answers: to another msgId; messages before which a seq is left out
	receiptState, receiptSeq, receiptUser  int // receipts that say something else
	miss                                   int // deliveries: dropped, and missedNoti says so
	busy                                   int // changes of groups: this many are refused with 201 first
	refuse                                 int // messages: 201, and not delivered
	deliverRefused                         bool
	swapSeqs                               int // acknowledgements: with the seq that the next one should have
	loseReceipt                            int // receipts
	losePage                               int // entries of a page
	silent                                 int // messages: stored and delivered, and never answered
	mute                                   int // binds that are never answered
	hangup                                 int // messages of a connection, which is then closed
	stallAt                                int // the message before which everything stands still for stallFor
	stallFor                               time.Duration
}

// liar is a message server in memory that does not keep its word. It knows personal messages, their receipts,
// their history and what waits for a user.
type liar struct {
	lies
	l    net.Listener
	done sync.WaitGroup

	mu       sync.Mutex
	conns    map[codec.ID][]*liarConn            // guarded by mu
	stored   map[[2]codec.ID][]codec.MessageBody // guarded by mu: by the smaller and the larger user
	confirms map[[2]codec.ID]uint64              // guarded by mu: seq that reader confirmed to writer
	count    struct{ messages, deliveries, receipts, entries, binds, silences int }
}

type liarConn struct {
	net.Conn
	format codec.Format
	user   codec.ID
	taken  int
	held   *codec.MessageBody // to be swapped with the next one
}

func startLiar(t testing.TB, what lies) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &liar{lies: what, l: l, conns: map[codec.ID][]*liarConn{}, stored: map[[2]codec.ID][]codec.MessageBody{}, confirms: map[[2]codec.ID]uint64{}}
	s.done.Go(func() { accept(l, &s.done, s.serve) })
	t.Cleanup(func() {
		l.Close()
		s.done.Wait()
	})
	return l.Addr().String()
}

// accept serves connections until l is closed, and closes them then.
func accept(l net.Listener, done *sync.WaitGroup, serve func(net.Conn)) {
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		mu.Lock()
		open[c] = true
		mu.Unlock()
		done.Go(func() {
			serve(c)
			c.Close()
			mu.Lock()
			delete(open, c)
			mu.Unlock()
		})
	}
	mu.Lock()
	defer mu.Unlock()
	for c := range open {
		c.Close()
	}
}

// frames gives what comes in to handle until it says false or the connection ends; flush is called when nothing
// more is there to be handled.
func frames(c net.Conn, handle func(codec.Frame) bool, flush func() bool) {
	buf := make([]byte, 512)
	n := 0
	for {
		m, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += m
		used := 0
		for {
			f, size, err := codec.ParseFrame(buf[used:n], codec.MaxLength)
			if err != nil {
				return
			}
			if size == 0 {
				break
			}
			used += size
			if !handle(f) {
				return
			}
		}
		if !flush() {
			return
		}
		full := n == len(buf)
		n = copy(buf, buf[used:n])
		if full && len(buf) < 64<<10 {
			buf = append(make([]byte, 0, 4*len(buf)), buf...)[:4*len(buf)]
		}
	}
}

func (s *liar) serve(nc net.Conn) {
	c := &liarConn{Conn: nc}
	frames(nc, func(f codec.Frame) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.Heartbeat() {
			return true
		}
		switch label, _ := codec.LookupLabel(f.Label); label {
		case codec.GetUserID:
			s.bind(c, f)
		case codec.Message:
			return s.message(c, f)
		case codec.CreateGroup:
			s.createGroup(c, f)
		case codec.MessageStatus:
			s.confirm(c, f)
		case codec.QueryHistory:
			s.history(c, f)
		case codec.QueryOfflineMessage:
			s.offline(c, f)
		}
		return true
	}, func() bool { return true })
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.conns[c.user]
	for i, other := range all {
		if other == c {
			s.conns[c.user] = append(all[:i:i], all[i+1:]...)
		}
	}
}

// each reports whether the count, which it raises, is one of each n.
func each(n int, count *int) bool {
	*count++
	return n > 0 && *count%n == 0
}

func answer(c net.Conn, f codec.Format, label codec.Label, task codec.TaskID, result any) {
	b, err := codec.AppendResponse(nil, f, label, task, result)
	if err != nil {
		panic(err)
	}
	c.Write(b)
}

func (s *liar) bind(c *liarConn, f codec.Frame) {
	var b codec.Bind
	if err := codec.Unmarshal(f.Format, f.Body, &b); err != nil {
		panic(err)
	}
	c.user, c.format = b.UserID.ID, f.Format
	if each(s.mute, &s.count.binds) {
		return
	}
	s.conns[c.user] = append(s.conns[c.user], c)
	answer(c, f.Format, codec.GetUserID, b.TaskID, &codec.Bound{UserID: c.user})
}

// createGroup refuses, or makes a group in name only.
func (s *liar) createGroup(c *liarConn, f codec.Frame) {
	var b codec.GroupRequest
	if err := codec.Unmarshal(f.Format, f.Body, &b); err != nil {
		panic(err)
	}
	if s.busy--; s.busy >= 0 {
		c.Write(codec.AppendErrorResponse(nil, f.Format, codec.CreateGroup, b.TaskID, 201, "busy"))
		return
	}
	answer(c, f.Format, codec.CreateGroup, b.TaskID, &codec.GroupCreated{GroupID: "g"})
}

func pairOf(a, b codec.ID) [2]codec.ID { return [2]codec.ID{min(a, b), max(a, b)} }

func (s *liar) message(c *liarConn, f codec.Frame) (goOn bool) {
	var m codec.MessageRequest
	if err := codec.DecodeMessage(f.Format, f.Body, &m); err != nil {
		panic(err)
	}
	if s.count.messages+1 == s.stallAt {
		time.Sleep(s.stallFor)
	}
	refused := each(s.refuse, &s.count.messages)
	if refused {
		c.Write(codec.AppendErrorResponse(nil, f.Format, codec.Message, m.TaskID, 201, "busy"))
		if !s.deliverRefused {
			return true
		}
	}
	pair := pairOf(c.user, m.ToUserID.ID)
	body := codec.MessageBody{
		FromUserID: c.user, ToUserID: m.ToUserID.ID, ContentStr: m.ContentStr, MsgID: m.MsgID, SendDate: m.SendDate,
		MsgContentType: 1, State: 1, Seq: s.nextSeq(pair),
	}
	s.stored[pair] = append(s.stored[pair], body)
	if !refused && !each(s.silent, &s.count.silences) {
		stored := codec.MessageStored{MsgID: m.MsgID, Seq: body.Seq, State: 1}
		if n := s.swapSeqs; n > 0 && s.count.messages%n == 0 {
			stored.Seq += uint64(n) / 2
		}
		if n := s.foreignAck; n > 0 && s.count.messages%n == 0 {
			stored.MsgID = "another"
		}
		c.Write(codec.AppendMessageStored(nil, f.Format, m.TaskID, &stored))
	}
	s.deliver(&body)
	c.taken++
	return s.hangup == 0 || c.taken < s.hangup
}

func (s *liar) nextSeq(pair [2]codec.ID) uint64 {
	n := uint64(len(s.stored[pair]) + 1)
	if s.skip > 0 {
		n += uint64(len(s.stored[pair]) / s.skip)
	}
	return n
}

func (s *liar) deliver(m *codec.MessageBody) {
	for _, c := range s.conns[m.ToUserID] {
		if each(s.lose, &s.count.deliveries) {
			continue
		}
		n, sent := s.count.deliveries, *m
		if s.miss > 0 && n%s.miss == 0 {
			if frame, err := codec.AppendPush(nil, c.format, codec.MissedNoti, codec.Empty{}); err == nil {
				c.Write(frame)
			}
			continue
		}
		at := func(k int) bool { return k > 0 && n%k == 0 }
		if at(s.tamper) {
			sent.ContentStr += "!"
		}
		if at(s.sameSeq) {
			sent.Seq = 7
		}
		if at(s.skipSeq) {
			sent.Seq += 1000
		}
		if at(s.strangeSender) {
			sent.FromUserID = 424242
		}
		if at(s.strangeType) {
			sent.MsgContentType = 9
		}
		if at(s.strangeState) {
			sent.State = 2
		}
		if at(s.strangeRoom) {
			sent.SessionID = "a group"
		}
		if s.swap > 0 && n%s.swap == 0 && c.held == nil {
			c.held = &sent
			continue
		}
		c.push(&sent)
		if s.repeat > 0 && n%s.repeat == 0 {
			c.push(&sent)
		}
		if c.held != nil {
			c.push(c.held)
			c.held = nil
		}
		if s.misdeliver > 0 && n%s.misdeliver == 0 {
			for _, other := range s.conns[m.FromUserID] {
				other.push(&sent)
			}
		}
	}
}

func (c *liarConn) push(m *codec.MessageBody) {
	c.Write(codec.AppendMessagePush(nil, c.format, m))
}

func (s *liar) confirm(c *liarConn, f codec.Frame) {
	var b codec.StatusRequest
	if err := codec.Unmarshal(f.Format, f.Body, &b); err != nil {
		panic(err)
	}
	writer := b.PeerID.ID
	mark := [2]codec.ID{c.user, writer}
	for _, m := range s.stored[pairOf(c.user, writer)] {
		if m.FromUserID != writer || m.Seq <= s.confirms[mark] || m.Seq > uint64(b.Seq) || each(s.loseReceipt, &s.count.receipts) {
			continue
		}
		n, told := s.count.receipts, codec.StatusBody{MsgID: m.MsgID, State: 2, Seq: m.Seq, UserID: codec.SomeID(c.user)}
		at := func(k int) bool { return k > 0 && n%k == 0 }
		if at(s.receiptState) {
			told.State = 3
		}
		if at(s.receiptSeq) {
			told.Seq = 7
		}
		if at(s.receiptUser) {
			told.UserID = codec.SomeID(424242)
		}
		for _, w := range s.conns[writer] {
			w.Write(codec.AppendStatusPush(nil, w.format, &told))
		}
	}
	s.confirms[mark] = max(s.confirms[mark], uint64(b.Seq))
	answer(c, f.Format, codec.MessageStatus, b.TaskID, codec.Empty{})
}

func (s *liar) history(c *liarConn, f codec.Frame) {
	var b codec.HistoryRequest
	if err := codec.Unmarshal(f.Format, f.Body, &b); err != nil {
		panic(err)
	}
	page := codec.Timeline{Messages: []codec.TimelineItem{}}
	for _, m := range s.stored[pairOf(c.user, b.PeerID.ID)] {
		if int64(m.Seq) <= b.AfterSeq.N || each(s.losePage, &s.count.entries) {
			continue
		}
		if len(page.Messages) == int(b.Limit.N) {
			page.More = true
			break
		}
		page.Messages = append(page.Messages, codec.TimelineItem{LabelName: codec.Message, Content: &m})
	}
	answer(c, f.Format, codec.QueryHistory, b.TaskID, &page)
}

func (s *liar) offline(c *liarConn, f codec.Frame) {
	var b codec.OfflineRequest
	if err := codec.Unmarshal(f.Format, f.Body, &b); err != nil {
		panic(err)
	}
	page := codec.Timeline{Messages: []codec.TimelineItem{}}
	for _, all := range s.stored {
		for _, m := range all {
			if m.ToUserID != c.user || m.Seq <= s.confirms[[2]codec.ID{c.user, m.FromUserID}] || each(s.losePage, &s.count.entries) {
				continue
			}
			if len(page.Messages) == int(b.Limit.N) {
				page.More = true
				break
			}
			page.Messages = append(page.Messages, codec.TimelineItem{LabelName: codec.Message, Content: &m})
		}
	}
	answer(c, f.Format, codec.QueryOfflineMessage, b.TaskID, &page)
}
