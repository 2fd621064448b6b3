package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Error is a refusal: by the server, or by this package of what the server would refuse.
type Error struct {
	Code    service.Code
	Message string      // what and why, for people
	Label   codec.Label // of the request, or kickedNoti; "" if the server did not say
	Reason  string      // with kickedNoti: ReasonDevice, ReasonLimit or one of a newer server; "" if it did not say

	RetryAfter time.Duration // when to send the same again, if the server says so; a Client does
}

// Why the server has closed a connection with kickedNoti.
const (
	ReasonDevice = "device" // the same device has connected again
	ReasonLimit  = "limit"  // the user has more connections than he may, and this was the oldest
)

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

// errNotSent says that nothing was sent.
var errNotSent = errors.New("not sent")

// interrupted is a request that has no answer or was not even sent, and why. errors.Is finds the reasons, but
// errors.As finds no *Error among them: what the server said of a connection is no refusal of the request.
type interrupted struct {
	label codec.Label
	how   error // ErrUnknownOutcome or errNotSent
	cause error
}

func unanswered(label codec.Label, cause error) error {
	return &interrupted{label, ErrUnknownOutcome, cause}
}

func notSent(label codec.Label, cause error) error { return &interrupted{label, errNotSent, cause} }

// Error says what happened to the request, and why.
func (e *interrupted) Error() string { return fmt.Sprintf("%s: %v: %v", e.label, e.how, e.cause) }

// Is makes errors.Is find the reasons.
func (e *interrupted) Is(target error) bool {
	return errors.Is(e.how, target) || errors.Is(e.cause, target)
}

// CodeOf is the code of a refusal by the server; ok is false for any other error.
func CodeOf(err error) (code service.Code, ok bool) {
	var e *Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}
