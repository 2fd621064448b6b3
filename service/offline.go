package service

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
)

// offlineChunk is how many entries of one conversation are read at a time.
const offlineChunk = 32

// Offline gives what others wrote or did in any of the caller's conversations and he has not confirmed yet,
// oldest first. It confirms nothing.
func (s *Service) Offline(ctx context.Context, c Caller, asked Limit) (Page, error) {
	if err := c.verify(); err != nil {
		return Page{}, err
	}
	limit, err := s.pageLimit(asked.N, asked.Set)
	if err != nil {
		return Page{}, err
	}
	queue, err := s.missed(ctx, c.User)
	if err != nil {
		return Page{}, err
	}
	page, size := Page{}, 0
	for len(queue) > 0 {
		next := queue[0]
		if len(page.Entries) == limit || size >= s.limits.PageBytes {
			page.More = true
			break
		}
		page.Entries = append(page.Entries, next.entries[0])
		size += next.entries[0].Size()
		alive, err := next.advance(ctx, s)
		if err != nil {
			return Page{}, err
		}
		if alive {
			heap.Fix(&queue, 0)
		} else {
			heap.Pop(&queue)
		}
	}
	return page, nil
}

// missed finds the conversations in which u has something to confirm.
func (s *Service) missed(ctx context.Context, u UserID) (backlogs, error) {
	var queue backlogs
	for v, err := range s.views(ctx, u) {
		if err != nil {
			return nil, err
		}
		b := &backlog{view: v, next: v.marks.Delivered + 1}
		alive, err := b.fill(ctx, s)
		if err != nil {
			return nil, err
		}
		if alive {
			queue = append(queue, b)
		}
	}
	heap.Init(&queue)
	return queue, nil
}

// backlog is what a user has not confirmed in one conversation.
type backlog struct {
	view
	next    Seq      // where to read on
	entries []Stated // those read and not yet taken, of others
}

// fill reads on until there is something of others; false if there is nothing any more.
func (b *backlog) fill(ctx context.Context, s *Service) (bool, error) {
	for len(b.entries) == 0 {
		if !b.sees(b.next, b.head.Last) {
			return false, nil
		}
		chunk, err := s.read(ctx, b.view, b.next, offlineChunk, s.limits.PageBytes, Forward)
		if err != nil || len(chunk) == 0 {
			return false, err
		}
		b.next = chunk[len(chunk)-1].Seq + 1
		for _, e := range chunk {
			if e.From != b.user {
				b.entries = append(b.entries, Stated{Entry: e, State: StateStored})
			}
		}
	}
	return true, nil
}

// advance takes the first entry away.
func (b *backlog) advance(ctx context.Context, s *Service) (bool, error) {
	b.entries = b.entries[1:]
	return b.fill(ctx, s)
}

// backlogs is a heap, the one with the oldest entry first.
type backlogs []*backlog

func (q backlogs) Len() int      { return len(q) }
func (q backlogs) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q backlogs) Less(i, j int) bool {
	a, b := &q[i].entries[0], &q[j].entries[0]
	return cmp.Or(cmp.Compare(a.ServerDate, b.ServerDate), bytes.Compare(a.Conv[:], b.Conv[:])) < 0
}

// Push and Pop are heap.Interface's.
func (q *backlogs) Push(x any) { *q = append(*q, x.(*backlog)) }
func (q *backlogs) Pop() any {
	last := len(*q) - 1
	b := (*q)[last]
	*q = (*q)[:last]
	return b
}
