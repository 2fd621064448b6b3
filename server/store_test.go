package server_test

import (
	"context"
	"sync/atomic"

	"github.com/msgserver/msgserver/service"
)

// Stores that fail in ways the real one cannot be made to.

// panicking fails every call that it is asked first.
type panicking struct{ service.Store }

func (panicking) Append([]service.Append) { panic("append") }

func (panicking) Conversations(context.Context, service.UserID, service.Cursor, int) ([]service.ConvRef, service.Cursor, error) {
	panic("conversations")
}

// stalled answers nothing until it is released, and then that the outcome is unknown.
type stalled struct {
	service.Store
	release  chan struct{}
	answered chan struct{}
}

func (s *stalled) Append(batch []service.Append) {
	for _, a := range batch {
		done := a.Done
		go func() {
			<-s.release
			done(service.Appended{}, service.ErrUnknownOutcome)
			s.answered <- struct{}{}
		}()
	}
}

// refusing answers every message with an error.
type refusing struct {
	service.Store
	err error
}

func (s *refusing) Append(batch []service.Append) {
	for _, a := range batch {
		done := a.Done
		go done(service.Appended{}, s.err)
	}
}

func (s *refusing) Healthy() bool { return false }

// stalledChanges answers changes of groups with busy, when it is released.
type stalledChanges struct {
	service.Store
	changes atomic.Int32
	release chan struct{}
}

func (s *stalledChanges) Group(context.Context, service.GroupID) (service.Group, error) {
	return service.Group{}, service.ErrNotFound
}

func (s *stalledChanges) ChangeGroup(_ service.GroupChange, done func(service.GroupChanged, error)) {
	s.changes.Add(1)
	go func() {
		<-s.release
		done(service.GroupChanged{}, service.ErrBusy)
	}()
}

// stalledReads has no conversations, and says so when it is released.
type stalledReads struct {
	service.Store
	reads   atomic.Int32
	release chan struct{}
}

func (s *stalledReads) Conversations(context.Context, service.UserID, service.Cursor, int) ([]service.ConvRef, service.Cursor, error) {
	s.reads.Add(1)
	<-s.release
	return nil, "", nil
}

func (s *stalledReads) Heads(context.Context, []service.ConvID) ([]service.Head, error) {
	return nil, nil
}

func (s *stalledReads) Marks(context.Context, service.UserID, []service.ConvID) ([]service.Marks, error) {
	return nil, nil
}
