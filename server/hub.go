package server

import (
	"slices"
	"sync"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// hub knows which sessions each user has on this node. It is the single node's service.Router.
type hub struct {
	stats  *Stats
	shards [64]shard
}

type shard struct {
	mu       sync.RWMutex
	sessions map[service.UserID][]*session // guarded by mu: oldest first, slices are never changed in place
}

func newHub(stats *Stats) *hub {
	h := &hub{stats: stats}
	for i := range h.shards {
		h.shards[i].sessions = map[service.UserID][]*session{}
	}
	return h
}

func (h *hub) shard(u service.UserID) *shard { return &h.shards[(u*0x9e3779b97f4a7c15)>>58] }

// add makes s one of its user's sessions. It gives those that have to go: the one with the same device,
// or the oldest beyond limit.
func (h *hub) add(s *session, limit int) (replaced []*session) {
	sh := h.shard(s.user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	kept := make([]*session, 0, 1)
	for _, old := range sh.sessions[s.user] {
		if s.device != "" && old.device == s.device {
			replaced = append(replaced, old)
		} else {
			kept = append(kept, old)
		}
	}
	if over := len(kept) + 1 - limit; over > 0 {
		replaced = append(replaced, kept[:over]...)
		kept = slices.Clone(kept[over:])
	}
	sh.sessions[s.user] = append(kept, s)
	return replaced
}

// remove forgets s; it does nothing if s was replaced before.
func (h *hub) remove(s *session) {
	sh := h.shard(s.user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.sessions[s.user]
	i := slices.Index(old, s)
	switch {
	case i < 0:
	case len(old) == 1:
		delete(sh.sessions, s.user)
	default:
		sh.sessions[s.user] = slices.Concat(old[:i], old[i+1:])
	}
}

func (h *hub) of(u service.UserID) []*session {
	sh := h.shard(u)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[u]
}

// Stored pushes a committed entry to everybody of to who is online.
func (h *hub) Stored(to service.Target, e *service.Entry, state service.State) {
	h.push(to, func(f codec.Format) ([]byte, error) { return appendEntryPush(nil, f, e, state) })
}

// Signal pushes something that is not stored.
func (h *hub) Signal(to service.Target, sig service.Signal) {
	h.push(to, func(f codec.Format) ([]byte, error) { return appendSignal(nil, f, sig) })
}

// push encodes at most once for each format, and hands the same bytes to every session.
func (h *hub) push(to service.Target, encode func(codec.Format) ([]byte, error)) {
	var frames [codec.MsgPack + 1][]byte
	delivered := int64(0)
	for _, u := range to.Users {
		for _, s := range h.of(u) {
			if s.id == to.Except {
				continue
			}
			if frames[s.format] == nil {
				frame, err := encode(s.format)
				if err != nil {
					h.stats.EncodeErrors.Add(1)
					return
				}
				frames[s.format] = frame
			}
			if s.push(frames[s.format]) {
				delivered++
			}
		}
	}
	h.stats.Pushes.Add(delivered)
}

// each calls f for every bound session.
func (h *hub) each(f func(*session)) {
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.RLock()
		var all []*session
		for _, of := range sh.sessions {
			all = append(all, of...)
		}
		sh.mu.RUnlock()
		for _, s := range all {
			f(s)
		}
	}
}
