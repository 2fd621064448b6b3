package client

import (
	"errors"
	"fmt"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Error is a refusal: by the server, or by this package of what the server would refuse.
type Error struct {
	Code    service.Code
	Message string      // what and why, for people
	Label   codec.Label // of the request, or kickedNoti; "" if the server did not say
}

// Error gives the label, the code and the message.
func (e *Error) Error() string {
	if e.Label == "" {
		return fmt.Sprintf("server: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Label, e.Code, e.Message)
}

// ErrClosed says that the connection has ended. An error that wraps it may say why.
var ErrClosed = errors.New("connection closed")

// ErrUnknownOutcome says that the connection ended, or the caller gave up, before the answer came: what was
// asked may have been done. A message may be sent again with the same MsgID; it is stored once.
var ErrUnknownOutcome = errors.New("no answer, outcome unknown")

// CodeOf is the code of a refusal by the server; ok is false for any other error.
func CodeOf(err error) (code service.Code, ok bool) {
	var e *Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}
