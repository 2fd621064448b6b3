package service

import (
	"errors"
	"fmt"
)

// Code says why a request failed. The list crosses the wire: closed, append only. 1xx: the request is wrong and
// will fail again. 2xx: the server could not; the same request, with the same msgId, may be sent again.
type Code int

// The codes of PROTOCOL.md.
const (
	OK              Code = 0
	Invalid         Code = 100 // a field is missing, of the wrong type or out of range
	Unauthenticated Code = 101 // not bound yet, or the token is missing, wrong or expired
	Denied          Code = 102 // bound, but not allowed to do this
	NotFound        Code = 103 // no such group, message or member
	Conflict        Code = 104 // the same msgId with other content; a second bind with another id
	TooLarge        Code = 105 // over a documented limit
	UnknownLabel    Code = 106 // the label is not part of the protocol
	Internal        Code = 200 // the server failed; the outcome is unknown
	Busy            Code = 201 // a queue is full or a rate limit was reached
	Unavailable     Code = 202 // draining, read-only or cut off
)

var codeNames = map[Code]string{
	OK: "ok", Invalid: "invalid", Unauthenticated: "unauthenticated", Denied: "denied", NotFound: "notFound",
	Conflict: "conflict", TooLarge: "tooLarge", UnknownLabel: "unknownLabel",
	Internal: "internal", Busy: "busy", Unavailable: "unavailable",
}

// String gives the code's name in PROTOCOL.md.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("code %d", int(c))
}

// Retry reports whether the same request may succeed later.
func (c Code) Retry() bool { return c >= Internal }

// Error is a failure that the client is told: what is wrong and what to do about it.
type Error struct {
	Code    Code
	Message string
}

// Error gives the message with the code's name before it.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Message }

// Errorf makes an Error. What it says goes to the client.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// AsError is what the client is told of err. Anything that is not of the closed list becomes Internal, with
// nothing of its text: that belongs into the log.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrBusy):
		return Errorf(Busy, "the server is busy: send it again later")
	case errors.Is(err, ErrUnavailable):
		return Errorf(Unavailable, "the server takes no writes now: send it again later")
	case errors.Is(err, ErrConflict):
		return Errorf(Conflict, "it was changed by someone else at the same moment: read it again")
	case errors.Is(err, ErrNotFound):
		return Errorf(NotFound, "there is no such group or message")
	case errors.Is(err, ErrDenied):
		return Errorf(Denied, "only members of the group may do this")
	case errors.Is(err, ErrTooLarge):
		return Errorf(TooLarge, "a user is in too many groups")
	case errors.Is(err, ErrDamaged):
		return Errorf(Internal, "what is stored here is damaged on the server's disk: its operator can restore a backup")
	}
	return Errorf(Internal, "the server failed and the outcome is unknown: send the same again")
}
