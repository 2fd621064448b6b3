package service

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// changeTries is how often a change is made again because somebody else changed the group in between.
const changeTries = 8

// NewGroup is a group as its creator asks for it.
type NewGroup struct {
	Name      string
	HeadImage string
	Members   []UserID // in any order, with or without doubles and the creator
	MsgID     string   // "" or the creator's own name for this request: repeated, it gets the first answer
}

// CreateGroup makes a group whose creator is the caller, and gives the entry that says so.
func (s *Service) CreateGroup(ctx context.Context, c Caller, n NewGroup) (Entry, error) {
	if err := cmp.Or(c.verify(), s.checkName(n.Name), checkHeadImage(n.HeadImage), checkMsgID(n.MsgID)); err != nil {
		return Entry{}, err
	}
	members := union(n.Members, []UserID{c.User})
	if err := s.checkSize(len(members)); err != nil {
		return Entry{}, err
	}
	ch := GroupChange{
		ID: NewGroupID(s.clock()), Kind: KindGroupCreated, By: c.User, MsgID: n.MsgID,
		Name: n.Name, HeadImage: n.HeadImage, Creator: c.User, Add: members,
	}
	if n.MsgID != "" {
		ch.ID = namedGroupID(c.User, n.MsgID)
		if _, err := s.store.Group(ctx, ch.ID); err == nil {
			return s.createdBefore(ctx, ch)
		}
	}
	e, err := s.commitGroup(ctx, c, Group{}, ch)
	if errors.Is(err, ErrConflict) {
		return s.createdBefore(ctx, ch)
	}
	return e, err
}

// createdBefore is the answer to a createGroup that was answered before: the group's id follows from its creator
// and the msgId, so it is found for ever. When the entry has expired the answer is what the request says; what the
// group is by now may not be for its creator any more.
func (s *Service) createdBefore(ctx context.Context, ch GroupChange) (Entry, error) {
	entries, err := s.store.Read(ctx, ch.ID.Conv(), 1, 1, s.limits.PageBytes, Forward)
	if err != nil {
		return Entry{}, err
	}
	if len(entries) == 1 && entries[0].Kind == KindGroupCreated {
		g := entries[0].Group
		if g.Name != ch.Name || g.HeadImage != ch.HeadImage || !slices.Equal(g.Members, ch.Add) {
			return Entry{}, Errorf(Conflict, "msgId %q is taken by a group with another name, picture or other members: use a new msgId", ch.MsgID)
		}
		return entries[0], nil
	}
	return Entry{
		Message: Message{Conv: ch.ID.Conv(), From: ch.By, MsgID: ch.MsgID}, Seq: 1, Kind: KindGroupCreated,
		Group: &Group{ID: ch.ID, Name: ch.Name, HeadImage: ch.HeadImage, Creator: ch.By, Members: ch.Add},
	}, nil
}

// maxListed is how many members all the groups of a list may have together: about what fits into a frame.
const maxListed = 1 << 20

// groupCost and memberCost are about how many bytes a group and each of its members take while a list is made: as
// they are stored, as a body, encoded twice in buffers that grow, and what of it is not collected yet (measured).
const (
	groupCost  = 1 << 10
	memberCost = 160
)

// Groups lists the groups that the caller is in.
func (s *Service) Groups(ctx context.Context, c Caller) ([]Group, error) {
	if err := c.verify(); err != nil {
		return nil, err
	}
	groups, listed := []Group{}, 0
	for ref, err := range s.conversations(ctx, c.User) {
		if err != nil {
			return nil, err
		}
		id, isGroup := ref.Conv.Group()
		if !isGroup || !ref.Present() {
			continue
		}
		g, err := s.store.Group(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue // dissolved since the page was read
		}
		if err != nil {
			return nil, err
		}
		if listed += len(g.Members); listed > maxListed {
			return nil, Errorf(TooLarge, "your groups have too many members for one list: ask for the groups one at a time")
		}
		if err := c.Reads.Take(groupCost + memberCost*len(g.Members)); err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// Group gives one group to one of its members.
func (s *Service) Group(ctx context.Context, c Caller, id string) (Group, error) {
	if err := c.verify(); err != nil {
		return Group{}, err
	}
	return s.memberGroup(ctx, c.User, id)
}

// AddMembers adds users to a group; any member may.
func (s *Service) AddMembers(ctx context.Context, c Caller, t GroupTarget, who []UserID) (Entry, error) {
	same := func(e Entry) bool { return e.Kind == KindMembersAdded && len(minus(e.Members, union(who, nil))) == 0 }
	return s.changeGroup(ctx, c, t, same, func(g Group) (GroupChange, error) {
		add := minus(union(who, nil), g.Members)
		return GroupChange{Kind: KindMembersAdded, Add: add}, s.checkSize(len(g.Members) + len(add))
	})
}

// KickMembers removes users from a group: the creator anyone but himself, any other member only himself.
func (s *Service) KickMembers(ctx context.Context, c Caller, t GroupTarget, who []UserID) (Entry, error) {
	same := func(e Entry) bool { return e.Kind == KindMembersGone && len(minus(e.Members, union(who, nil))) == 0 }
	return s.changeGroup(ctx, c, t, same, func(g Group) (GroupChange, error) {
		asked := union(who, nil)
		remove := minus(asked, minus(asked, g.Members))
		ch := GroupChange{Kind: KindMembersGone, Remove: remove}
		for _, u := range remove {
			if u == g.Creator {
				return ch, Errorf(Denied, "user %d created the group and cannot be removed: name another creator first, or delete the group", u)
			}
			if c.User != g.Creator && u != c.User {
				return ch, Errorf(Denied, "only the group's creator, user %d, may remove others", g.Creator)
			}
		}
		return ch, nil
	})
}

// GroupUpdate is what shall be different about a group; what is nil stays.
type GroupUpdate struct {
	Name      *string
	HeadImage *string
	Creator   *UserID // a member who becomes the group's creator
}

// made reports whether an entry is what this update leaves.
func (u GroupUpdate) made(e Entry) bool {
	return e.Kind == KindGroupUpdated && (u.Name == nil || *u.Name == e.Group.Name) &&
		(u.HeadImage == nil || *u.HeadImage == e.Group.HeadImage) && (u.Creator == nil || *u.Creator == e.Group.Creator)
}

// UpdateGroup changes a group's name, picture or creator; only its creator may.
func (s *Service) UpdateGroup(ctx context.Context, c Caller, t GroupTarget, u GroupUpdate) (Entry, error) {
	return s.changeGroup(ctx, c, t, u.made, func(g Group) (GroupChange, error) {
		ch := GroupChange{Kind: KindGroupUpdated, Name: g.Name, HeadImage: g.HeadImage, Creator: g.Creator}
		if c.User != g.Creator {
			return ch, Errorf(Denied, "only the group's creator, user %d, may change it", g.Creator)
		}
		if u.Name != nil {
			ch.Name = *u.Name
			if err := s.checkName(ch.Name); err != nil {
				return ch, err
			}
		}
		if u.HeadImage != nil {
			ch.HeadImage = *u.HeadImage
			if err := checkHeadImage(ch.HeadImage); err != nil {
				return ch, err
			}
		}
		if u.Creator != nil {
			ch.Creator = *u.Creator
			if !contains(g.Members, ch.Creator) {
				return ch, Errorf(NotFound, "user %d is not a member and cannot become the group's creator: add him first", ch.Creator)
			}
		}
		return ch, nil
	})
}

// DeleteGroup dissolves the group if the caller created it; any other member leaves it.
func (s *Service) DeleteGroup(ctx context.Context, c Caller, t GroupTarget) (Entry, error) {
	same := func(e Entry) bool {
		return e.Kind == KindGroupDissolved || e.Kind == KindMembersGone && slices.Equal(e.Members, []UserID{c.User})
	}
	return s.changeGroup(ctx, c, t, same, func(g Group) (GroupChange, error) {
		if c.User == g.Creator {
			return GroupChange{Kind: KindGroupDissolved}, nil
		}
		return GroupChange{Kind: KindMembersGone, Remove: []UserID{c.User}}, nil
	})
}

// GroupTarget names the group that a change is for, and the change.
type GroupTarget struct {
	ID    string
	MsgID string // "" or the caller's own name for this change: repeated, it gets the first answer
}

// changeGroup makes the change that decide derives from the group as it is, again if the group changed
// meanwhile, and gives its entry. A change that changes nothing is a success without an entry: its Seq is 0. same
// reports whether an entry is what this change leaves.
func (s *Service) changeGroup(ctx context.Context, c Caller, t GroupTarget, same func(Entry) bool, decide func(Group) (GroupChange, error)) (Entry, error) {
	if err := cmp.Or(c.verify(), checkMsgID(t.MsgID)); err != nil {
		return Entry{}, err
	}
	for range changeTries {
		// Looked for each time: what made the group change meanwhile may have been this very change.
		if e, err := s.changedBefore(ctx, c, t, same); err != nil || e.Seq != 0 {
			return e, err
		}
		g, err := s.memberGroup(ctx, c.User, t.ID)
		if err != nil {
			return Entry{}, err
		}
		ch, err := decide(g)
		if err != nil {
			return Entry{}, err
		}
		if idle(g, ch) {
			return Entry{Message: Message{Conv: g.ID.Conv(), From: c.User, MsgID: t.MsgID}, Kind: ch.Kind, Group: &g}, nil
		}
		if ch.Kind != KindGroupUpdated {
			ch.Name, ch.HeadImage, ch.Creator = g.Name, g.HeadImage, g.Creator
		}
		ch.ID, ch.Revision, ch.By, ch.MsgID = g.ID, g.Revision, c.User, t.MsgID
		if e, err := s.commitGroup(ctx, c, g, ch); !errors.Is(err, ErrConflict) {
			return e, err
		}
	}
	return Entry{}, Errorf(Busy, "the group is being changed by many at once: send it again later")
}

// changedBefore finds the entry that the caller's change with this msgId has made already.
func (s *Service) changedBefore(ctx context.Context, c Caller, t GroupTarget, same func(Entry) bool) (Entry, error) {
	id, ok := ParseGroupID(t.ID)
	if t.MsgID == "" || !ok {
		return Entry{}, nil
	}
	found, err := s.store.Find(ctx, id.Conv(), t.MsgID)
	if err != nil {
		return Entry{}, err
	}
	for _, e := range found {
		if e.From != c.User {
			continue
		}
		if !same(e) {
			return Entry{}, Errorf(Conflict, "msgId %q is taken by something else that you did in this group: use a new msgId", t.MsgID)
		}
		return e, nil
	}
	return Entry{}, nil
}

// idle reports whether ch leaves g as it is.
func idle(g Group, ch GroupChange) bool {
	switch ch.Kind {
	case KindMembersAdded:
		return len(ch.Add) == 0
	case KindMembersGone:
		return len(ch.Remove) == 0
	case KindGroupUpdated:
		return ch.Name == g.Name && ch.HeadImage == g.HeadImage && ch.Creator == g.Creator
	}
	return false
}

// commitGroup stores a change of the group that was before and tells everybody it concerns, those who are
// no longer members included. It gives the change's entry.
func (s *Service) commitGroup(ctx context.Context, c Caller, before Group, ch GroupChange) (Entry, error) {
	if err := s.pace.begin(c.User); err != nil {
		return Entry{}, err
	}
	if err := s.pace.add(c.User, ch.Add); err != nil {
		s.pace.end(c.User)
		return Entry{}, err
	}
	ch.UserLimit = s.limits.Groups
	type outcome struct {
		entry Entry
		err   error
	}
	answer := make(chan outcome, 1)
	s.store.ChangeGroup(ch, func(done GroupChanged, err error) {
		s.pace.end(c.User)
		if err != nil {
			s.pace.takeBack(c.User, ch.Add)
		} else {
			everyone := union(before.Members, done.Group.Members)
			s.router.Stored(Target{Users: everyone, Except: c.Session}, &done.Entry, StateStored)
		}
		answer <- outcome{done.Entry, err}
	})
	select {
	case o := <-answer:
		if errors.Is(o.err, ErrTooLarge) {
			return Entry{}, Errorf(TooLarge, "a user would be in more than %d groups: %v", s.limits.Groups, o.err)
		}
		return o.entry, o.err
	case <-ctx.Done():
		return Entry{}, ErrUnknownOutcome
	}
}

// memberGroup reads a group for one of its members.
func (s *Service) memberGroup(ctx context.Context, u UserID, id string) (Group, error) {
	if id == "" {
		return Group{}, Errorf(Invalid, "groupId is missing")
	}
	gid, ok := ParseGroupID(id)
	if !ok {
		return Group{}, noGroup(id)
	}
	g, err := s.store.Group(ctx, gid)
	if errors.Is(err, ErrNotFound) {
		return g, noGroup(id)
	}
	if err != nil {
		return g, err
	}
	if !contains(g.Members, u) {
		return Group{}, Errorf(Denied, "you are not a member of group %s", id)
	}
	return g, nil
}

func (s *Service) checkName(name string) error {
	if name == "" {
		return Errorf(Invalid, "groupName is missing")
	}
	if len(name) > s.limits.Name {
		return Errorf(TooLarge, "groupName has %d bytes, the limit is %d", len(name), s.limits.Name)
	}
	return nil
}

func checkHeadImage(url string) error {
	if len(url) > MaxHeadImage {
		return Errorf(TooLarge, "groupHeadImage has %d bytes, the limit is %d", len(url), MaxHeadImage)
	}
	return nil
}

func checkMsgID(id string) error {
	if len(id) > MaxMsgID {
		return Errorf(TooLarge, "msgId has %d bytes, the limit is %d", len(id), MaxMsgID)
	}
	return nil
}

func (s *Service) checkSize(members int) error {
	if members > s.limits.Members {
		return Errorf(TooLarge, "the group would have %d members, the limit is %d", members, s.limits.Members)
	}
	return nil
}

// union is the sorted set of both.
func union(a, b []UserID) []UserID {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// minus is what sorted a has and sorted b has not.
func minus(a, b []UserID) []UserID {
	rest := make([]UserID, 0, len(a))
	for _, u := range a {
		if !contains(b, u) {
			rest = append(rest, u)
		}
	}
	return rest
}

func contains(sorted []UserID, u UserID) bool {
	_, found := slices.BinarySearch(sorted, u)
	return found
}
