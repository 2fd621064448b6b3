package server

import (
	"context"
	"slices"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// One method for each group label, on a worker.

func (srv *Server) createGroup(ctx context.Context, c service.Caller, r *codec.GroupRequest) (any, error) {
	return changed(srv.service.CreateGroup(ctx, c, service.NewGroup{
		Name: value(r.GroupName), HeadImage: value(r.GroupHeadImage), Members: userIDs(r.MemberIDs), MsgID: r.MsgID,
	}))
}

// changed is the answer to a change of a group: what the others are pushed.
func changed(e service.Entry, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	_, body := noticeBody(&e)
	return body, nil
}

func target(r *codec.GroupRequest) service.GroupTarget {
	return service.GroupTarget{ID: r.GroupID, MsgID: r.MsgID}
}

func (srv *Server) queryGroupList(ctx context.Context, c service.Caller, _ *codec.GroupRequest) (any, error) {
	groups, err := srv.service.Groups(ctx, c)
	bodies := make([]*codec.GroupBody, len(groups))
	for i := range groups {
		bodies[i] = groupBody(&groups[i])
	}
	return bodies, err
}

func (srv *Server) addGroupMembers(ctx context.Context, c service.Caller, r *codec.GroupRequest) (any, error) {
	return changed(srv.service.AddMembers(ctx, c, target(r), userIDs(r.MemberIDs)))
}

func (srv *Server) kickGroupMembers(ctx context.Context, c service.Caller, r *codec.GroupRequest) (any, error) {
	return changed(srv.service.KickMembers(ctx, c, target(r), userIDs(r.MemberIDs)))
}

func (srv *Server) queryGroupInfo(ctx context.Context, c service.Caller, r *codec.GroupRequest) (any, error) {
	g, err := srv.service.Group(ctx, c, r.GroupID)
	return groupBody(&g), err
}

func (srv *Server) updateGroupInfo(ctx context.Context, c service.Caller, r *codec.GroupRequest) (any, error) {
	update := service.GroupUpdate{Name: r.GroupName, HeadImage: r.GroupHeadImage}
	if slices.Contains(r.Clear, "groupHeadImage") {
		update.HeadImage = new(string)
	}
	if r.Creator.Set {
		creator := service.UserID(r.Creator.ID)
		update.Creator = &creator
	}
	return changed(srv.service.UpdateGroup(ctx, c, target(r), update))
}

func (srv *Server) deleteGroup(ctx context.Context, c service.Caller, r *codec.GroupRequest) (any, error) {
	return changed(srv.service.DeleteGroup(ctx, c, target(r)))
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
