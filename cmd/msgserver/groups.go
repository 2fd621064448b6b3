package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/service"
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
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q: see %s --help", args[0], c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	g := &groupsCommand{}
	cmd.AddCommand(g.create(), g.list(), g.info(), g.update(), g.delete(),
		g.members("add", "Add members to a group", "added", (*client.Conn).AddMembers),
		g.members("kick", "Remove members from a group; naming yourself is leaving it", "removed", (*client.Conn).KickMembers))
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

// done is the result of commands that have nothing to say but that it worked.
type done struct {
	OK bool `json:"ok"`
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
			return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
				id, err := conn.CreateGroup(ctx, name, users)
				text := fmt.Sprintf("created group %s\ntalk in it: %s chat --user %d --group %s", plain(id), selfCommand(), g.conn.user.id, plain(id))
				return map[string]string{"groupId": id}, text, err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the group's name")
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
		plain(g.GroupID), quote(g.GroupName), g.Creator, len(g.MemberIDs), time.UnixMilli(g.UpdateDate).Format(time.DateTime))
}

// group adds the --group flag and gives what checks it.
func groupFlag(cmd *cobra.Command) func() (string, error) {
	id := cmd.Flags().String("group", "", "the group's id")
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
			return info, fmt.Sprintf("%s\nmembers: creator %d and %v", groupLine(info), info.Creator, info.MemberIDs), err
		})
	}
	return cmd
}

func (g *groupsCommand) members(name, short, past string, change func(*client.Conn, context.Context, string, []service.UserID) error) *cobra.Command {
	cmd := &cobra.Command{Use: name + " --user ID --group ID --members ID,ID…", Short: short, Args: noArgs}
	group := groupFlag(cmd)
	members := cmd.Flags().String("members", "", "user ids, separated by commas")
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
		return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
			return done{true}, past, change(conn, ctx, id, users)
		})
	}
	return cmd
}

func (g *groupsCommand) update() *cobra.Command {
	cmd := &cobra.Command{Use: "update --user ID --group ID [--name NAME] [--head-image URL] [--creator ID]", Short: "Change a group that you created", Args: noArgs}
	group := groupFlag(cmd)
	name := cmd.Flags().String("name", "", "the new name")
	image := cmd.Flags().String("head-image", "", "the address of the new picture")
	var creator userFlag
	cmd.Flags().Var(&creator, "creator", "the member who becomes the creator")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		id, err := group()
		if err != nil {
			return err
		}
		var update client.GroupUpdate
		if c.Flags().Changed("name") {
			update.Name = name
		}
		if c.Flags().Changed("head-image") {
			update.HeadImage = image
		}
		if creator.set {
			update.Creator = &creator.id
		}
		if update == (client.GroupUpdate{}) {
			return usageError("nothing to change: give --name, --head-image or --creator")
		}
		return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
			return done{true}, "updated", conn.UpdateGroup(ctx, id, update)
		})
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
		return g.run(c, func(ctx context.Context, conn *client.Conn) (any, string, error) {
			return done{true}, "deleted", conn.DeleteGroup(ctx, id)
		})
	}
	return cmd
}
