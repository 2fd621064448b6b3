package storage

import (
	"fmt"

	"github.com/msgserver/msgserver/service"
)

// groupCounts is by how much the changes that a transaction of the committer does not show move the numbers of users'
// groups. It is owned by the committer. Each change is added once and taken out once, so that a change of many users
// costs what they are, however many changes wait to be applied.
type groupCounts struct {
	changes []membership // in the order of gids
	more    map[service.UserID]int
}

func newGroupCounts(changes []membership) groupCounts {
	c := groupCounts{more: map[service.UserID]int{}}
	for _, m := range changes {
		c.add(m)
	}
	return c
}

func (c *groupCounts) add(m membership) {
	c.changes = append(c.changes, m)
	c.count(m, 1)
}

func (c *groupCounts) count(m membership, by int) {
	for _, u := range m.joined {
		c.move(u, by)
	}
	for _, u := range m.left {
		c.move(u, -by)
	}
}

func (c *groupCounts) move(u service.UserID, by int) {
	if n := c.more[u] + by; n != 0 {
		c.more[u] = n
	} else {
		delete(c.more, u)
	}
}

// applied takes out what a transaction shows: the changes up to gid.
func (c *groupCounts) applied(gid uint64) {
	for len(c.changes) > 0 && c.changes[0].gid <= gid {
		c.count(c.changes[0], -1)
		c.changes[0] = membership{}
		c.changes = c.changes[1:]
	}
	if len(c.changes) == 0 { // also of a map that was large once
		*c = newGroupCounts(nil)
	}
}

// undo takes out the changes after gid.
func (c *groupCounts) undo(gid uint64) {
	for n := len(c.changes) - 1; n >= 0 && c.changes[n].gid > gid; n-- {
		c.count(c.changes[n], -1)
		c.changes = c.changes[:n]
	}
}

// checkUsers refuses a change that puts someone into more groups than he may be in.
func (c *committer) checkUsers(ch *service.GroupChange) error {
	if ch.UserLimit <= 0 || len(ch.Add) == 0 {
		return nil
	}
	tx, err := c.view()
	if err != nil {
		return err
	}
	c.counts.applied(appliedIn(tx))
	b := tx.Bucket(bucketUserGroups)
	for _, u := range ch.Add {
		count, err := countGroups(b, u)
		if err != nil {
			return err
		}
		if count += c.counts.more[u]; count >= ch.UserLimit {
			return fmt.Errorf("user %d is in %d groups: %w", u, count, service.ErrTooLarge)
		}
	}
	return nil
}
