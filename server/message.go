package server

import (
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// message takes a message into the turn of the loop. It is answered after the turn's commit.
func (s *session) message(f codec.Frame) {
	req := &s.loop.request
	if err := codec.DecodeMessage(f.Format, f.Body, req); err != nil {
		s.undecodable(f, err)
		return
	}
	format, task, msgID := f.Format, req.TaskID, req.MsgID
	err := s.admit()
	if err == nil {
		err = s.srv.service.Message(&s.loop.turn, s.caller(req.FromUserID), service.NewMessage{
			Group: req.SessionID, To: service.UserID(req.ToUserID.ID), HasTo: req.ToUserID.Set,
			MsgID: req.MsgID, ContentType: contentType(req.MsgContentType), SendDate: string(req.SendDate), Content: req.ContentStr,
		}, s, func(a service.Appended, err error) {
			if err != nil {
				s.fail(format, codec.Message, task, msgID, err)
				return
			}
			s.stored(format, task, &a)
		})
		if err != nil {
			s.Settle()
		}
	}
	if err != nil {
		s.fail(format, codec.Message, task, msgID, err)
	}
	*req = codec.MessageRequest{}
}

// admit takes one more message in flight, or says why not.
func (s *session) admit() error {
	if s.srv.draining.Load() {
		return service.Errorf(service.Unavailable, "the server is shutting down: send it again after connecting anew")
	}
	return s.count()
}

// count takes one more message or receipt in flight, unless there are too many.
func (s *session) count() error {
	if s.inFlight.Add(1) > int32(s.srv.cfg.InFlight) {
		s.inFlight.Add(-1)
		return service.Errorf(service.Busy, "%d messages and receipts of this connection are not answered yet: wait for answers before sending more", s.srv.cfg.InFlight)
	}
	s.srv.stats.Waiting.Add(1)
	return nil
}

// Settle lets go of a message that was admitted and is over: answered, and pushed to whom it concerns.
func (s *session) Settle() {
	s.inFlight.Add(-1)
	s.srv.stats.Waiting.Add(-1)
}

// stored tells the sender that the message is on the disk.
func (s *session) stored(f codec.Format, task codec.TaskID, a *service.Appended) {
	s.srv.stats.Messages.Add(1)
	e := &a.Entry
	if !task.IsZero() {
		s.acknowledge(codec.AppendMessageStored(make([]byte, 0, 192), f, task, &codec.MessageStored{
			MsgID: e.MsgID, Seq: uint64(e.Seq), ServerReceiveDate: e.ServerDate, State: int(a.State),
		}))
		return
	}
	s.acknowledge(codec.AppendStatusPush(nil, s.format, &codec.StatusBody{
		MsgID: e.MsgID, State: int(a.State), Seq: uint64(e.Seq), ServerReceiveDate: e.ServerDate, SessionID: sessionID(e.Conv),
	}))
}

// text is the msgContentType of a message that does not say.
const text = 1

func contentType(t codec.OptInteger) int64 {
	if !t.Set {
		return text
	}
	return t.N
}
