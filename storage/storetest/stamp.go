package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// testStamps compares stamps with the entries that they are of, for every way to ask.
func (s Subject) testStamps(t *testing.T) {
	h := s.open(t)
	g := h.newGroup(1, 1, 2, 3)
	for i := range 40 {
		h.mustSend(groupText(g.ID, service.UserID(1+i%2), fmt.Sprint("m", i)))
	}
	changed := g
	for i := range 5 {
		ch := from(changed, service.KindGroupUpdated)
		ch.MsgID = fmt.Sprint("c", i)
		ch.Name = fmt.Sprint("name ", i)
		changed = h.mustChange(ch).Group
	}
	own := texts(1, 2, 0, 1500) // longer than what is looked at together
	own[700] = text(2, 1, "theirs")
	h.mustSend(own...)
	h.reopened(func(t *testing.T) {
		for _, c := range []service.ConvID{g.ID.Conv(), service.Pair(1, 2), service.Pair(8, 9)} {
			all := h.read(c)
			for _, q := range stampQueries(service.Seq(len(all))) {
				got, err := h.Stamps(context.Background(), c, q)
				wantError(t, "stamps", err, nil)
				wantStamps(t, fmt.Sprintf("%+v", q), all, q, got)
			}
		}
	})
}

func stampQueries(last service.Seq) (qs []service.StampQuery) {
	for _, dir := range []service.Direction{service.Forward, service.Backward} {
		for _, from := range []service.Seq{0, 1, 20, 650, last, last + 1, service.MaxSeq} {
			for _, limit := range []int{1, 30, 2000} {
				for _, window := range []int{0, 7, 1100} {
					q := service.StampQuery{From: from, Limit: limit, Window: window, Dir: dir}
					qs = append(qs, q)
					q.Messages = true
					qs = append(qs, q)
					q.Others, q.User = true, 1
					qs = append(qs, q)
				}
			}
		}
	}
	return qs
}

// wantStamps derives from all entries what a query has to give.
func wantStamps(t *testing.T, what string, all []service.Entry, q service.StampQuery, got []service.Stamp) {
	t.Helper()
	page := slices.DeleteFunc(slices.Clone(all), func(e service.Entry) bool {
		return q.Dir == service.Forward && e.Seq < q.From || q.Dir == service.Backward && e.Seq > q.From
	})
	if q.Dir == service.Backward {
		slices.Reverse(page)
	}
	if q.Window > 0 {
		page = page[:min(len(page), q.Window)]
	}
	page = slices.DeleteFunc(page, func(e service.Entry) bool {
		return q.Messages && e.Kind.Notice() || q.Others && e.From == q.User
	})
	page = page[:min(len(page), q.Limit)]
	if len(page) != len(got) {
		t.Errorf("%s: %d stamps, want %d", what, len(got), len(page))
		return
	}
	for i, e := range page {
		want := service.Stamp{Seq: e.Seq, From: e.From, Kind: e.Kind, Date: e.ServerDate, MsgID: e.MsgID, Size: got[i].Size}
		if got[i] != want || got[i].Size < e.Size() {
			t.Errorf("%s: stamp %+v of an entry of size %d, want %+v", what, got[i], e.Size(), want)
			return
		}
	}
}
