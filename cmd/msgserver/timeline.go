package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

// maxPage is how many entries a page has at most, by the protocol.
const maxPage = 200

// limitFlag adds --limit, for a page of so many of something.
func limitFlag(cmd *cobra.Command, limit *int, of string) {
	cmd.Flags().Var((*pageFlag)(limit), "limit", fmt.Sprintf("%s at most, 1 to %d; 0: the server's default, which is 50 (default 0)", of, maxPage))
}

// pageFlag is the size of a page.
type pageFlag int

// String, Set and Type are pflag.Value's.
func (p *pageFlag) String() string { return strconv.Itoa(int(*p)) }

func (p *pageFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxPage {
		return fmt.Errorf("it is a number from 0 to %d", maxPage)
	}
	*p = pageFlag(n)
	return nil
}

func (p *pageFlag) Type() string { return "int" }

// newHistory, newOffline and newSessions read what is stored.
func newHistory() *cobra.Command {
	var (
		conn          connection
		in            target
		out           output
		limit         int
		before, after uint64
	)
	cmd := &cobra.Command{
		Use: "history --user ID (--to ID | --group ID)", Short: "Show a conversation's messages and notices", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conv, err := in.conversation()
			if err != nil {
				return err
			}
			page := client.HistoryPage{Conversation: conv, Before: before, After: after, HasAfter: c.Flags().Changed("after"), Limit: limit}
			if err := out.check(); err != nil {
				return err
			}
			return conn.do(c, func(ctx context.Context, conn *client.Conn) error {
				found, err := conn.HistoryPage(ctx, page)
				if err != nil {
					return err
				}
				return out.print(c, found, func() string { return historyText(found, page, groupNames(ctx, conn, page.Group)) })
			})
		},
	}
	conn.flags(cmd)
	in.flags(cmd)
	out.flags(cmd)
	limitFlag(cmd, &limit, "entries")
	cmd.Flags().Uint64Var(&before, "before", 0, "only entries before this seq; 0: the newest (default 0)")
	cmd.Flags().Uint64Var(&after, "after", 0, "only entries after this seq, oldest first; 0 begins with the first (default: the newest entries)")
	return cmd
}

func newOffline() *cobra.Command {
	var (
		conn  connection
		out   output
		limit int
	)
	cmd := &cobra.Command{
		Use: "offline --user ID", Short: "Show what you have not confirmed yet, in all conversations", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return conn.do(c, func(ctx context.Context, conn *client.Conn) error {
				page, err := conn.Offline(ctx, limit)
				if err != nil {
					return err
				}
				return out.print(c, page, func() string { return offlineText(page, groupNames(ctx, conn, groupsOf(page)...)) })
			})
		},
	}
	conn.flags(cmd)
	out.flags(cmd)
	limitFlag(cmd, &limit, "entries")
	return cmd
}

// historyText is a page of one conversation, with how to read on.
func historyText(page *codec.Timeline, asked client.HistoryPage, names map[string]string) string {
	var lines []string
	if asked.Group != "" {
		lines = append(lines, groupTitle(asked.Group, names))
	}
	if len(page.Messages) == 0 {
		return strings.Join(append(lines, "nothing"), "\n")
	}
	for _, item := range page.Messages {
		lines = append(lines, entryLine(item.LabelName, item.Content, stamp))
	}
	first, last := page.Messages[0].Content, page.Messages[len(page.Messages)-1].Content
	switch {
	case page.More && asked.HasAfter:
		lines = append(lines, fmt.Sprintf("… newer ones: --after %d", seqOf(last)))
	case page.More:
		lines = append(lines, fmt.Sprintf("… older ones: --before %d", seqOf(first)))
	case page.FirstSeq > 1 && !asked.HasAfter:
		lines = append(lines, fmt.Sprintf("… what was before #%d has expired", page.FirstSeq))
	}
	return strings.Join(lines, "\n")
}

// offlineText is what was missed, each conversation under its name.
func offlineText(page *codec.Timeline, names map[string]string) string {
	if len(page.Messages) == 0 {
		return "nothing"
	}
	var lines []string
	var under string
	for _, item := range page.Messages {
		title := ""
		if id := groupOf(item.Content); id != "" {
			title = groupTitle(id, names)
		} else if m, ok := item.Content.(*codec.MessageBody); ok {
			title = fmt.Sprintf("user %d", m.FromUserID)
		}
		if title != under {
			lines, under = append(lines, title), title
		}
		lines = append(lines, "  "+entryLine(item.LabelName, item.Content, stamp))
	}
	if page.More {
		lines = append(lines, "… and more: --limit 200 shows as many at once; what chat shows is confirmed and no longer listed")
	}
	return strings.Join(lines, "\n")
}

// groupOf is the group of an entry, "" if it is of a personal conversation.
func groupOf(content any) string {
	switch e := content.(type) {
	case *codec.MessageBody:
		return e.SessionID
	case *codec.GroupBody:
		return e.GroupID
	case *codec.MembersBody:
		return e.GroupID
	}
	return ""
}

func seqOf(content any) uint64 {
	switch e := content.(type) {
	case *codec.MessageBody:
		return e.Seq
	case *codec.GroupBody:
		return e.Seq
	case *codec.MembersBody:
		return e.Seq
	}
	return 0
}

// groupsOf are the groups of which a page has entries.
func groupsOf(page *codec.Timeline) []string {
	var ids []string
	for _, item := range page.Messages {
		ids = append(ids, groupOf(item.Content))
	}
	return ids
}

// groupNames asks for the names of groups. Of those that the user has left, or that are dissolved, there is none.
func groupNames(ctx context.Context, conn *client.Conn, ids ...string) map[string]string {
	names := map[string]string{}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if id == "" {
			continue
		}
		group, err := conn.Group(ctx, id)
		if _, refused := client.CodeOf(err); err != nil && !refused {
			break // names are not worth an error, nor a wait for each of them
		}
		names[id] = group.GroupName
	}
	return names
}

func groupTitle(id string, names map[string]string) string {
	if name := names[id]; name != "" {
		return fmt.Sprintf("group %s %s", plain(id), quote(name))
	}
	return "group " + plain(id)
}

// entryLine is an entry of a timeline, or its push, for people; when shows its date.
func entryLine(label codec.Label, content any, when func(ms int64) string) string {
	switch e := content.(type) {
	case *codec.MessageBody:
		return fmt.Sprintf("%s  #%d  %d: %s%s", when(e.ServerReceiveDate), e.Seq, e.FromUserID, plain(e.ContentStr), stateMark(e.State))
	case *codec.GroupBody:
		verb := "changed"
		if label == codec.CreateGroupNoti {
			verb = "created"
		}
		return fmt.Sprintf("%s  #%d  * %d %s group %s", when(e.UpdateDate), e.Seq, e.UserID.ID, verb, quote(e.GroupName))
	case *codec.MembersBody:
		return fmt.Sprintf("%s  #%d  * %d %s", when(e.ServerReceiveDate), e.Seq, e.UserID, membersVerb(label, e))
	case *codec.UnknownBody:
		return fmt.Sprintf("%s  #%d  * %s", when(e.ServerReceiveDate), e.Seq, plain(string(label)))
	}
	return plain(string(label))
}

// membersVerb is what somebody did to the members of a group.
func membersVerb(label codec.Label, e *codec.MembersBody) string {
	switch {
	case label == codec.DeleteGroupNoti:
		return "dissolved the group"
	case label == codec.GroupMembersDelNoti && leaves(e):
		return "left the group"
	case label == codec.GroupMembersDelNoti:
		return "removed " + idList(e.MemberIDs)
	}
	return "added " + idList(e.MemberIDs)
}

func stateMark(state int) string {
	switch state {
	case 2:
		return "  ✓✓"
	case 3:
		return "  ✓✓ read"
	}
	return ""
}

// stamp is a date and a time.
func stamp(ms int64) string { return time.UnixMilli(ms).Format(time.DateTime) }

// clock is a time, with its date unless that is today.
func clock(ms int64) string {
	if at := time.UnixMilli(ms); at.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return stamp(ms)
}

func newSessions() *cobra.Command {
	var (
		conn  connection
		out   output
		limit int
		after string
	)
	cmd := &cobra.Command{
		Use: "sessions --user ID", Short: "List your conversations, most recent first", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return conn.do(c, func(ctx context.Context, conn *client.Conn) error {
				list, err := conn.Sessions(ctx, limit, after)
				if err != nil {
					return err
				}
				return out.print(c, list, func() string { return sessionsText(list, sessionNames(ctx, conn, list)) })
			})
		},
	}
	conn.flags(cmd)
	out.flags(cmd)
	limitFlag(cmd, &limit, "conversations")
	cmd.Flags().StringVar(&after, "after", "", "go on behind the page that gave this (default: the most recent)")
	return cmd
}

func sessionNames(ctx context.Context, conn *client.Conn, list *codec.SessionList) map[string]string {
	var ids []string
	for _, s := range list.Sessions {
		ids = append(ids, s.SessionID)
	}
	return groupNames(ctx, conn, ids...)
}

func sessionsText(list *codec.SessionList, names map[string]string) string {
	var lines []string
	for _, s := range list.Sessions {
		with := groupTitle(s.SessionID, names)
		if s.SessionID == "" {
			with = fmt.Sprintf("user %d", s.PeerID.ID)
		}
		line := fmt.Sprintf("%s  %-42s  %d unread of %d", stamp(s.UpdateDate), with, s.Unread, s.Seq)
		if s.LastMessage != nil {
			line += fmt.Sprintf("  %d: %s", s.LastMessage.FromUserID, plain(shorten(s.LastMessage.ContentStr, 60)))
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return "no conversations"
	}
	if list.More {
		lines = append(lines, "… more with --after "+plain(list.After))
	}
	return strings.Join(lines, "\n")
}
