package server_test

import (
	"context"
	"sync"

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
	release chan struct{}
	running sync.WaitGroup
}

func (s *stalled) Append(batch []service.Append) {
	for _, a := range batch {
		done := a.Done
		s.running.Go(func() {
			<-s.release
			done(service.Appended{}, service.ErrUnknownOutcome)
		})
	}
}

// refusing answers every message with an error.
type refusing struct {
	service.Store
	err error
	wg  sync.WaitGroup
}

func (s *refusing) Append(batch []service.Append) {
	for _, a := range batch {
		done := a.Done
		s.wg.Go(func() { done(service.Appended{}, s.err) })
	}
}

func (s *refusing) Healthy() bool { return false }
