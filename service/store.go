package service

import (
	"context"
	"errors"
)

// What a Store answers when it does not do what it was asked. Anything else is an internal failure.
var (
	// ErrBusy: a queue is full; the same operation may be submitted again later.
	ErrBusy = errors.New("store is busy")
	// ErrUnavailable: the store is closing or read-only (a full disk); reads may still work.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrConflict: the msgId is taken by other content, or the group's revision has moved.
	ErrConflict = errors.New("conflict")
	// ErrNotFound: no such group, or it is dissolved; no such message.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the sender is not a member of the group.
	ErrDenied = errors.New("not a member")
	// ErrTooLarge: a user would be in more groups than GroupChange.UserLimit.
	ErrTooLarge = errors.New("over a limit")
	// ErrUnknownOutcome: the write may or may not be on the disk; the same operation may be submitted
	// again, deduplication settles it.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrDamaged: what is stored is not what was written. It is never skipped silently.
	ErrDamaged = errors.New("damaged")
)

// Direction is the way a page is read.
type Direction int8

// The two directions of a page; entries come in ascending order whichever it was.
const (
	Forward  Direction = 1  // from, from+1, …
	Backward Direction = -1 // …, from-1, from
)

// Append is one message on its way into the store.
type Append struct {
	Message
	Done func(Appended, error)
}

// Mark is one receipt on its way into the store: user has confirmed everything up to Seq.
type Mark struct {
	User  UserID
	Conv  ConvID
	State State // StateDelivered or StateRead; read is delivered too
	Seq   Seq
	Holds int // bytes that Done keeps in memory, for the store's bound on what it has not answered
	Done  func(Marked, error)
}

// Marked is the answer to a receipt that is on the disk.
type Marked struct {
	Before, After Marks // equal if it moved nothing
}

// Stamp is what is known of an entry without its content.
type Stamp struct {
	Seq   Seq
	From  UserID
	Kind  EntryKind
	Date  int64 // ServerDate
	MsgID string
	Size  int // about what Entry.Size gives, and not less
}

// StampQuery asks for the stamps of a conversation's entries.
type StampQuery struct {
	From     Seq
	Limit    int // stamps
	Window   int // entries that are looked at; 0: as many as it takes
	Dir      Direction
	Messages bool // leave out notices
	Others   bool // leave out what User wrote or did
	User     UserID
}

// Cursor says where the next page of a list begins. It is opaque; "" is the beginning.
type Cursor string

// Store keeps conversations, groups and marks.
//
// Append, Mark and ChangeGroup never block: they queue and return, and Done runs exactly once, after the
// data is synced to disk or the operation was refused, never on the caller's goroutine and never on one that
// the disk waits for, in order of submission for one conversation. A Done must not block. They keep no
// reference to the slices handed to them but keep the strings, which must therefore be copies that outlive
// the call. A refusal concerns its operation alone.
//
// Reads see everything whose Done has run. They may touch the disk, so they are for workers, not for loops.
type Store interface {
	// Append stores messages, each exactly once in effect: (From, MsgID) in one conversation, at any distance
	// in time within at least the conversation's last 1,024 entries, and behind any number of entries within at
	// least 10 minutes, while the store has space to remember them. A message to a group is refused with
	// ErrNotFound or ErrDenied by the members at that moment.
	Append(batch []Append)
	// Mark moves receipts forward. Seqs past the conversation's end count as its end.
	Mark(batch []Mark)
	// ChangeGroup applies a change and adds its notice, or answers ErrConflict, ErrNotFound or ErrTooLarge. It is
	// ErrBusy while changes of many members wait, which cost more than messages.
	ChangeGroup(ch GroupChange, done func(GroupChanged, error))

	// Read gives up to limit entries from seq on, ascending, without holes, stopping early when their
	// Sizes reach maxBytes (but never before the first). Forward from below First begins at First.
	Read(ctx context.Context, c ConvID, from Seq, limit, maxBytes int, dir Direction) ([]Entry, error)
	// Stamps gives the stamps of entries from seq on in the order of the direction, without reading contents.
	// Forward from below First begins at First.
	Stamps(ctx context.Context, c ConvID, q StampQuery) ([]Stamp, error)
	// Find gives the entries of c that have this msgId, messages or notices, at most one for each sender, newest first,
	// looking back over at least the last 1,024 entries. It need not reach as far back as Append does, which knows
	// whom to look for. None is an empty result, not an error.
	Find(ctx context.Context, c ConvID, msgID string) ([]Entry, error)
	// Heads gives the head of each conversation, in the order asked. A last entry that is damaged has date 0.
	Heads(ctx context.Context, cs []ConvID) ([]Head, error)
	// Unread counts, up to limit, the messages (not the notices) of users other than u after seq, within spans.
	Unread(ctx context.Context, u UserID, c ConvID, after Seq, spans []Span, limit int) (int, error)
	// Marks gives u's marks in each conversation, in the order asked.
	Marks(ctx context.Context, u UserID, cs []ConvID) ([]Marks, error)
	// MemberMarks gives the marks of several users in one conversation, in the order asked.
	MemberMarks(ctx context.Context, c ConvID, us []UserID) ([]Marks, error)
	// Group gives a group as it is, or ErrNotFound; a dissolved group is not found.
	Group(ctx context.Context, g GroupID) (Group, error)
	// Conversation gives one conversation from u's side; without any span if u never was in it. Of someone who
	// joined a group more than 16 times the oldest spans may be forgotten: he sees less, never more.
	Conversation(ctx context.Context, u UserID, c ConvID) (ConvRef, error)
	// Conversations lists u's conversations, former groups included, in the order of their ids.
	Conversations(ctx context.Context, u UserID, after Cursor, limit int) ([]ConvRef, Cursor, error)
	// Close lets what is queued be committed, then releases the files. Operations after it get ErrUnavailable.
	Close() error
}
