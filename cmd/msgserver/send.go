package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
)

func newSend() *cobra.Command {
	var (
		conn  connection
		to    target
		out   output
		msgID string
	)
	cmd := &cobra.Command{
		Use:   "send --user ID (--to ID | --group ID) TEXT…",
		Short: "Send one message and wait until it is on the server's disk",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("send needs a text, for example: send --user 1 --to 2 hello")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			conv, err := to.conversation()
			if err != nil {
				return err
			}
			if err := out.check(); err != nil {
				return err
			}
			m := client.Outgoing{To: conv.Peer, Group: conv.Group, MsgID: msgID, Text: strings.Join(args, " ")}
			return conn.do(c, func(ctx context.Context, conn *client.Conn) error {
				sent, err := conn.Send(ctx, m)
				if err != nil {
					return err
				}
				return out.print(c, sent, func() string { return fmt.Sprintf("stored as seq %d, msgId %s", sent.Seq, plain(sent.MsgID)) })
			})
		},
	}
	conn.flags(cmd)
	to.flags(cmd)
	out.flags(cmd)
	cmd.Flags().StringVar(&msgID, "msg-id", "", "your own id of the message: sending it again stores it once (default: a new one)")
	return cmd
}
