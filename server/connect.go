package server

import (
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// maxDeviceID is how many bytes a deviceId may have.
const maxDeviceID = 128

// heartbeat is what a heartbeat is answered with.
var heartbeat = codec.AppendHeartbeat(nil)

// canConnect says whether this server would take a new client now. It has no side effect.
func (s *session) canConnect(f codec.Frame) {
	if len(f.Body) > 0 { // it needs none, whatever the flags say
		if err := codec.Unmarshal(f.Format, f.Body, &codec.Empty{}); err != nil {
			s.undecodable(f, err)
			return
		}
	}
	s.acknowledge(codec.AppendBool(nil, f.Format, codec.CanConnect, s.srv.canConnect()))
}

// bind makes the connection that of a user.
func (s *session) bind(f codec.Frame) {
	var req codec.Bind
	if err := codec.Unmarshal(f.Format, f.Body, &req); err != nil {
		s.undecodable(f, err)
		return
	}
	user := service.UserID(req.UserID.ID)
	if err := s.mayBind(&req); err != nil {
		s.fail(f.Format, codec.GetUserID, req.TaskID, "", err)
		return
	}
	first := !s.bound.Load()
	if first {
		s.user, s.device, s.format = user, req.DeviceID, f.Format
		s.bound.Store(true)
		s.srv.stats.Binds.Add(1)
	}
	if !req.TaskID.IsZero() {
		result := &codec.Bound{UserID: codec.ID(user), ServerDate: s.srv.cfg.Clock().UnixMilli(), Epoch: s.srv.epoch()}
		s.respond(ack, f.Format, codec.GetUserID, req.TaskID, result, nil)
	}
	if first {
		// Behind the answer, so that the answer is the first thing the client reads. The loop writes it
		// when this turn is over; from then on everything reaches the session.
		for _, old := range s.srv.hub.add(s, s.srv.cfg.ConnsPerUser) {
			old.kick(s.device != "" && old.device == s.device)
		}
	}
}

func (s *session) mayBind(req *codec.Bind) error {
	switch {
	case !req.UserID.Set:
		return service.Errorf(service.Invalid, "userId is missing")
	case len(req.DeviceID) > maxDeviceID:
		return service.Errorf(service.TooLarge, "deviceId has %d bytes, the limit is %d", len(req.DeviceID), maxDeviceID)
	case s.bound.Load() && s.user != service.UserID(req.UserID.ID):
		return service.Errorf(service.Conflict, "this connection is bound to user %d already: use another connection for user %d", s.user, req.UserID.ID)
	case s.srv.draining.Load():
		return service.Errorf(service.Unavailable, "the server is shutting down: connect again later")
	}
	return nil
}

// kick tells the client why it has to go, and closes.
func (s *session) kick(sameDevice bool) {
	body := codec.ErrorBody{Code: int(service.Conflict), Reason: codec.ReasonLimit, Error: "too many connections of this user: the oldest is closed"}
	if sameDevice {
		body.Reason, body.Error = codec.ReasonDevice, "this device has connected again"
	}
	s.srv.stats.Kicked.Add(1)
	frame, err := codec.AppendPush(nil, s.format, codec.KickedNoti, &body)
	if err != nil {
		s.kill()
		return
	}
	s.sendLast(frame)
}

// expire tells the client which deadline it missed, and closes.
func (s *session) expire(code service.Code, reason string) {
	format := codec.JSON
	if s.bound.Load() {
		format = s.format
	}
	frame, err := codec.AppendPush(nil, format, codec.ReceiveError, &codec.ErrorBody{Code: int(code), Error: reason})
	if err != nil {
		s.kill()
		return
	}
	if s.sendLast(frame) {
		s.srv.stats.Expired.Add(1)
	}
}
