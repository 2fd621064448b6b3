package storage

import (
	"errors"
	"time"
)

// busyAfter is how long the committer waits for the applier when the journal is full.
const busyAfter = 2 * time.Second

// slowest is how long the committer waits before it takes what is queued when the applier is close to being too late. The wait
// grows with the tail, so that under a load that the applier cannot follow everybody waits a little, instead of
// some for long when the journal is full.
const slowest = 20 * time.Millisecond

// slowDown waits while more than half a journal file is not applied, longest from one and a half on: both files
// together hold two.
func (c *committer) slowDown() {
	file := c.db.journal.maxBatch()
	over := c.db.recent.size() - file/2
	if over <= 0 {
		return
	}
	c.db.applier.hurry()
	time.Sleep(min(slowest, slowest*time.Duration(over)/time.Duration(file)))
}

// write makes the batch durable. While the journal has no room it waits for the applier, for so long; after
// that each batch is refused at once until there is room again.
func (c *committer) write() error {
	for {
		err := c.db.journal.write(c.records)
		if !errors.Is(err, errNoRoom) {
			c.stuckSince = time.Time{}
			return err
		}
		if c.stuckSince.IsZero() {
			c.stuckSince = time.Now()
		}
		c.db.applier.hurry()
		patience := time.NewTimer(busyAfter - time.Since(c.stuckSince))
		select {
		case <-c.db.applier.moved:
			patience.Stop()
		case <-patience.C:
			return err
		}
		if c.db.failed() != nil {
			return err
		}
	}
}
