package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/msgserver/msgserver/service"
)

// Cursor says that the application is done with a conversation up to Seq.
type Cursor struct {
	Conversation
	Seq  uint64
	Left bool // it was a group, and Seq is the entry that removed the user from it

	// Epoch is that of the server's data when Seq was given out, "" if it was not known. In another one, after a restore
	// from a backup, Marks tell how much of what the application has the server still has: everything with the
	// date of the newest mark or an older one, but for entries that differ from their mark. Without marks it is
	// what the server knows to be delivered.
	Epoch string
	Marks []Mark
}

// CursorStore remembers how far the application has come, beyond the life of the process. A Client uses it
// from one goroutine at a time. An application that keeps its messages in a database of its own may take the
// cursors from there and do nothing in Save: then what is there is exactly once. It sets
// ClientOptions.PartialCursors, unless there is a cursor for every conversation. For a restore of the server it keeps
// what Save gives as Epoch, and the Mark of the last entry of each conversation.
type CursorStore interface {
	// Load gives what was saved last for a user; found is false if nothing ever was.
	Load(user service.UserID) (cursors []Cursor, found bool, err error)
	// Save replaces all of it.
	Save(user service.UserID, cursors []Cursor) error
}

// memoryCursors is a CursorStore that lives as long as its process.
type memoryCursors struct {
	mu    sync.Mutex
	saved map[service.UserID][]Cursor // guarded by mu
}

// MemoryCursors makes a CursorStore that forgets when the process ends. A later Client may be given the same one.
func MemoryCursors() CursorStore { return &memoryCursors{saved: map[service.UserID][]Cursor{}} }

// Load is CursorStore's.
func (m *memoryCursors) Load(user service.UserID) ([]Cursor, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cursors, found := m.saved[user]
	return cursors, found, nil
}

// Save is CursorStore's.
func (m *memoryCursors) Save(user service.UserID, cursors []Cursor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved[user] = cursors
	return nil
}

// fileCursors is a CursorStore in a file for one user.
type fileCursors struct{ path string }

// FileCursors makes a CursorStore in a file, for one user and one process at a time. A crash at any moment
// leaves the old content or the new one: it is written to a temporary file beside it, synced and renamed.
func FileCursors(path string) CursorStore { return fileCursors{path} }

// cursorFile is what the file holds, as JSON.
type cursorFile struct {
	Version int            `json:"version"` // 1
	User    service.UserID `json:"userId"`
	Epoch   string         `json:"epoch,omitempty"` // of the cursors that say nothing else
	Cursors []cursorLine   `json:"cursors"`
}

type cursorLine struct {
	SessionID string         `json:"sessionId,omitempty"`
	PeerID    service.UserID `json:"peerId"`
	Seq       uint64         `json:"seq"`
	Left      bool           `json:"left,omitempty"`
	Epoch     *string        `json:"epoch,omitempty"`
	Marks     [][3]int64     `json:"marks,omitempty"` // seq, date, sum
}

func (l *cursorLine) cursor(epoch string) Cursor {
	c := Cursor{Conversation: Conversation{Group: l.SessionID, Peer: l.PeerID}, Seq: l.Seq, Left: l.Left, Epoch: epoch}
	if l.Epoch != nil {
		c.Epoch = *l.Epoch
	}
	for _, m := range l.Marks {
		c.Marks = append(c.Marks, Mark{Seq: uint64(m[0]), Date: m[1], Sum: uint32(m[2])})
	}
	return c
}

func newCursorLine(c *Cursor, epoch string) cursorLine {
	l := cursorLine{SessionID: c.Group, PeerID: c.Peer, Seq: c.Seq, Left: c.Left}
	if c.Epoch != epoch {
		l.Epoch = &c.Epoch
	}
	for _, m := range c.Marks {
		l.Marks = append(l.Marks, [3]int64{int64(m.Seq), m.Date, int64(m.Sum)})
	}
	return l
}

// Load is CursorStore's.
func (f fileCursors) Load(user service.UserID) ([]Cursor, bool, error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the cursors: %w", err)
	}
	var file cursorFile
	switch err := json.Unmarshal(b, &file); {
	case err != nil:
		return nil, false, fmt.Errorf("%s is not a file of cursors: remove it to begin anew: %w", f.path, err)
	case file.Version != 1:
		return nil, false, fmt.Errorf("%s has version %d, this program knows version 1", f.path, file.Version)
	case file.User != user:
		return nil, false, fmt.Errorf("%s has the cursors of user %d, not of user %d: use another file", f.path, file.User, user)
	}
	cursors := make([]Cursor, len(file.Cursors))
	for i := range file.Cursors {
		cursors[i] = file.Cursors[i].cursor(file.Epoch)
	}
	return cursors, true, nil
}

// Save is CursorStore's.
func (f fileCursors) Save(user service.UserID, cursors []Cursor) error {
	file := cursorFile{Version: 1, User: user, Cursors: make([]cursorLine, len(cursors))}
	if len(cursors) > 0 {
		file.Epoch = cursors[0].Epoch
	}
	for i := range cursors {
		file.Cursors[i] = newCursorLine(&cursors[i], file.Epoch)
	}
	b, err := json.Marshal(file)
	if err == nil {
		err = replaceFile(f.path, b)
	}
	if err != nil {
		return fmt.Errorf("save the cursors: %w", err)
	}
	return nil
}

// replaceFile writes a file so that after a crash it has its old content or its new one.
func replaceFile(path string, content []byte) error {
	tmp := path + ".tmp" // one left by a crash is overwritten
	if err := writeSynced(tmp, content); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
