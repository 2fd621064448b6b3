package main

import (
	"context"
	"fmt"
	"io"
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
		Use:   "send --user ID (--to ID | --group ID) (TEXT… | -)",
		Short: "Send one message and wait until it is on the server's disk",
		Long: "Send one message and wait until it is on the server's disk. With - the text comes from standard input, without the end of\n" +
			"its last line. A text that begins with a dash goes behind --: send --user 1 --to 2 -- -hello",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("send needs a text, for example: send --user 1 --to 2 hello, or - to read it from standard input")
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
			text, err := textOf(c, args)
			if err != nil {
				return err
			}
			m := client.Outgoing{To: conv.Peer, Group: conv.Group, MsgID: msgID, Text: text}
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

// textOf is the text to send: the arguments, or standard input for a single dash that is not behind --.
func textOf(c *cobra.Command, args []string) (string, error) {
	text := strings.Join(args, " ")
	if text == "-" && c.ArgsLenAtDash() < 0 {
		in, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxLine+1))
		switch {
		case err != nil:
			return "", fmt.Errorf("read the text from standard input: %w", err)
		case len(in) > maxLine:
			return "", usageError("the text on standard input has more than %d bytes: no message may be that long", maxLine)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(in), "\n"), "\r")
	}
	if strings.TrimSpace(text) == "" {
		return "", usageError("the text is empty: there is nothing to send")
	}
	return text, nil
}
