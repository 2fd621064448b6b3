package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

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
			return readTimeline(c, &conn, &out, func(ctx context.Context, conn *client.Conn) (*codec.Timeline, error) {
				return conn.HistoryPage(ctx, page)
			})
		},
	}
	conn.flags(cmd)
	in.flags(cmd)
	out.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "entries at most; 0: the server's default")
	cmd.Flags().Uint64Var(&before, "before", 0, "only entries before this seq")
	cmd.Flags().Uint64Var(&after, "after", 0, "only entries after this seq")
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
			return readTimeline(c, &conn, &out, func(ctx context.Context, conn *client.Conn) (*codec.Timeline, error) {
				return conn.Offline(ctx, limit)
			})
		},
	}
	conn.flags(cmd)
	out.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "entries at most; 0: the server's default")
	return cmd
}

func readTimeline(c *cobra.Command, conn *connection, out *output, read func(context.Context, *client.Conn) (*codec.Timeline, error)) error {
	if err := out.check(); err != nil {
		return err
	}
	return conn.do(c, func(ctx context.Context, conn *client.Conn) error {
		page, err := read(ctx, conn)
		if err != nil {
			return err
		}
		return out.print(c, page, func() string { return timelineText(page) })
	})
}

func timelineText(page *codec.Timeline) string {
	var lines []string
	for _, item := range page.Messages {
		lines = append(lines, entryLine(item.LabelName, item.Content))
	}
	if len(lines) == 0 {
		return "nothing"
	}
	if page.More {
		lines = append(lines, "… and more")
	}
	return strings.Join(lines, "\n")
}

// entryLine is an entry of a timeline, or its push, for people.
func entryLine(label codec.Label, content any) string {
	switch e := content.(type) {
	case *codec.MessageBody:
		return fmt.Sprintf("%s  #%d  %d: %s%s", clock(e.ServerReceiveDate), e.Seq, e.FromUserID, plain(e.ContentStr), stateMark(e.State))
	case *codec.GroupBody:
		verb := "changed"
		if label == codec.CreateGroupNoti {
			verb = "created"
		}
		return fmt.Sprintf("%s  #%d  * %d %s group %s", clock(e.UpdateDate), e.Seq, e.UserID.ID, verb, quote(e.GroupName))
	case *codec.MembersBody:
		return fmt.Sprintf("%s  #%d  * %d %s", clock(e.ServerReceiveDate), e.Seq, e.UserID, membersVerb(label, e))
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

func clock(ms int64) string { return time.UnixMilli(ms).Format(time.TimeOnly) }

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
				return out.print(c, list, func() string { return sessionsText(list) })
			})
		},
	}
	conn.flags(cmd)
	out.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "conversations at most; 0: the server's default")
	cmd.Flags().StringVar(&after, "after", "", "go on behind the page that gave this")
	return cmd
}

func sessionsText(list *codec.SessionList) string {
	var lines []string
	for _, s := range list.Sessions {
		with := "group " + plain(s.SessionID)
		if s.SessionID == "" {
			with = fmt.Sprintf("user %d", s.PeerID.ID)
		}
		line := fmt.Sprintf("%s  %-42s  %d unread of %d", time.UnixMilli(s.UpdateDate).Format(time.DateTime), with, s.Unread, s.Seq)
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
