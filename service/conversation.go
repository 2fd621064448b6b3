package service

import (
	"context"
	"errors"
	"iter"
)

// conversationPage is how many conversations are read from the store at a time.
const conversationPage = 500

// Where names a conversation as a request does: a group, or the other user.
type Where struct {
	Group   string
	Peer    UserID
	HasPeer bool
}

// view is a conversation as one user may see it.
type view struct {
	user  UserID
	conv  ConvID
	spans []Span
	head  Head
	marks Marks // only where views gives it
}

// view finds the conversation that a request names. Former members see what they saw.
func (s *Service) view(ctx context.Context, u UserID, w Where) (view, error) {
	v := view{user: u}
	switch {
	case w.Group != "":
		g, ok := ParseGroupID(w.Group)
		if !ok {
			return v, noGroup(w.Group)
		}
		v.conv = g.Conv()
	case w.HasPeer:
		v.conv = Pair(u, w.Peer)
	default:
		return v, Errorf(Invalid, "name a conversation: the sessionId of a group, or a peerId")
	}
	return v, s.look(ctx, &v, w.Group)
}

// look reads the head of a conversation and then what the user may see of it, in this order: who is removed in
// between does not see what came after. Nothing behind the head is read.
func (s *Service) look(ctx context.Context, v *view, group string) error {
	heads, err := s.store.Heads(ctx, []ConvID{v.conv})
	if err != nil {
		return err
	}
	v.head = heads[0]
	if group == "" {
		v.spans = []Span{{From: 1, To: MaxSeq}}
		return nil
	}
	ref, err := s.store.Conversation(ctx, v.user, v.conv)
	if err != nil {
		return err
	}
	if len(ref.Spans) == 0 {
		return s.strangerError(ctx, group)
	}
	v.spans = ref.Spans
	return nil
}

// refresh reads the spans of a view from a list again, behind its head. It reports false if the user sees nothing.
func (s *Service) refresh(ctx context.Context, v *view) (bool, error) {
	if _, group := v.conv.Group(); !group {
		return true, nil
	}
	ref, err := s.store.Conversation(ctx, v.user, v.conv)
	v.spans = ref.Spans
	return len(ref.Spans) > 0, err
}

// present reports whether the user is in the conversation.
func (v view) present() bool { return ConvRef{Spans: v.spans}.Present() }

// strangerError is what someone is told of a group that he never was in.
func (s *Service) strangerError(ctx context.Context, id string) error {
	g, _ := ParseGroupID(id)
	if _, err := s.store.Group(ctx, g); errors.Is(err, ErrNotFound) {
		return noGroup(id)
	}
	return Errorf(Denied, "you are not a member of group %s", id)
}

// sees reports whether the user may see any entry of from..to, both included.
func (v view) sees(from, to Seq) bool {
	for _, span := range v.spans {
		if max(from, span.From) <= min(to, span.To) {
			return true
		}
	}
	return false
}

// read gives up to limit entries that the user may see, ascending, from seq on in the given direction.
func (s *Service) read(ctx context.Context, v view, from Seq, limit, maxBytes int, dir Direction) ([]Entry, error) {
	var pages [][]Entry
	for i := range v.spans {
		span := v.spans[i]
		if dir == Backward {
			span = v.spans[len(v.spans)-1-i]
		}
		if limit <= 0 || maxBytes <= 0 {
			break
		}
		span.To = min(span.To, v.head.Last)
		page, err := s.readSpan(ctx, v.conv, span, from, limit, maxBytes, dir)
		if err != nil {
			return nil, err
		}
		limit -= len(page)
		for i := range page {
			maxBytes -= page[i].Size()
		}
		pages = append(pages, page)
	}
	var all []Entry
	for i := range pages {
		if dir == Backward {
			i = len(pages) - 1 - i
		}
		all = append(all, pages[i]...)
	}
	return all, nil
}

// readSpan is read within one span.
func (s *Service) readSpan(ctx context.Context, c ConvID, span Span, from Seq, limit, maxBytes int, dir Direction) ([]Entry, error) {
	if dir == Forward {
		from = max(from, span.From)
	} else {
		from = min(from, span.To)
	}
	if from < span.From || from > span.To {
		return nil, nil
	}
	page, err := s.store.Read(ctx, c, from, limit, maxBytes, dir)
	if err != nil {
		return nil, err
	}
	first, end := 0, len(page)
	for first < end && page[first].Seq < span.From {
		first++
	}
	for end > first && page[end-1].Seq > span.To {
		end--
	}
	return page[first:end], nil
}

// upTo is the last entry that the user may see up to seq; 0 if there is none.
func (v view) upTo(seq Seq) (last Seq) {
	for _, span := range v.spans {
		if at := min(seq, v.head.Last, span.To); at >= span.From {
			last = max(last, at)
		}
	}
	return last
}

// stamps is read without the contents, in the order of the query's direction.
func (s *Service) stamps(ctx context.Context, v view, q StampQuery) (all []Stamp, err error) {
	for i := range v.spans {
		span := v.spans[i]
		if q.Dir == Backward {
			span = v.spans[len(v.spans)-1-i]
		}
		span.To = min(span.To, v.head.Last)
		in := q
		if q.Dir == Forward {
			in.From = max(q.From, span.From)
		} else {
			in.From = min(q.From, span.To)
		}
		if in.Limit -= len(all); in.From < span.From || in.From > span.To || in.Limit <= 0 {
			continue
		}
		found, err := s.store.Stamps(ctx, v.conv, in)
		if err != nil {
			return nil, err
		}
		for _, stamp := range found {
			if stamp.Seq >= span.From && stamp.Seq <= span.To {
				all = append(all, stamp)
			}
		}
	}
	return all, nil
}

// conversations walks over all conversations of u, former groups included.
func (s *Service) conversations(ctx context.Context, u UserID) iter.Seq2[ConvRef, error] {
	return func(yield func(ConvRef, error) bool) {
		var after Cursor
		for {
			refs, next, err := s.store.Conversations(ctx, u, after, conversationPage)
			if err != nil {
				yield(ConvRef{}, err)
				return
			}
			for _, ref := range refs {
				if !yield(ref, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			after = next
		}
	}
}

// views walks over all conversations of u that have entries, with their heads and u's marks.
func (s *Service) views(ctx context.Context, u UserID) iter.Seq2[view, error] {
	return func(yield func(view, error) bool) {
		var refs []ConvRef
		flush := func() bool {
			views, err := s.viewsOf(ctx, u, refs)
			if err != nil {
				yield(view{}, err)
				return false
			}
			for _, v := range views {
				if !yield(v, nil) {
					return false
				}
			}
			refs = refs[:0]
			return true
		}
		for ref, err := range s.conversations(ctx, u) {
			if err != nil {
				yield(view{}, err)
				return
			}
			if refs = append(refs, ref); len(refs) == conversationPage && !flush() {
				return
			}
		}
		flush()
	}
}

func (s *Service) viewsOf(ctx context.Context, u UserID, refs []ConvRef) ([]view, error) {
	ids := convIDs(refs)
	heads, err := s.store.Heads(ctx, ids)
	if err != nil {
		return nil, err
	}
	marks, err := s.store.Marks(ctx, u, ids)
	if err != nil {
		return nil, err
	}
	views := make([]view, 0, len(refs))
	for i, ref := range refs {
		if heads[i].Last > 0 {
			views = append(views, view{user: u, conv: ref.Conv, spans: ref.Spans, head: heads[i], marks: marks[i]})
		}
	}
	return views, nil
}

func convIDs(refs []ConvRef) []ConvID {
	ids := make([]ConvID, len(refs))
	for i, ref := range refs {
		ids[i] = ref.Conv
	}
	return ids
}

// pageLimit is the size of a page of which asked entries were asked for, if any.
func (s *Service) pageLimit(asked int64, given bool) (int, error) {
	switch {
	case !given:
		return s.limits.PageDefault, nil
	case asked < 1:
		return 0, Errorf(Invalid, "limit is %d: it must be at least 1", asked)
	case asked > int64(s.limits.Page):
		return 0, Errorf(TooLarge, "limit is %d, the limit of a page is %d", asked, s.limits.Page)
	}
	return int(asked), nil
}
