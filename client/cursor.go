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
}

// CursorStore remembers how far the application has come, beyond the life of the process. A Client uses it
// from one goroutine at a time. An application that keeps its messages in a database of its own may take the
// cursors from there and do nothing in Save: then what is there is exactly once.
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
	Cursors []cursorLine   `json:"cursors"`
}

type cursorLine struct {
	SessionID string         `json:"sessionId,omitempty"`
	PeerID    service.UserID `json:"peerId"`
	Seq       uint64         `json:"seq"`
	Left      bool           `json:"left,omitempty"`
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
	for i, c := range file.Cursors {
		cursors[i] = Cursor{Conversation: Conversation{Group: c.SessionID, Peer: c.PeerID}, Seq: c.Seq, Left: c.Left}
	}
	return cursors, true, nil
}

// Save is CursorStore's.
func (f fileCursors) Save(user service.UserID, cursors []Cursor) error {
	file := cursorFile{Version: 1, User: user, Cursors: make([]cursorLine, len(cursors))}
	for i, c := range cursors {
		file.Cursors[i] = cursorLine{SessionID: c.Group, PeerID: c.Peer, Seq: c.Seq, Left: c.Left}
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
