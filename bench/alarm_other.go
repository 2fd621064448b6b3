//go:build !linux

package bench

import (
	"errors"
	"sync"
	"time"
)

// alarm wakes a driver, as exactly as the runtime does.
type alarm struct {
	once   sync.Once
	closed chan struct{}
}

func newAlarm() (*alarm, error) { return &alarm{closed: make(chan struct{})}, nil }

// sleep returns after d, or when close is called.
func (a *alarm) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-a.closed:
		return errors.New("closed")
	}
}

func (a *alarm) close() { a.once.Do(func() { close(a.closed) }) }
