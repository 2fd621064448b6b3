package client

import (
	"context"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Group is a group as the server shows it: Members is without the creator, dates are Unix milliseconds.
type Group = codec.GroupBody

// CreateGroup makes a group of the caller and members, and gives its id.
func (c *Conn) CreateGroup(ctx context.Context, name string, members []service.UserID) (string, error) {
	r, err := do[codec.GroupCreated](ctx, c, codec.CreateGroup, func(t codec.TaskID) any {
		return &codec.GroupRequest{GroupName: &name, MemberIDs: ids(members), TaskID: t}
	})
	if err != nil {
		return "", err
	}
	return r.GroupID, nil
}

// Groups lists the groups that the caller is in.
func (c *Conn) Groups(ctx context.Context) ([]Group, error) {
	r, err := do[[]Group](ctx, c, codec.QueryGroupList, func(t codec.TaskID) any { return &codec.GroupRequest{TaskID: t} })
	if err != nil {
		return nil, err
	}
	return *r, nil
}

// Group gives one group of the caller.
func (c *Conn) Group(ctx context.Context, id string) (Group, error) {
	r, err := do[Group](ctx, c, codec.QueryGroupInfo, func(t codec.TaskID) any {
		return &codec.GroupRequest{GroupID: id, TaskID: t}
	})
	if err != nil {
		return Group{}, err
	}
	return *r, nil
}

// AddMembers adds users to a group.
func (c *Conn) AddMembers(ctx context.Context, id string, who []service.UserID) error {
	return c.change(ctx, codec.AddGroupMembers, codec.GroupRequest{GroupID: id, MemberIDs: ids(who)})
}

// KickMembers removes users from a group; to name oneself is to leave it.
func (c *Conn) KickMembers(ctx context.Context, id string, who []service.UserID) error {
	return c.change(ctx, codec.KickGroupMembers, codec.GroupRequest{GroupID: id, MemberIDs: ids(who)})
}

// GroupUpdate is what shall be different about a group; what is nil stays.
type GroupUpdate struct {
	Name      *string
	HeadImage *string
	Creator   *service.UserID
}

// UpdateGroup changes a group that the caller created.
func (c *Conn) UpdateGroup(ctx context.Context, id string, u GroupUpdate) error {
	req := codec.GroupRequest{GroupID: id, GroupName: u.Name, GroupHeadImage: u.HeadImage}
	if u.Creator != nil {
		req.Creator = codec.SomeID(codec.ID(*u.Creator))
	}
	return c.change(ctx, codec.UpdateGroupInfo, req)
}

// DeleteGroup dissolves a group that the caller created, or leaves another's.
func (c *Conn) DeleteGroup(ctx context.Context, id string) error {
	return c.change(ctx, codec.DeleteGroup, codec.GroupRequest{GroupID: id})
}

func (c *Conn) change(ctx context.Context, label codec.Label, req codec.GroupRequest) error {
	_, err := do[codec.Empty](ctx, c, label, func(t codec.TaskID) any {
		req.TaskID = t
		return &req
	})
	return err
}

func ids(users []service.UserID) []codec.ID {
	out := make([]codec.ID, len(users))
	for i, u := range users {
		out[i] = codec.ID(u)
	}
	return out
}
