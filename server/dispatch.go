package server

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// handle answers one frame, on the loop.
func (s *session) handle(f codec.Frame) {
	defer s.rescue(f)
	s.srv.stats.Frames.Add(1)
	if f.Heartbeat() {
		s.acknowledge(heartbeat)
		return
	}
	if f.Kind != codec.Request {
		s.malformed(f.Format, "a client sends requests only: bits 2-3 of the flags are 0", string(f.Label))
		return
	}
	label, known := codec.LookupLabel(f.Label)
	switch {
	case label == codec.CanConnect && known:
		s.canConnect(f)
	case label == codec.GetUserID && known:
		s.bind(f)
	case !s.bound.Load():
		s.refuse(f, service.Errorf(service.Unauthenticated, "this connection is not bound to a user yet: send getUserId first"))
	case !known:
		s.refuse(f, service.Errorf(service.UnknownLabel, "%q is not a label of this protocol", f.Label))
	case label == codec.Message:
		s.message(f)
	default:
		s.request(label, f)
	}
}

// rescue is deferred around the work of a frame: a panic costs the connection, not the server.
func (s *session) rescue(f codec.Frame) {
	r := recover()
	if r == nil {
		return
	}
	s.srv.stats.Panics.Add(1)
	s.srv.log.Error("panic in a request", append(s.fields(), zap.ByteString("label", f.Label), zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))...)
	s.hangUp(f.Format, service.Errorf(service.Internal, "the server failed on this frame"), string(f.Label))
}

// submit hands the messages of the turn to the store, on the loop.
func (s *session) submit() {
	defer s.rescue(codec.Frame{Label: []byte(codec.Message)})
	s.srv.service.Submit(&s.loop.turn)
}

// request hands a label that reads from the store to a worker.
func (s *session) request(label codec.Label, f codec.Frame) {
	switch label {
	case codec.CreateGroup:
		work(s, label, f, (*Server).createGroup)
	case codec.QueryGroupList:
		work(s, label, f, (*Server).queryGroupList)
	case codec.AddGroupMembers:
		work(s, label, f, (*Server).addGroupMembers)
	case codec.KickGroupMembers:
		work(s, label, f, (*Server).kickGroupMembers)
	case codec.QueryGroupInfo:
		work(s, label, f, (*Server).queryGroupInfo)
	case codec.UpdateGroupInfo:
		work(s, label, f, (*Server).updateGroupInfo)
	case codec.DeleteGroup:
		work(s, label, f, (*Server).deleteGroup)
	case codec.QueryHistory:
		work(s, label, f, (*Server).queryHistory)
	case codec.QueryOfflineMessage:
		work(s, label, f, (*Server).queryOfflineMessage)
	case codec.QuerySessionList:
		work(s, label, f, (*Server).querySessionList)
	case codec.QueryMessageInfo:
		work(s, label, f, (*Server).queryMessageInfo)
	case codec.MessageStatus:
		s.confirm(f)
	default:
		s.refuse(f, service.Errorf(service.UnknownLabel, "%s is a label that only the server sends", label))
	}
}

// largeBody is the size from which on a worker decodes a body: it would hold the loop.
const largeBody = 16 << 10

// ask has a worker do what decode makes of the frame. Bodies that are not large are decoded here, on the loop,
// which copies what is kept of them.
func (s *session) ask(f codec.Frame, decode func(codec.Frame) (task, error)) {
	if len(f.Body) > largeBody {
		s.askLater(f, decode)
		return
	}
	t, err := decode(f)
	if err != nil {
		s.undecodable(f, err)
		return
	}
	if err := s.enqueue(t); err != nil {
		s.refuse(f, err)
	}
}

// askLater has a worker decode the frame first.
func (s *session) askLater(f codec.Frame, decode func(codec.Frame) (task, error)) {
	f.Label, f.Body = bytes.Clone(f.Label), bytes.Clone(f.Body)
	err := s.enqueue(task{bytes: len(f.Body), decode: func() (task, bool) {
		t, err := decode(f)
		if err != nil {
			s.undecodable(f, err)
		}
		return t, err == nil
	}})
	if err != nil {
		s.fail(f.Format, codec.Label(f.Label), codec.QuickTaskID(f.Format, f.Body), "", err)
	}
}

var errOverBudget = service.Errorf(service.Busy, "too much waits for clients that do not read: send it again later")

// work has a worker answer a request.
func work[R any, P interface {
	*R
	codec.Asked
}](s *session, label codec.Label, f codec.Frame, handle func(*Server, context.Context, service.Caller, P) (any, error)) {
	s.ask(f, func(f codec.Frame) (task, error) {
		req, format := P(new(R)), f.Format
		return task{run: func(ctx context.Context) {
			caller := s.caller(req.Claim())
			caller.Reads = s.srv.reads.Begin()
			defer caller.Reads.End()
			if s.srv.farOverBudget() {
				s.respond(ack, format, label, req.Task(), nil, errOverBudget)
				return
			}
			result, err := handle(s.srv, ctx, caller, req)
			frame, k := s.response(answer, format, label, req.Task(), result, err)
			caller.Reads.End() // before the client knows, who may ask at once for more
			s.queue(frame, k, false)
		}}, codec.Unmarshal(format, f.Body, req)
	})
}

// respond sends the response to a request.
func (s *session) respond(k kind, f codec.Format, label codec.Label, task codec.TaskID, result any, err error) {
	frame, k := s.response(k, f, label, task, result, err)
	s.queue(frame, k, false)
}

// response is the frame of the response to a request, and its kind: errors are small.
func (s *session) response(k kind, f codec.Format, label codec.Label, task codec.TaskID, result any, err error) ([]byte, kind) {
	if err == nil {
		frame, encodeErr := codec.AppendResponse(nil, f, label, task, result)
		if encodeErr == nil {
			return frame, k
		}
		err = service.Errorf(service.TooLarge, "the answer would be larger than a frame may be: ask for less")
	}
	e := s.report(string(label), err)
	return codec.AppendErrorResponse(nil, f, label, task, int(e.Code), e.Message), ack
}

// refuse answers a request whose body was not decoded, or did not decode.
func (s *session) refuse(f codec.Frame, err error) {
	task, msgID := codec.TaskIDOf(f.Format, f.Body)
	s.fail(f.Format, codec.Label(f.Label), task, msgID, err)
}

// fail answers a request with an error: by its response, or for a one-way request by a push.
func (s *session) fail(f codec.Format, label codec.Label, task codec.TaskID, msgID string, err error) {
	oneWay := label == codec.Message || label == codec.GetUserID
	if !oneWay || !task.IsZero() {
		s.respond(ack, f, label, task, nil, err)
		return
	}
	e := s.report(string(label), err)
	s.pushError(s.pushFormat(f), codec.ErrorBody{Code: int(e.Code), Error: e.Message, Label: string(label), MsgID: msgID})
}

// undecodable answers a body that is not a document, which ends the connection, or breaks a rule, which does not.
func (s *session) undecodable(f codec.Frame, err error) {
	if field := (*codec.FieldError)(nil); errors.As(err, &field) {
		s.refuse(f, service.Errorf(service.Invalid, "%v", err))
		return
	}
	s.malformed(f.Format, err.Error(), string(f.Label))
}

// malformed says what was wrong with a frame and ends the connection.
func (s *session) malformed(f codec.Format, reason, label string) {
	s.srv.stats.Malformed.Add(1)
	s.srv.log.Debug("malformed frame", append(s.fields(), zap.String("reason", reason))...)
	s.hangUp(f, service.Errorf(service.Invalid, "%s", reason), label)
}

// hangUp pushes an error, closes the connection behind it, and listens no more.
func (s *session) hangUp(f codec.Format, e *service.Error, label string) {
	s.deaf.Store(true)
	frame, err := codec.AppendPush(nil, s.pushFormat(f), codec.ReceiveError, &codec.ErrorBody{Code: int(e.Code), Error: e.Message, Label: label})
	if err != nil {
		s.kill()
		return
	}
	s.sendLast(frame)
}

func (s *session) pushError(f codec.Format, body codec.ErrorBody) {
	frame, err := codec.AppendPush(nil, f, codec.ReceiveError, &body)
	if err != nil {
		s.srv.stats.EncodeErrors.Add(1)
		return
	}
	s.acknowledge(frame)
}

// pushFormat is the format the connection was bound in, or that of its frame before the bind.
func (s *session) pushFormat(f codec.Format) codec.Format {
	if s.bound.Load() {
		return s.format
	}
	if f == codec.None {
		return codec.JSON
	}
	return f
}

// report counts an error and says what the client is told of it. What it is not told goes to the log.
func (s *session) report(label string, err error) *service.Error {
	e := service.AsError(err)
	s.srv.stats.Errors.Add(1)
	switch e.Code {
	case service.Busy:
		s.srv.stats.BusyErrors.Add(1)
	case service.Internal:
		s.srv.log.Error("request failed", append(s.fields(), zap.String("label", label), zap.Error(err))...)
	}
	return e
}

// malformedFrame is malformed for bytes that are no frame.
func (s *session) malformedFrame(err error) {
	format := codec.JSON
	if frame := (*codec.FrameError)(nil); errors.As(err, &frame) && frame.Format != codec.None {
		format = frame.Format
	}
	s.malformed(format, err.Error(), "")
}
