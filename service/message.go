package service

import "errors"

// NewMessage is a message as its sender wrote it. The strings must outlive the call.
type NewMessage struct {
	Group       string // empty: personal, to the user To
	To          UserID
	HasTo       bool
	MsgID       string // empty: the server fills it, and the message is not deduplicated
	ContentType int64
	SendDate    string // a JSON scalar, "" if there was none
	Content     string
}

// Settler hears that a message it has sent is over: answered, and pushed to everybody it concerns.
type Settler interface{ Settle() }

// Message stores a message and pushes it to everybody it concerns. It returns an error if the message is
// refused at once; otherwise done runs exactly once, when the message is on the disk or was refused after all,
// and sender is told when all is done.
func (s *Service) Message(t *Turn, c Caller, n NewMessage, sender Settler, done func(Appended, error)) error {
	m, err := s.message(c, n)
	if err != nil {
		return err
	}
	t.appends = append(t.appends, Append{Message: m, Done: func(a Appended, err error) {
		defer sender.Settle()
		if err != nil {
			done(a, messageError(err, n))
			return
		}
		done(a, nil)
		if !a.Duplicate {
			s.router.Stored(Target{Users: audience(&a), Except: c.Session}, &a.Entry, StateStored)
		}
	}})
	return nil
}

func (s *Service) message(c Caller, n NewMessage) (Message, error) {
	if err := c.verify(); err != nil {
		return Message{}, err
	}
	m := Message{From: c.User, MsgID: n.MsgID, ContentType: n.ContentType, SendDate: n.SendDate, Content: n.Content}
	switch {
	case len(n.Content) > s.limits.Content:
		return m, Errorf(TooLarge, "contentStr has %d bytes, the limit is %d", len(n.Content), s.limits.Content)
	case len(n.MsgID) > MaxMsgID:
		return m, Errorf(TooLarge, "msgId has %d bytes, the limit is %d", len(n.MsgID), MaxMsgID)
	case n.Group != "":
		g, ok := ParseGroupID(n.Group)
		if !ok {
			return m, noGroup(n.Group)
		}
		m.Conv = g.Conv()
	case !n.HasTo:
		return m, Errorf(Invalid, "toUserId is missing: give it, or the sessionId of a group")
	default:
		m.To, m.Conv = n.To, Pair(c.User, n.To)
	}
	if m.MsgID == "" {
		m.MsgID = NewGroupID(s.clock()).String() // a UUIDv7: nobody else has it
	}
	return m, nil
}

// audience is everyone in the conversation of a message, its sender included for the sake of his other sessions.
func audience(a *Appended) []UserID {
	if _, group := a.Entry.Conv.Group(); group {
		return a.Members
	}
	if a.Entry.From == a.Entry.To {
		return []UserID{a.Entry.From}
	}
	return []UserID{a.Entry.To, a.Entry.From}
}

// messageError says what the store's refusal means for a message.
func messageError(err error, n NewMessage) error {
	switch {
	case errors.Is(err, ErrConflict):
		return Errorf(Conflict, "msgId %q is taken by a message with other content: use a new msgId", n.MsgID)
	case errors.Is(err, ErrNotFound):
		return noGroup(n.Group)
	case errors.Is(err, ErrDenied):
		return Errorf(Denied, "you are not a member of group %s", n.Group)
	}
	return err
}

func noGroup(id string) error {
	return Errorf(NotFound, "there is no group %.64q", id)
}
