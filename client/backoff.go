package client

import (
	"errors"
	"time"
)

// backoff says how long to wait before each attempt: the first comes at once, the others after a random time
// ("full jitter": a crowd that lost its server at one moment must not come back at one moment) under a
// ceiling that doubles from min to max.
type backoff struct {
	min, max time.Duration
	random   func() float64 // in [0, 1)
	tries    int            // attempts in a row that did not last
}

// next is the wait after an attempt that lasted for lived; 0 if it did not succeed at all.
func (b *backoff) next(lived time.Duration) time.Duration {
	if lived >= max(b.ceiling(), 5*b.min) {
		b.tries = 0
	}
	wait := time.Duration(b.random() * float64(b.ceiling()))
	b.tries++
	return wait
}

// ceiling is the longest that the next wait may be.
func (b *backoff) ceiling() time.Duration {
	if b.tries == 0 {
		return 0
	}
	c := b.min
	for i := 1; i < b.tries && c < b.max; i++ {
		c *= 2
	}
	return min(c, b.max)
}

// after is the wait after a refusal: longer if the server says how long.
func (b *backoff) after(err error) time.Duration {
	wait := b.next(0)
	var refused *Error
	if errors.As(err, &refused) {
		wait += refused.RetryAfter
	}
	return wait
}
