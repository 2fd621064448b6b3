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
	e, err := c.ChangeGroup(ctx, codec.CreateGroup, newGroup(name, members))
	return e.Group, err
}

func newGroup(name string, members []service.UserID) codec.GroupRequest {
	return codec.GroupRequest{GroupName: &name, MemberIDs: ids(members)}
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
	_, err := c.ChangeGroup(ctx, codec.AddGroupMembers, codec.GroupRequest{GroupID: id, MemberIDs: ids(who)})
	return err
}

// KickMembers removes users from a group; to name oneself is to leave it.
func (c *Conn) KickMembers(ctx context.Context, id string, who []service.UserID) error {
	_, err := c.ChangeGroup(ctx, codec.KickGroupMembers, codec.GroupRequest{GroupID: id, MemberIDs: ids(who)})
	return err
}

// GroupUpdate is what shall be different about a group; what is nil stays.
type GroupUpdate struct {
	Name      *string
	HeadImage *string // "": none from now on
	Creator   *service.UserID
	MsgID     string // yours, to send the same change again safely; empty: NewMsgID
}

func (u GroupUpdate) request(id string) codec.GroupRequest {
	req := codec.GroupRequest{GroupID: id, GroupName: u.Name, GroupHeadImage: u.HeadImage, MsgID: u.MsgID}
	if u.HeadImage != nil && *u.HeadImage == "" { // "" is absent on the wire
		req.GroupHeadImage, req.Clear = nil, []string{"groupHeadImage"}
	}
	if u.Creator != nil {
		req.Creator = codec.SomeID(codec.ID(*u.Creator))
	}
	return req
}

// UpdateGroup changes a group that the caller created.
func (c *Conn) UpdateGroup(ctx context.Context, id string, u GroupUpdate) error {
	_, err := c.ChangeGroup(ctx, codec.UpdateGroupInfo, u.request(id))
	return err
}

// DeleteGroup dissolves a group that the caller created, or leaves another's.
func (c *Conn) DeleteGroup(ctx context.Context, id string) error {
	_, err := c.ChangeGroup(ctx, codec.DeleteGroup, codec.GroupRequest{GroupID: id})
	return err
}

// ChangeGroup is what the methods above do: label is createGroup, addGroupMembers, kickGroupMembers, updateGroupInfo or
// deleteGroup. It returns the entry that the change has left in the group. The entry's Seq is 0 if nothing has changed;
// also with servers that do not tell. With the MsgID of an earlier attempt (at most 128 bytes) the change
// is not made again, and the entry is that of the first. An empty MsgID is filled by NewMsgID.
func (c *Conn) ChangeGroup(ctx context.Context, label codec.Label, req codec.GroupRequest) (Entry, error) {
	if req.MsgID == "" {
		req.MsgID = NewMsgID()
	}
	switch label {
	case codec.CreateGroup:
		return change[codec.GroupBody](ctx, c, label, codec.CreateGroupNoti, req)
	case codec.UpdateGroupInfo:
		return change[codec.GroupBody](ctx, c, label, codec.GroupInfoUpdateNoti, req)
	case codec.AddGroupMembers:
		return change[codec.MembersBody](ctx, c, label, codec.GroupMembersAddNoti, req)
	case codec.KickGroupMembers:
		return change[codec.MembersBody](ctx, c, label, codec.GroupMembersDelNoti, req)
	case codec.DeleteGroup:
		return change[codec.MembersBody](ctx, c, label, codec.DeleteGroupNoti, req)
	}
	return Entry{}, &Error{Code: service.Invalid, Message: "it changes no group", Label: label}
}

// change asks for a change whose answer is the body of a notice.
func change[T any](ctx context.Context, c *Conn, label, notice codec.Label, req codec.GroupRequest) (e Entry, err error) {
	body := func(t codec.TaskID) any {
		req.TaskID = t
		return &req
	}
	entry := func(result *T) (Entry, bool) {
		return entryOf(0, noticeOf(notice, result), result) // in a group it does not matter for whom
	}
	result, err := doAndSee(ctx, c, label, body, func(result *T) {
		if e, ok := entry(result); ok {
			c.opts.onEntry(e)
		}
	})
	if err != nil {
		return Entry{}, err
	}
	if e, _ = entry(result); e.Group == "" {
		e.Group = req.GroupID
	}
	return e, nil
}

// noticeOf is the label of the notice with this body: deleteGroup may be leaving.
func noticeOf(label codec.Label, body any) codec.Label {
	if m, ok := body.(*codec.MembersBody); ok && label == codec.DeleteGroupNoti && len(m.MemberIDs) > 0 {
		return codec.GroupMembersDelNoti
	}
	return label
}

func ids(users []service.UserID) []codec.ID {
	out := make([]codec.ID, len(users))
	for i, u := range users {
		out[i] = codec.ID(u)
	}
	return out
}

// The same for a Client. Each goes on over lost connections and while the server is busy, and is carried out once: its
// attempts have the same msgId.

// Groups lists the groups that the user is in.
func (c *Client) Groups(ctx context.Context) (groups []Group, err error) {
	err = c.Do(ctx, func(conn *Conn) (err error) {
		groups, err = conn.Groups(ctx)
		return err
	})
	return groups, err
}

// Group gives one group of the user.
func (c *Client) Group(ctx context.Context, id string) (group Group, err error) {
	err = c.Do(ctx, func(conn *Conn) (err error) {
		group, err = conn.Group(ctx, id)
		return err
	})
	return group, err
}

// CreateGroup makes a group of the user and members, and gives its id.
func (c *Client) CreateGroup(ctx context.Context, name string, members []service.UserID) (string, error) {
	e, err := c.ChangeGroup(ctx, codec.CreateGroup, newGroup(name, members))
	return e.Group, err
}

// AddMembers adds users to a group.
func (c *Client) AddMembers(ctx context.Context, id string, who []service.UserID) error {
	_, err := c.ChangeGroup(ctx, codec.AddGroupMembers, codec.GroupRequest{GroupID: id, MemberIDs: ids(who)})
	return err
}

// KickMembers removes users from a group; to name oneself is to leave it.
func (c *Client) KickMembers(ctx context.Context, id string, who []service.UserID) error {
	_, err := c.ChangeGroup(ctx, codec.KickGroupMembers, codec.GroupRequest{GroupID: id, MemberIDs: ids(who)})
	return err
}

// UpdateGroup changes a group that the user created.
func (c *Client) UpdateGroup(ctx context.Context, id string, u GroupUpdate) error {
	_, err := c.ChangeGroup(ctx, codec.UpdateGroupInfo, u.request(id))
	return err
}

// DeleteGroup dissolves a group that the user created, or leaves another's.
func (c *Client) DeleteGroup(ctx context.Context, id string) error {
	_, err := c.ChangeGroup(ctx, codec.DeleteGroup, codec.GroupRequest{GroupID: id})
	return err
}

// ChangeGroup is Conn.ChangeGroup. The entry comes through Messages, too.
func (c *Client) ChangeGroup(ctx context.Context, label codec.Label, req codec.GroupRequest) (e Entry, err error) {
	if req.MsgID == "" {
		req.MsgID = NewMsgID()
	}
	err = c.Do(ctx, func(conn *Conn) (err error) {
		e, err = conn.ChangeGroup(ctx, label, req)
		return err
	})
	return e, err
}
