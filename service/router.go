package service

// Target says whom a push is for.
type Target struct {
	Users  []UserID  // every session of each; not to be changed by the receiver of the Target
	Except SessionID // but not this one: it asked, and is answered
}

// Router reaches users who are online, on this node or elsewhere. Its methods never block.
type Router interface {
	// Stored pushes an entry that was committed. state is what the push says of a personal message.
	Stored(to Target, e *Entry, state State)
	// Signal pushes something that is not stored, at most once.
	Signal(to Target, s Signal)
}

// Signal is a push that nobody stores. It is one of the types below.
type Signal interface{ signal() }

// Receipt tells a message's sender how far it has come.
type Receipt struct {
	MsgID string
	State State
	Seq   Seq
	User  UserID // who confirmed
	Conv  ConvID
}

func (Receipt) signal() {}
