package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// testRead reads pages of every place and size of a conversation that is long enough to be kept in several
// places at once.
func (s Subject) testRead(t *testing.T) {
	h := s.open(t)
	c := service.Pair(1, 2)
	var all []service.Entry
	h.wantPages(t, c, nil)
	for round, n := range []int{1, 2, 30, 500, 1, 700} {
		other := texts(1, 3, round*1000, n/2) // so that neighbours are not neighbours everywhere
		h.mustSend(other...)
		all = append(all, h.mustSend(texts(1, 2, round*1000, n)...)...)
		h.run(fmt.Sprint(len(all), " entries"), func(t *testing.T) { h.wantPages(t, c, all) })
	}
	h.reopen()
	h.wantPages(t, c, all)
	t.Run("max bytes", s.testMaxBytes)
}

// wantPages reads many pages and compares them with the whole.
func (h *handle) wantPages(t *testing.T, c service.ConvID, all []service.Entry) {
	t.Helper()
	last := service.Seq(len(all))
	dense(t, all, 1)
	page := func(from service.Seq, limit int, dir service.Direction) {
		t.Helper()
		var want []service.Entry
		if dir == service.Forward {
			if first := max(from, 1); first <= last {
				want = all[first-1 : min(int(first)-1+limit, len(all))]
			}
		} else if end := min(from, last); end > 0 {
			want = all[max(0, int(end)-limit):end]
		}
		got, err := h.Read(context.Background(), c, from, limit, 1<<30, dir)
		if err != nil {
			t.Fatalf("read %d from %d, direction %d: %v", limit, from, dir, err)
		}
		same(t, fmt.Sprintf("%d from %d, direction %d", limit, from, dir), want, got)
	}
	froms := []service.Seq{0, 1, 2, 31, 32, 33, 34, last / 2, last - min(last, 1), last, last + 1, last + 100, service.MaxSeq}
	for _, from := range slices.Compact(froms) {
		for _, limit := range []int{1, 2, 50, len(all) + 1} {
			page(from, limit, service.Forward)
			page(from, limit, service.Backward)
		}
	}
}

// testMaxBytes stops pages by the size of their contents, but never before the first entry.
func (s Subject) testMaxBytes(t *testing.T) {
	h := s.open(t)
	var ms []service.Message
	for i := range 20 {
		m := text(1, 2, fmt.Sprint("m", i))
		m.Content = strings.Repeat("x", 1000)
		ms = append(ms, m)
	}
	h.mustSend(ms...)
	h.reopened(func(t *testing.T) {
		for _, dir := range []service.Direction{service.Forward, service.Backward} {
			from := service.Seq(1)
			if dir == service.Backward {
				from = 20
			}
			for maxBytes, bounds := range map[int][2]int{0: {1, 1}, 1: {1, 1}, 999: {1, 2}, 5000: {4, 7}, 19_000: {18, 20}, 1 << 20: {20, 20}} {
				got, err := h.Read(context.Background(), service.Pair(1, 2), from, 50, maxBytes, dir)
				wantError(t, "read", err, nil)
				if len(got) < bounds[0] || len(got) > bounds[1] {
					t.Errorf("%d bytes in direction %d: %d entries of 1000 bytes", maxBytes, dir, len(got))
					continue
				}
				first := service.Seq(1)
				if dir == service.Backward {
					first = service.Seq(20 - len(got) + 1)
				}
				dense(t, got, first)
			}
		}
	})
}

// testFind looks messages up by their msgId.
func (s Subject) testFind(t *testing.T) {
	h := s.open(t)
	g := h.newGroup(1, 1, 2, 3)
	var entries []service.Entry
	for _, u := range []service.UserID{2, 1, 3} {
		entries = append(entries, h.mustSend(groupText(g.ID, u, "same"))...)
	}
	old := h.mustSend(groupText(g.ID, 1, "old"))
	for i := range 1023 {
		entries = append(entries, h.mustSend(groupText(g.ID, service.UserID(1+i%3), fmt.Sprint("m", i)))...)
		if i == 500 {
			h.reopen()
		}
	}
	personal := h.mustSend(text(1, 2, "old"))
	_ = h.send(text(1, 2, "old")) // a repetition is not found twice
	h.reopened(func(t *testing.T) {
		for _, c := range []struct {
			name string
			conv service.ConvID
			id   string
			want []service.Entry
		}{
			{"oldest that must be known", g.ID.Conv(), "old", old},
			{"one of many", g.ID.Conv(), "m700", entries[703:704]},
			{"newest", g.ID.Conv(), "m1022", entries[len(entries)-1:]},
			{"in another conversation", service.Pair(1, 2), "old", personal},
			{"nowhere", g.ID.Conv(), "nothing", nil},
			{"other case", g.ID.Conv(), "M1", nil},
			{"no conversation", service.Pair(8, 9), "old", nil},
		} {
			got, err := h.Find(context.Background(), c.conv, c.id)
			wantError(t, c.name, err, nil)
			same(t, c.name, c.want, got)
		}
	})
	t.Run("several senders", func(t *testing.T) {
		h := s.open(t)
		g := h.newGroup(1, 1, 2, 3)
		var want []service.Entry
		for _, u := range []service.UserID{2, 1, 3} {
			want = slices.Concat(h.mustSend(groupText(g.ID, u, "same")), want)
		}
		h.reopened(func(t *testing.T) {
			got, err := h.Find(context.Background(), g.ID.Conv(), "same")
			wantError(t, "find", err, nil)
			same(t, "found, newest first", want, got)
		})
	})
}

// testUnread counts the messages of others.
func (s Subject) testUnread(t *testing.T) {
	h := s.open(t)
	g := h.newGroup(1, 1, 2, 3) // entry 1
	c := g.ID.Conv()
	for i := range 30 { // entries 2 to 31, of users 1, 2, 3, 1, …
		h.mustSend(groupText(g.ID, service.UserID(1+i%3), fmt.Sprint("m", i)))
	}
	g = h.mustChange(adding(g, 4)).Group  // entry 32
	h.mustSend(groupText(g.ID, 4, "new")) // entry 33
	all := []service.Span{{From: 1, To: service.MaxSeq}}
	h.reopened(func(t *testing.T) {
		for _, tc := range []struct {
			name  string
			u     service.UserID
			conv  service.ConvID
			after service.Seq
			spans []service.Span
			limit int
			want  int
		}{
			{"everything", 1, c, 0, all, 100, 21},
			{"a stranger's view", 9, c, 0, all, 100, 31},
			{"after a seq", 1, c, 10, all, 100, 15},
			{"after a message of another", 1, c, 32, all, 100, 1},
			{"nothing after the end", 1, c, 33, all, 100, 0},
			{"past the end", 1, c, service.MaxSeq, all, 100, 0},
			{"limit", 1, c, 0, all, 5, 5},
			{"within a span", 1, c, 0, []service.Span{{From: 3, To: 8}}, 100, 4},
			{"within two spans", 1, c, 0, []service.Span{{From: 1, To: 4}, {From: 30, To: 33}}, 100, 5},
			{"spans cut by after", 1, c, 3, []service.Span{{From: 1, To: 4}, {From: 30, To: 33}}, 100, 4},
			{"no span", 1, c, 0, nil, 100, 0},
			{"a span of a notice alone", 1, c, 0, []service.Span{{From: 32, To: 32}}, 100, 0},
			{"no conversation", 1, service.Pair(1, 2), 0, all, 100, 0},
		} {
			got, err := h.Unread(context.Background(), tc.u, tc.conv, tc.after, tc.spans, tc.limit)
			wantError(t, tc.name, err, nil)
			if got != tc.want {
				t.Errorf("%s: %d unread, want %d", tc.name, got, tc.want)
			}
		}
	})
}
