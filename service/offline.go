package service

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"math"
)

// offlineChunk is how many stamps of one conversation are read at a time, once it has given its first.
const offlineChunk = 32

// Offline gives what others wrote or did in any of the caller's conversations and he has not confirmed yet,
// oldest first. It confirms nothing. The conversations are merged by their stamps; contents are read last, so
// that a page costs what is in it however many conversations there are.
func (s *Service) Offline(ctx context.Context, c Caller, asked Limit) (Page, error) {
	if err := c.verify(); err != nil {
		return Page{}, err
	}
	limit, err := s.pageLimit(asked.N, asked.Set)
	if err != nil {
		return Page{}, err
	}
	if err := c.Reads.Take(pageCost * s.limits.PageBytes); err != nil {
		return Page{}, err
	}
	queue, err := s.missed(ctx, c.User)
	if err != nil {
		return Page{}, err
	}
	page, size := Page{}, 0
	var chosen []located
	for len(queue) > 0 {
		if len(chosen) == limit || size >= s.limits.PageBytes {
			page.More = true
			break
		}
		next := queue[0]
		chosen = append(chosen, located{next.conv, next.stamps[0].Seq})
		size += next.stamps[0].Size
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
	page.Entries, err = s.load(ctx, chosen)
	return page, err
}

// located names one entry: its conversation and its seq.
type located struct {
	conv ConvID
	seq  Seq
}

// load reads the entries at places, in their order. What has expired meanwhile is left out.
func (s *Service) load(ctx context.Context, places []located) ([]Stated, error) {
	loaded := make(map[located]Entry, len(places))
	byConv := map[ConvID][]Seq{} // ascending, as the places of one conversation are
	for _, at := range places {
		byConv[at.conv] = append(byConv[at.conv], at.seq)
	}
	for conv, seqs := range byConv {
		for len(seqs) > 0 {
			n := 1 // as many as follow one another
			for n < len(seqs) && seqs[n] == seqs[0]+Seq(n) {
				n++
			}
			entries, err := s.store.Read(ctx, conv, seqs[0], n, math.MaxInt, Forward)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				loaded[located{conv, e.Seq}] = e
			}
			seqs = seqs[n:]
		}
	}
	stated := make([]Stated, 0, len(places))
	for _, at := range places {
		if e, ok := loaded[at]; ok {
			stated = append(stated, Stated{Entry: e, State: StateStored})
		}
	}
	return stated, nil
}

// missed finds the conversations in which u has something to confirm.
func (s *Service) missed(ctx context.Context, u UserID) (backlogs, error) {
	var queue backlogs
	for v, err := range s.views(ctx, u) {
		if err != nil {
			return nil, err
		}
		b := &backlog{view: v, next: v.marks.Delivered + 1}
		if !b.sees(b.next, b.head.Last) || v.conv == Pair(u, u) { // nobody else writes into one's notes
			continue
		}
		if there, err := s.refresh(ctx, &b.view); err != nil {
			return nil, err
		} else if !there {
			continue
		}
		alive, err := b.fill(ctx, s, 1)
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
	next   Seq     // where to read on
	stamps []Stamp // those read and not yet taken, of others
}

// fill reads on if nothing is left; false if there is nothing any more.
func (b *backlog) fill(ctx context.Context, s *Service, most int) (bool, error) {
	if len(b.stamps) > 0 {
		return true, nil
	}
	if !b.sees(b.next, b.head.Last) {
		return false, nil
	}
	var err error
	b.stamps, err = s.stamps(ctx, b.view, StampQuery{From: b.next, Dir: Forward, Limit: most, Others: true, User: b.user})
	if err != nil || len(b.stamps) == 0 {
		return false, err
	}
	b.next = b.stamps[len(b.stamps)-1].Seq + 1
	return true, nil
}

// advance takes the first stamp away.
func (b *backlog) advance(ctx context.Context, s *Service) (bool, error) {
	b.stamps = b.stamps[1:]
	return b.fill(ctx, s, offlineChunk)
}

// backlogs is a heap, the one with the oldest entry first.
type backlogs []*backlog

func (q backlogs) Len() int      { return len(q) }
func (q backlogs) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q backlogs) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].stamps[0].Date, q[j].stamps[0].Date), bytes.Compare(q[i].conv[:], q[j].conv[:])) < 0
}

// Push and Pop are heap.Interface's.
func (q *backlogs) Push(x any) { *q = append(*q, x.(*backlog)) }
func (q *backlogs) Pop() any {
	last := len(*q) - 1
	b := (*q)[last]
	*q = (*q)[:last]
	return b
}
