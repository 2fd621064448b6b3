package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

// groupsCommand is what the group commands share.
type groupsCommand struct {
	conn connection
	out  output
}

func newGroups() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "groups",
		Short: "Create, list and change groups",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	g := &groupsCommand{}
	cmd.AddCommand(g.create(), g.list(), g.info(), g.update(), g.delete(),
		g.members("add", "Add members to a group", codec.AddGroupMembers),
		g.members("kick", "Remove members from a group; naming yourself is leaving it", codec.KickGroupMembers))
	for _, sub := range cmd.Commands() {
		g.conn.flags(sub)
		g.out.flags(sub)
	}
	return cmd
}

// run connects, asks and prints.
func (g *groupsCommand) run(c *cobra.Command, ask func(context.Context, *client.Conn) (result any, text string, err error)) error {
	if err := g.out.check(); err != nil {
		return err
	}
	return g.conn.do(c, func(ctx context.Context, conn *client.Conn) error {
		result, text, err := ask(ctx, conn)
		if err != nil {
			return err
		}
		return g.out.print(c, result, func() string { return text })
	})
}

// change makes a change of a group and says what it came to: the answer is the entry that the change has left.
func (g *groupsCommand) change(c *cobra.Command, label codec.Label, req codec.GroupRequest) error {
	return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
		e, err := conn.ChangeGroup(ctx, label, req)
		if err != nil {
			return nil, "", err
		}
		return e.Content, changeText(label, req, e), nil
	})
}

// changeText says what a change came to.
func changeText(label codec.Label, req codec.GroupRequest, e client.Entry) string {
	if e.Seq == 0 && label != codec.CreateGroup {
		return "nothing changed" + map[codec.Label]string{
			codec.AddGroupMembers:  ": all of them are members already",
			codec.KickGroupMembers: ": none of them is a member",
			codec.UpdateGroupInfo:  ": the group is like that already",
		}[label]
	}
	switch body := e.Content.(type) {
	case *codec.GroupBody:
		if label == codec.CreateGroup {
			return fmt.Sprintf("created group %s, %s, with %s", plain(e.Group), quote(*req.GroupName), memberText(body.MemberIDs))
		}
		return fmt.Sprintf("updated #%d: %s, creator %d%s", e.Seq, quote(body.GroupName), body.Creator, pictureText(body.GroupHeadImage))
	case *codec.MembersBody:
		return membersText(label, req, e, body)
	}
	return "done"
}

// membersText says who came or went, and of whom it was asked in vain.
func membersText(label codec.Label, req codec.GroupRequest, e client.Entry, body *codec.MembersBody) string {
	others := without(req.MemberIDs, body.MemberIDs)
	switch {
	case e.Label == codec.DeleteGroupNoti:
		return fmt.Sprintf("dissolved the group for all its members #%d", e.Seq)
	case label == codec.DeleteGroup:
		return fmt.Sprintf("left the group #%d: only its creator can dissolve it", e.Seq)
	case label == codec.AddGroupMembers && len(others) > 0:
		return fmt.Sprintf("added %s #%d; members before: %s", idList(body.MemberIDs), e.Seq, idList(others))
	case label == codec.AddGroupMembers:
		return fmt.Sprintf("added %s #%d", idList(body.MemberIDs), e.Seq)
	case leaves(body):
		return fmt.Sprintf("left the group #%d", e.Seq)
	case len(others) > 0:
		return fmt.Sprintf("removed %s #%d; not members: %s", idList(body.MemberIDs), e.Seq, idList(others))
	}
	return fmt.Sprintf("removed %s #%d", idList(body.MemberIDs), e.Seq)
}

// leaves reports whether who did it removed himself only.
func leaves(body *codec.MembersBody) bool {
	return len(body.MemberIDs) == 1 && body.MemberIDs[0] == body.UserID
}

// without returns the ids of all that are not among some.
func without(all, some []codec.ID) []codec.ID {
	return slices.DeleteFunc(slices.Clone(all), func(id codec.ID) bool { return slices.Contains(some, id) })
}

// shownIDs is how many of many ids a line shows.
const shownIDs = 20

// idList is user ids for people.
func idList(ids []codec.ID) string {
	var b strings.Builder
	for i, id := range ids[:min(len(ids), shownIDs)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, id)
	}
	if more := len(ids) - shownIDs; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

func memberText(ids []codec.ID) string {
	if len(ids) == 0 {
		return "nobody else"
	}
	return idList(ids)
}

func pictureText(url string) string {
	if url == "" {
		return ""
	}
	return ", picture " + quote(url)
}

func (g *groupsCommand) create() *cobra.Command {
	var name, members string
	cmd := &cobra.Command{
		Use: "create --user ID --name NAME --members ID,ID…", Short: "Create a group", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if name == "" {
				return usageError("--name is missing: the group's name")
			}
			users, err := parseUsers(members)
			if err != nil {
				return err
			}
			req := codec.GroupRequest{GroupName: &name, MemberIDs: users}
			return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
				e, err := conn.ChangeGroup(ctx, codec.CreateGroup, req)
				if err != nil {
					return nil, "", err
				}
				text := fmt.Sprintf("%s\ntalk in it: %s chat --user %d --group %s",
					changeText(codec.CreateGroup, req, e), selfCommand(), g.conn.user.id, plain(e.Group))
				return e.Content, text, nil
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the group's name (required)")
	cmd.Flags().StringVar(&members, "members", "", "user ids, separated by commas")
	return cmd
}

func (g *groupsCommand) list() *cobra.Command {
	return &cobra.Command{
		Use: "list --user ID", Short: "List the groups you are in", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
				groups, err := conn.Groups(ctx)
				lines := make([]string, len(groups))
				for i, group := range groups {
					lines[i] = groupLine(group)
				}
				if len(groups) == 0 {
					return []client.Group{}, "no groups", err
				}
				return groups, strings.Join(lines, "\n"), err
			})
		},
	}
}

func groupLine(g client.Group) string {
	return fmt.Sprintf("%s  %-22s  creator %d, %d other members, changed %s",
		plain(g.GroupID), quote(g.GroupName), g.Creator, len(g.MemberIDs), stamp(g.UpdateDate))
}

// group adds the --group flag and gives what checks it.
func groupFlag(cmd *cobra.Command) func() (string, error) {
	id := cmd.Flags().String("group", "", "the group's id (required)")
	return func() (string, error) {
		if *id == "" {
			return "", usageError("--group is missing: the group's id")
		}
		return *id, nil
	}
}

func (g *groupsCommand) info() *cobra.Command {
	cmd := &cobra.Command{Use: "info --user ID --group ID", Short: "Show one group", Args: noArgs}
	group := groupFlag(cmd)
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		id, err := group()
		if err != nil {
			return err
		}
		return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
			info, err := conn.Group(ctx, id)
			return info, fmt.Sprintf("%s\nmembers: creator %d and %s", groupLine(info), info.Creator, memberText(info.MemberIDs)), err
		})
	}
	return cmd
}

func (g *groupsCommand) members(name, short string, label codec.Label) *cobra.Command {
	cmd := &cobra.Command{Use: name + " --user ID --group ID --members ID,ID…", Short: short, Args: noArgs}
	group := groupFlag(cmd)
	members := cmd.Flags().String("members", "", "user ids, separated by commas (required)")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		id, err := group()
		if err != nil {
			return err
		}
		users, err := parseUsers(*members)
		if err != nil {
			return err
		}
		if len(users) == 0 {
			return usageError("--members is missing: user ids, separated by commas")
		}
		return g.change(c, label, codec.GroupRequest{GroupID: id, MemberIDs: users})
	}
	return cmd
}

func (g *groupsCommand) update() *cobra.Command {
	cmd := &cobra.Command{Use: "update --user ID --group ID [--name NAME] [--head-image URL] [--creator ID]", Short: "Change a group that you created", Args: noArgs}
	group := groupFlag(cmd)
	name := cmd.Flags().String("name", "", "the new name (default: it stays)")
	image := cmd.Flags().String("head-image", "", `the address of the new picture; "" for none (default: it stays)`)
	var creator userFlag
	cmd.Flags().Var(&creator, "creator", "the member who becomes the creator (default: it stays)")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		id, err := group()
		if err != nil {
			return err
		}
		req := codec.GroupRequest{GroupID: id}
		if c.Flags().Changed("name") {
			if req.GroupName = name; *name == "" {
				return usageError("--name is empty: a group has a name")
			}
		}
		switch {
		case c.Flags().Changed("head-image") && *image == "":
			req.Clear = []string{"groupHeadImage"} // "" is absent on the wire
		case *image != "":
			req.GroupHeadImage = image
		}
		if creator.set {
			req.Creator = codec.SomeID(codec.ID(creator.id))
		}
		if req.GroupName == nil && req.GroupHeadImage == nil && len(req.Clear) == 0 && !creator.set {
			return usageError("nothing to change: give --name, --head-image or --creator")
		}
		return g.change(c, codec.UpdateGroupInfo, req)
	}
	return cmd
}

func (g *groupsCommand) delete() *cobra.Command {
	cmd := &cobra.Command{Use: "delete --user ID --group ID", Short: "Dissolve a group that you created, or leave another's", Args: noArgs}
	group := groupFlag(cmd)
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		id, err := group()
		if err != nil {
			return err
		}
		return g.change(c, codec.DeleteGroup, codec.GroupRequest{GroupID: id})
	}
	return cmd
}
