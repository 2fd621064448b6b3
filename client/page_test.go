package client_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// after gives a page of a timeline in which item makes the entry at each seq.
func after(h codec.HistoryRequest, head uint64, item func(seq uint64) codec.TimelineItem) *codec.Timeline {
	page := &codec.Timeline{Messages: []codec.TimelineItem{}}
	last := min(uint64(h.AfterSeq.N+h.Limit.N), head)
	for seq := uint64(h.AfterSeq.N) + 1; seq <= last; seq++ {
		page.Messages = append(page.Messages, item(seq))
	}
	page.More = last < head
	return page
}

func saidItem(peer service.UserID, seq uint64) codec.TimelineItem {
	return codec.TimelineItem{LabelName: codec.Message, Content: said(peer, peer, seq).Content}
}

// TestUnknownLabelsInAPage: 400 entries of a kind of the future decoded as messages; without a seq where this version
// looks for it, pages of them were taken for the last, and what is behind them was skipped.
func TestUnknownLabelsInAPage(t *testing.T) {
	const unknown, head = 400, 450
	for _, tells := range []bool{true, false} {
		for _, format := range formats {
			t.Run(fmt.Sprintf("seq=%v/%s", tells, format), func(t *testing.T) {
				addr := scripted(t, func(p *peer) {
					p.bind()
					p.attend(func(r request) bool {
						switch r.label {
						case codec.QuerySessionList:
							p.answer(r, &codec.SessionList{Sessions: []codec.SessionBody{{PeerID: codec.SomeID(2), Seq: head}}})
						case codec.QueryHistory:
							var h codec.HistoryRequest
							decode(t, r, &h)
							p.answer(r, after(h, head, func(seq uint64) codec.TimelineItem {
								switch {
								case seq > unknown:
									return saidItem(2, seq)
								case tells:
									return codec.TimelineItem{LabelName: "recallMessageNoti", Content: doc{"fromUserId": 2, "toUserId": 1, "sessionId": "", "seq": seq}}
								}
								return codec.TimelineItem{LabelName: "recallMessageNoti", Content: doc{"of": seq}}
							}))
						default:
							return false
						}
						return true
					})
				})
				c := quick(t, addr, client.ClientOptions{Conn: client.Options{Format: format}, NoConfirm: true})
				next := uint64(1)
				if !tells {
					next = unknown + 1
				}
				for e, err := range c.Messages(within(t)) {
					if err != nil || e.Seq != next {
						t.Fatalf("got %+v %v, want seq %d", e, err, next)
					}
					if _, message := e.Message(); message != (e.Seq > unknown) || e.Peer != 2 {
						t.Fatalf("%s at %d with %T counts as a message: %v", e.Label, e.Seq, e.Content, message)
					}
					if next++; next > head {
						break
					}
				}
			})
		}
	}
}

// TestHistoryChecksProgress: a page that repeats itself was asked for 23,460 times a second.
func TestHistoryChecksProgress(t *testing.T) {
	for _, forward := range []bool{true, false} {
		t.Run(fmt.Sprintf("forward=%v", forward), func(t *testing.T) {
			var asked atomic.Int32
			addr := scripted(t, func(p *peer) {
				p.bind()
				p.attend(func(r request) bool {
					if r.label != codec.QueryHistory {
						return false
					}
					asked.Add(1)
					p.answer(r, &codec.Timeline{Messages: []codec.TimelineItem{saidItem(2, 5), saidItem(2, 6)}, More: true})
					return true
				})
			})
			c := quick(t, addr, client.ClientOptions{NoConfirm: true})
			var got []uint64
			var last error
			for e, err := range c.History(within(t), client.HistoryPage{Conversation: client.Conversation{Peer: 2}, HasAfter: forward}) {
				if last = err; err == nil {
					got = append(got, e.Seq)
				}
			}
			if n := asked.Load(); n != 2 || len(got) != 2 || last == nil || !strings.Contains(last.Error(), "nothing that was not there") {
				t.Errorf("asked %d times, got %v, then %v", n, got, last)
			}
		})
	}
}

// TestAPageThatRepeatsItself is not taken for the end of a conversation: what is behind it is fetched when the server
// has come to its senses, and not skipped.
func TestAPageThatRepeatsItself(t *testing.T) {
	var asked atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			switch r.label {
			case codec.QuerySessionList:
				p.answer(r, &codec.SessionList{Sessions: []codec.SessionBody{{PeerID: codec.SomeID(2), Seq: 4}}})
			case codec.QueryHistory:
				var h codec.HistoryRequest
				decode(t, r, &h)
				if h.AfterSeq.N = min(h.AfterSeq.N, 2); asked.Add(1) < 5 {
					h.AfterSeq.N, h.Limit.N = 0, 2
				}
				p.answer(r, after(h, 4, func(seq uint64) codec.TimelineItem { return saidItem(2, seq) }))
			default:
				return false
			}
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{NoConfirm: true})
	next := uint64(1)
	for e, err := range c.Messages(within(t)) {
		if err != nil || e.Seq != next {
			t.Fatalf("got %+v %v, want seq %d", e, err, next)
		}
		if next++; next > 4 {
			break
		}
	}
}

// TestDiscoverReadsAllPages: a group that came and went stands behind a page of other things that are not confirmed.
func TestDiscoverReadsAllPages(t *testing.T) {
	const head = 300
	group := &codec.MembersBody{GroupID: groupID, MemberIDs: codec.IDs{1}, UserID: 2, Seq: 3}
	var confirmed atomic.Int64
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			switch r.label {
			case codec.QuerySessionList:
				p.answer(r, &codec.SessionList{Sessions: []codec.SessionBody{{PeerID: codec.SomeID(2), Seq: head}}})
			case codec.QueryHistory:
				var h codec.HistoryRequest
				decode(t, r, &h)
				if h.SessionID != "" {
					p.answer(r, &codec.Timeline{Messages: []codec.TimelineItem{{LabelName: codec.GroupMembersDelNoti, Content: group}}})
					return true
				}
				p.answer(r, after(h, head, func(seq uint64) codec.TimelineItem { return saidItem(2, seq) }))
			case codec.QueryOfflineMessage:
				var o codec.OfflineRequest
				decode(t, r, &o)
				h := codec.HistoryRequest{AfterSeq: codec.SomeInteger(confirmed.Load()), Limit: o.Limit}
				p.answer(r, after(h, head+1, func(seq uint64) codec.TimelineItem {
					if seq > head {
						return codec.TimelineItem{LabelName: codec.GroupMembersDelNoti, Content: group}
					}
					return saidItem(2, seq)
				}))
			case codec.MessageStatus:
				var s codec.StatusRequest
				decode(t, r, &s)
				if s.SessionID == "" {
					confirmed.Store(int64(s.Seq))
				}
				p.answer(r, &codec.Empty{})
			default:
				return false
			}
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{Cursors: knownConversations(t)})
	for e, err := range c.Messages(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Group == groupID {
			break
		}
	}
}

// TestAConversationThatMovesBetweenTwoPages: of 210 conversations one that was to be on the second page of the list gets
// its fourth message when the first is read, and is on no page. The device, which knows none, got [4] of 1-4.
func TestAConversationThatMovesBetweenTwoPages(t *testing.T) {
	const peers, moved = 210, service.UserID(205)
	addr := scripted(t, func(p *peer) {
		p.bind()
		var pages int // owned by the script
		p.attend(func(r request) bool {
			switch r.label {
			case codec.QuerySessionList:
				var s codec.SessionsRequest
				decode(t, r, &s)
				pages++
				list := &codec.SessionList{Sessions: []codec.SessionBody{}}
				add := func(peer service.UserID, seq uint64) {
					list.Sessions = append(list.Sessions, codec.SessionBody{PeerID: codec.SomeID(codec.ID(peer)), Seq: seq})
				}
				begin, end := service.UserID(2), service.UserID(2+sessionPage-1)
				if s.After != "" {
					begin, end = end+1, 2+peers-1
				} else if pages > 1 {
					add(moved, 4)
				}
				for peer := begin; peer <= end; peer++ {
					if peer != moved {
						add(peer, 1)
					}
				}
				if list.More = s.After == ""; list.More {
					list.After = "x"
				}
				if p.answer(r, list); pages == 1 {
					e := said(moved, moved, 4)
					p.push(e.Label, e.Content)
				}
			case codec.QueryHistory:
				var h codec.HistoryRequest
				decode(t, r, &h)
				peer, head := service.UserID(h.PeerID.ID), uint64(1)
				if peer == moved {
					head = 4
				}
				p.answer(r, after(h, head, func(seq uint64) codec.TimelineItem { return saidItem(peer, seq) }))
			default:
				return false
			}
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{NoConfirm: true})
	got := map[service.UserID]uint64{}
	n := 0
	for e, err := range c.Messages(within(t)) {
		if got[e.Peer]++; err != nil || e.Seq != got[e.Peer] {
			t.Fatalf("got %+v %v, want seq %d", e, err, got[e.Peer])
		}
		if n++; n == peers-1+4 {
			break
		}
	}
	if got[moved] != 4 {
		t.Errorf("%d of 4 entries of the conversation that moved", got[moved])
	}
}

// sessionPage is how many conversations a Client asks for at a time.
const sessionPage = 200
