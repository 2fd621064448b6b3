package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

const (
	// sessionPage is how many conversations are listed at a time; the protocol's limit.
	sessionPage = 200
	// maxPasses is how often the list is read to its end for conversations that were pushed and are in no page: after
	// that they are not in the list at all, as a group is from which the user was removed.
	maxPasses = 3
	// missedDelay is how long what the server dropped waits for what is being fetched already.
	missedDelay = 5 * time.Second
	// confirmEvery is how long deliveries gather before they are confirmed.
	confirmEvery = 50 * time.Millisecond
)

// catchUp finds out what was missed before this connection, and fetches what is missing as long as it lasts.
// A connection on which that fails is ended: another may do better.
func (c *Client) catchUp(ctx context.Context, conn *Conn) {
	err := c.syncList(ctx, conn)
	if err == nil {
		err = c.fetchMissing(ctx, conn)
	}
	if ctx.Err() == nil {
		conn.end(fmt.Errorf("fetch what is missing: %w", err))
	}
}

// syncList reads the list of conversations, for how far each of them goes.
//
// A conversation that moves to the front between two pages is in neither. A device that knows no conversations needs
// its line: while it lacks one for what was pushed, or has lost pushes, it begins again at the front, some times.
func (c *Client) syncList(ctx context.Context, conn *Conn) error {
	for pass, after, limit := 1, "", sessionPage; ; {
		var list *codec.SessionList
		var err error
		limit, err = halving(limit, func(limit int) error {
			return c.patiently(ctx, func(ctx context.Context) (err error) {
				list, err = conn.Sessions(ctx, limit, after)
				return err
			})
		})
		if err != nil {
			return err
		}
		c.mu.Lock()
		for i := range list.Sessions {
			s := &list.Sessions[i]
			last := Mark{}
			if m := s.LastMessage; m != nil {
				last = messageMark(m.Seq, m.ServerReceiveDate, m.FromUserID, m.MsgID)
			}
			c.feed.listed(conversation(s.SessionID, service.UserID(s.PeerID.ID)), s.Seq, s.DeliveredSeq, last)
		}
		end := !list.More || list.After == "" || list.After == after
		known := (end || pass > 1) && c.feed.complete() && (c.missed.IsZero() || c.feed.synced)
		last := known || end && pass == maxPasses
		if last {
			c.feed.endSync()
		}
		c.ringFeed()
		if after = list.After; end && !last {
			after, c.missed = "", time.Time{}
			pass++
		}
		c.mu.Unlock()
		if last {
			return nil
		}
	}
}

// fetchMissing asks for what the feed wants, page by page.
func (c *Client) fetchMissing(ctx context.Context, conn *Conn) error {
	var rest unread
	for caughtUp := false; ; {
		now := time.Now()
		c.mu.Lock()
		if c.takeMissed(caughtUp, now) {
			c.mu.Unlock()
			c.tell(State{Phase: Online})
			if err := c.syncList(ctx, conn); err != nil {
				return err
			}
			caughtUp = false
			continue
		}
		want, ok, wait, idle := c.feed.want(now)
		change := c.lag.wait()
		further := rest.more && c.told != rest.told && (c.opts.NoConfirm || !c.feed.unconfirmed())
		rest.told = c.told
		c.mu.Unlock()
		if idle && (!caughtUp || further) {
			found, err := c.discover(ctx, conn, &rest)
			if err != nil {
				return err
			}
			if !found && !caughtUp {
				c.tell(State{Phase: CaughtUp})
			}
			caughtUp = !found
			continue
		}
		if !ok {
			if err := waitFor(ctx, change, wait); err != nil {
				return err
			}
			continue
		}
		if err := c.fetch(ctx, conn, want); err != nil {
			return err
		}
	}
}

// takeMissed reports whether the list has to be read again, because the server has dropped pushes; c.mu is held. That
// waits for the end of the present catch-up, so that many notices cause one more; but not long, since with an
// application that is always behind it has no end.
func (c *Client) takeMissed(caughtUp bool, now time.Time) bool {
	if c.missed.IsZero() || !caughtUp && now.Sub(c.missed) < missedDelay {
		return false
	}
	c.missed = time.Time{}
	c.feed.beginSync()
	return true
}

// discover looks for conversations that are not in the list and that this device never heard of: groups that the
// user was taken into and removed from meanwhile. What was missed of them stands among what is not confirmed.
// There is no page behind the first, but what is confirmed makes room in it: rest says whether to look again.
func (c *Client) discover(ctx context.Context, conn *Conn, rest *unread) (found bool, err error) {
	var page *codec.Timeline
	_, err = halving(historyPage, func(limit int) error {
		return c.patiently(ctx, func(ctx context.Context) (err error) {
			page, err = conn.Offline(ctx, limit)
			return err
		})
	})
	if err != nil {
		return false, err
	}
	rest.more = page.More
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, item := range page.Messages {
		if e, ok := entryOf(c.user, item.LabelName, item.Content); ok && c.feed.discovered(e) {
			found = true
		}
	}
	c.ringFeed()
	return found, nil
}

// unread is what queryOfflineMessage has left.
type unread struct {
	more bool // than its page
	told int  // Client.told, when it was asked
}

// waitFor waits for a change, at most for a time if that is not 0.
func waitFor(ctx context.Context, change <-chan struct{}, most time.Duration) error {
	var due <-chan time.Time
	if most > 0 {
		t := time.NewTimer(most)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-change:
	case <-due:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (c *Client) fetch(ctx context.Context, conn *Conn, want fetch) error {
	var page *codec.Timeline
	limit, err := halving(want.limit, func(limit int) error {
		return c.patiently(ctx, func(ctx context.Context) (err error) {
			page, err = conn.HistoryPage(ctx, HistoryPage{
				Conversation: want.conv, Before: want.before, After: want.after, HasAfter: want.before == 0, Limit: limit,
			})
			return err
		})
	})
	code, refused := CodeOf(err)
	gone := refused && (code == service.NotFound || code == service.Denied)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.ringFeed()
	if limit < want.limit {
		c.feed.bound(limit)
	}
	if err != nil {
		c.feed.unfetched(want, gone)
		if gone {
			return nil
		}
		return err
	}
	if want.before > 0 {
		return c.check(want, page)
	}
	entries, last := make([]Entry, 0, len(page.Messages)), want.after
	for _, item := range page.Messages {
		e, next, ok := step(c.user, want.conv, item, last, false)
		if last = next; ok {
			entries = append(entries, e)
		}
	}
	if page.More && last == want.after {
		c.feed.unfetched(want, false)
		return noProgress(want.conv, want.after)
	}
	c.feed.fetched(want, entries, last, page.More, c.isOwn)
	return nil
}

// check looks in a page for the end of what both sides share; c.mu is held.
func (c *Client) check(want fetch, page *codec.Timeline) error {
	var entries []Entry
	lowest := want.before
	for _, item := range slices.Backward(page.Messages) {
		e, next, ok := step(c.user, want.conv, item, lowest, true)
		if lowest = next; ok {
			entries = append(entries, e)
		}
	}
	if page.More && lowest == want.before {
		c.feed.unfetched(want, false)
		return noProgress(want.conv, want.before)
	}
	slices.Reverse(entries)
	c.feed.checked(entries, lowest, page.More)
	return nil
}

// noProgress is a page that would be asked for again and again.
func noProgress(v Conversation, at uint64) error {
	return fmt.Errorf("a page of %s at seq %d says that there is more, and brings nothing that was not there", v, at)
}

// defaultPage is the limit of a page that was asked for without one.
const defaultPage = 50

// halving asks for a page, and for half of it as long as the server says that it is too large, down to one entry. It
// returns the limit that was asked for last.
func halving(limit int, ask func(limit int) error) (int, error) {
	for {
		err := ask(limit)
		if code, _ := CodeOf(err); code != service.TooLarge || limit == 1 {
			return limit, err
		}
		if limit <= 0 {
			limit = defaultPage
		}
		limit /= 2
	}
}

// patiently asks, and asks again while the server says that it is busy.
func (c *Client) patiently(ctx context.Context, ask func(context.Context) error) error {
	again := backoff{min: c.opts.RetryMin, max: c.opts.RetryMax, random: rand.Float64, tries: 1}
	for {
		err := ask(ctx)
		code, refused := CodeOf(err)
		if err == nil || !refused || !code.Retry() {
			return err
		}
		if err := sleep(ctx, again.after(err)); err != nil {
			return err
		}
	}
}

// confirmDelivered tells the server what the application has taken.
func (c *Client) confirmDelivered(ctx context.Context, conn *Conn) {
	for {
		c.mu.Lock()
		conv, seq, ok := c.feed.confirm()
		change := c.confirms.wait()
		c.mu.Unlock()
		if !ok {
			if waitFor(ctx, change, 0) != nil || sleep(ctx, confirmEvery) != nil {
				return
			}
			continue
		}
		err := c.patiently(ctx, func(ctx context.Context) error {
			return conn.Confirm(ctx, conv, service.StateDelivered, seq)
		})
		_, refused := CodeOf(err)
		if err != nil && !refused {
			seq = 0 // on the next connection, then
		}
		c.mu.Lock()
		c.feed.confirmedTo(conv, seq)
		c.told++
		c.lag.ring()
		c.changed.ring()
		c.mu.Unlock()
		switch {
		case refused:
			c.opts.OnError(fmt.Errorf("confirm what was delivered: %w", err))
		case ctx.Err() != nil:
			return
		case err != nil:
			conn.end(fmt.Errorf("confirm what was delivered: %w", err))
			return
		}
	}
}
