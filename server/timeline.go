package server

import (
	"context"
	"sync"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// The labels that read what is stored, on a worker.

func (srv *Server) queryHistory(ctx context.Context, c service.Caller, r *codec.HistoryRequest) (any, error) {
	q := service.HistoryQuery{
		Where:  where(r.SessionID, r.PeerID),
		Before: service.Seq(r.BeforeSeq.N), HasBefore: r.BeforeSeq.Set,
		After: service.Seq(r.AfterSeq.N), HasAfter: r.AfterSeq.Set,
		Limit: limit(r.Limit),
	}
	if r.BeforeSeq.N < 0 || r.AfterSeq.N < 0 {
		return nil, service.Errorf(service.Invalid, "a seq is not negative")
	}
	page, err := srv.service.History(ctx, c, q)
	return timeline(page), err
}

func (srv *Server) queryOfflineMessage(ctx context.Context, c service.Caller, r *codec.OfflineRequest) (any, error) {
	page, err := srv.service.Offline(ctx, c, limit(r.Limit))
	return timeline(page), err
}

func (srv *Server) querySessionList(ctx context.Context, c service.Caller, r *codec.SessionsRequest) (any, error) {
	sessions, next, err := srv.service.Sessions(ctx, c, limit(r.Limit), r.After)
	list := &codec.SessionList{Sessions: make([]codec.SessionBody, len(sessions)), More: next != "", After: next}
	for i := range sessions {
		list.Sessions[i] = sessionBody(c.User, &sessions[i])
	}
	return list, err
}

func (srv *Server) queryMessageInfo(ctx context.Context, c service.Caller, r *codec.InfoRequest) (any, error) {
	if r.Seq < 0 {
		return nil, service.Errorf(service.Invalid, "a seq is not negative")
	}
	info, err := srv.service.Info(ctx, c, service.InfoQuery{Where: where(r.SessionID, r.PeerID), MsgID: r.MsgID, Seq: service.Seq(r.Seq)})
	body := &codec.MessageInfo{MessageBody: messageBody(&info.Entry, info.State)}
	if info.Group {
		body.DeliveredCount, body.ReadCount = &info.Delivered, &info.Read
	}
	return body, err
}

// confirm is messageStatus: it is answered when the receipt is on the disk, while the worker goes on with others.
func (s *session) confirm(f codec.Frame) {
	s.ask(f, func(f codec.Frame) (task, error) {
		req, format := &codec.StatusRequest{}, f.Format
		return task{receipt: true, run: func(ctx context.Context) {
			s.runConfirm(ctx, format, req)
		}}, codec.Unmarshal(format, f.Body, req)
	})
}

func (s *session) runConfirm(ctx context.Context, f codec.Format, req *codec.StatusRequest) {
	answer := func(err error) { s.respond(ack, f, codec.MessageStatus, req.TaskID, codec.Empty{}, err) }
	if req.Seq < 0 {
		answer(service.Errorf(service.Invalid, "a seq is not negative"))
		return
	}
	if err := s.count(); err != nil {
		answer(err)
		return
	}
	s.receiptBegins()
	var end sync.Once // also after a panic, which ends the connection
	settle := func() {
		end.Do(func() {
			s.Settle()
			s.receiptEnds()
		})
	}
	done := func(err error) {
		answer(err)
		settle()
	}
	defer func() {
		if r := recover(); r != nil {
			settle()
			panic(r)
		}
	}()
	err := s.srv.service.Confirm(ctx, s.caller(req.UserID), service.Confirmation{
		Where: where(req.SessionID, req.PeerID), State: state(req.State), MsgIDs: req.MsgIDs, Seq: service.Seq(req.Seq),
	}, done)
	if err != nil {
		done(err)
	}
}

// state is the wire's state; what is none becomes 0, which no request may have.
func state(n codec.Integer) service.State {
	if n < 0 || n > codec.Integer(service.StateRead) {
		return 0
	}
	return service.State(n)
}

func where(group string, peer codec.OptID) service.Where {
	return service.Where{Group: group, Peer: service.UserID(peer.ID), HasPeer: peer.Set}
}

func limit(n codec.OptInteger) service.Limit { return service.Limit{N: n.N, Set: n.Set} }

func timeline(page service.Page) *codec.Timeline {
	t := &codec.Timeline{Messages: make([]codec.TimelineItem, len(page.Entries)), More: page.More, FirstSeq: uint64(page.First)}
	for i := range page.Entries {
		t.Messages[i] = timelineItem(&page.Entries[i])
	}
	return t
}

func timelineItem(e *service.Stated) codec.TimelineItem {
	if e.Kind == service.KindMessage {
		body := messageBody(&e.Entry, e.State)
		return codec.TimelineItem{LabelName: codec.Message, Content: &body}
	}
	label, body := noticeBody(&e.Entry)
	return codec.TimelineItem{LabelName: label, Content: body}
}

func sessionBody(u service.UserID, s *service.Session) codec.SessionBody {
	body := codec.SessionBody{
		SessionID: sessionID(s.Conv), Seq: uint64(s.Seq), ReadSeq: uint64(s.Marks.Read), DeliveredSeq: uint64(s.Marks.Delivered),
		Unread: s.Unread, UpdateDate: s.Date,
	}
	if body.SessionID == "" {
		body.PeerID = codec.SomeID(codec.ID(s.Conv.Peer(u)))
	}
	if s.Last != nil {
		last := messageBody(&s.Last.Entry, s.Last.State)
		body.LastMessage = &last
	}
	return body
}
