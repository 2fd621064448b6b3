package service

// EntryKind says what an entry of a conversation's timeline is. The values are stored: append only.
type EntryKind uint8

// The kinds of entry: a message, or the notice that a change of the group left in its timeline.
const (
	KindMessage        EntryKind = 1
	KindGroupCreated   EntryKind = 2
	KindGroupUpdated   EntryKind = 3
	KindMembersAdded   EntryKind = 4
	KindMembersGone    EntryKind = 5
	KindGroupDissolved EntryKind = 6
)

// Notice reports whether the entry is a notice about the group rather than something that someone wrote.
func (k EntryKind) Notice() bool { return k != KindMessage }

// State is how far a message has come. The values are the wire's.
type State uint8

// The states of a message; each includes the ones before it.
const (
	StateStored    State = 1
	StateDelivered State = 2
	StateRead      State = 3
)

// Message is what a user asks to have stored.
type Message struct {
	Conv        ConvID
	From        UserID
	To          UserID // the receiver of a personal message; 0 in a group
	MsgID       string // at most 128 bytes, unique for its sender and conversation
	ContentType int64
	SendDate    string // the client's, a JSON scalar as it came (at most 128 bytes); "" if there was none
	Content     string // valid UTF-8
}

// Entry is one element of a conversation's timeline, as it was committed. It is immutable and may be shared.
type Entry struct {
	Message
	Seq        Seq
	Kind       EntryKind
	ServerDate int64    // Unix milliseconds at which the server took it
	Group      *Group   // KindGroupCreated, KindGroupUpdated: the group as it was after the change
	Members    []UserID // KindMembersAdded, KindMembersGone: who; From says who did it
}

// userBytes is about what a user's id takes on the wire.
const userBytes = 17

// Size is about how many bytes the entry takes on the wire beyond a few hundred.
func (e *Entry) Size() int {
	size := len(e.Content) + userBytes*len(e.Members)
	if e.Group != nil {
		size += userBytes * len(e.Group.Members)
	}
	return size
}

// Appended is the answer to a message that is on the disk.
type Appended struct {
	Entry     Entry
	Duplicate bool     // it was there already: Entry is the first one, and nobody is to be told again
	State     State    // StateStored, or for a personal duplicate what its receiver has confirmed since
	Members   []UserID // of the group at that moment, sorted, shared, not to be changed; nil for a pair
}

// Group is a group at one revision. It is immutable and may be shared.
type Group struct {
	ID         GroupID
	Name       string
	HeadImage  string
	Creator    UserID
	Members    []UserID // sorted, without doubles, the creator included
	CreateDate int64    // Unix milliseconds
	UpdateDate int64    // Unix milliseconds
	Revision   uint64   // rises with every change; 0 is no group
}

// GroupChange is one change of a group, made from the revision the caller has seen. It is plain data: the
// rules are the caller's, the store applies all of it or nothing.
type GroupChange struct {
	ID        GroupID
	Revision  uint64 // the revision this was made from; 0 creates the group
	Kind      EntryKind
	By        UserID
	MsgID     string // of the change, kept in its notice, where Find finds it; "" if it has none
	Name      string // Name, HeadImage and Creator as they shall be after the change
	HeadImage string
	Creator   UserID
	Add       []UserID // sorted, none of them a member yet
	Remove    []UserID // sorted, all of them members; KindGroupDissolved removes everyone whatever is here
	UserLimit int      // ErrTooLarge if someone added would then be in more groups than this; 0: no limit
}

// GroupChanged is the answer to a change that is on the disk.
type GroupChanged struct {
	Group Group // after the change; of a dissolved group, what it was, with no members
	Entry Entry // the notice in the group's timeline
}

// Span is a range of a conversation that a user may see, both ends included; To is MaxSeq while it lasts.
type Span struct{ From, To Seq }

// MaxSeq is behind every entry.
const MaxSeq = ^Seq(0)

// ConvRef is a conversation from one user's side.
type ConvRef struct {
	Conv  ConvID
	Spans []Span // ascending, not overlapping; a personal conversation has the one span 1..MaxSeq
}

// Present reports whether the user is in the conversation now.
func (r ConvRef) Present() bool {
	return len(r.Spans) > 0 && r.Spans[len(r.Spans)-1].To == MaxSeq
}

// Head is where a conversation ends, and where what is kept of it begins.
type Head struct {
	First Seq   // the oldest entry that still exists; Last+1 if none does
	Last  Seq   // the newest; 0 for a conversation without entries
	Date  int64 // ServerDate of the newest, Unix milliseconds
}

// Marks is how far one user has confirmed one conversation. Read never passes Delivered.
type Marks struct{ Delivered, Read Seq }
