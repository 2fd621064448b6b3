package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// connection is what every command that talks to a server has as flags.
type connection struct {
	addr    string
	user    userFlag
	format  string
	timeout time.Duration
}

func (f *connection) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.addr, "addr", "127.0.0.1:3005", "address of the server")
	c.Flags().Var(&f.user, "user", "who you are: a user id (required)")
	c.Flags().StringVar(&f.format, "format", "json", "format of the bodies: json or msgpack")
	c.Flags().DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the server")
}

func (f *connection) wire() (codec.Format, error) {
	switch f.format {
	case "json":
		return codec.JSON, nil
	case "msgpack":
		return codec.MsgPack, nil
	}
	return codec.None, usageError("--format %s: it is json or msgpack", f.format)
}

// open connects and binds. ctx bounds all of it.
func (f *connection) open(ctx context.Context, opts client.Options) (*client.Conn, error) {
	format, err := f.wire()
	if err != nil {
		return nil, err
	}
	if !f.user.set {
		return nil, usageError("--user is missing: say who you are, for example --user 1")
	}
	opts.Format = format
	conn, err := client.Dial(ctx, f.addr, opts)
	if err != nil {
		return nil, unreachable(f.addr, err)
	}
	if err := conn.Bind(ctx, f.user.id); err != nil {
		conn.Close()
		return nil, fmt.Errorf("bind user %d: %w", f.user.id, err)
	}
	return conn, nil
}

// do runs one exchange with the server.
func (f *connection) do(c *cobra.Command, exchange func(context.Context, *client.Conn) error) error {
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	conn, err := f.open(ctx, client.Options{OnPush: func(client.Push) {}})
	if err != nil {
		return err
	}
	defer conn.Close()
	return exchange(ctx, conn)
}

func unreachable(addr string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, context.DeadlineExceeded) {
		return &codedError{exitUnreachable, fmt.Errorf("no server at %s: start one with '%s serve', or name another with --addr: %w", addr, selfCommand(), err)}
	}
	return err
}

// userFlag is a user id as a flag.
type userFlag struct {
	id  service.UserID
	set bool
}

// String, Set and Type are pflag.Value's.
func (u *userFlag) String() string {
	if !u.set {
		return ""
	}
	return strconv.FormatUint(uint64(u.id), 10)
}

func (u *userFlag) Set(s string) error {
	id, err := parseUser(s)
	if err != nil {
		return err
	}
	u.id, u.set = id, true
	return nil
}

func (u *userFlag) Type() string { return "id" }

func parseUser(s string) (service.UserID, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || service.UserID(n) > service.MaxUserID {
		return 0, fmt.Errorf("%q is not a user id: an integer from 0 to %d", s, service.MaxUserID)
	}
	return service.UserID(n), nil
}

func parseUsers(list string) ([]codec.ID, error) {
	var users []codec.ID
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		u, err := parseUser(s)
		if err != nil {
			return nil, &codedError{exitUsage, err}
		}
		users = append(users, codec.ID(u))
	}
	return users, nil
}

// target is --to or --group: where a message goes, or which conversation is meant.
type target struct {
	to    userFlag
	group string
}

func (t *target) flags(c *cobra.Command) {
	c.Flags().Var(&t.to, "to", "the other user: a user id (it or --group is required)")
	c.Flags().StringVar(&t.group, "group", "", "the group: its id (it or --to is required)")
}

func (t *target) conversation() (client.Conversation, error) {
	if t.to.set == (t.group != "") {
		return client.Conversation{}, usageError("give one of --to USER and --group ID")
	}
	return client.Conversation{Peer: t.to.id, Group: t.group}, nil
}
