package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

// chat is a conversation on a terminal.
type chat struct {
	conn *client.Conn
	with client.Conversation
	out  io.Writer
}

func newChat() *cobra.Command {
	var (
		conn connection
		with target
	)
	cmd := &cobra.Command{
		Use:   "chat --user ID (--to ID | --group ID)",
		Short: "Talk to a user or a group",
		Long:  "Talk to a user or a group: each line is a message. End with /quit or the end of the input.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conv, err := with.conversation()
			if err != nil {
				return err
			}
			dialCtx, cancel := context.WithTimeout(c.Context(), conn.timeout)
			defer cancel()
			connected, err := conn.open(dialCtx, client.Options{})
			if err != nil {
				return err
			}
			defer connected.Close()
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			talk := &chat{conn: connected, with: conv, out: c.OutOrStdout()}
			return talk.run(ctx, c.InOrStdin())
		},
	}
	conn.flags(cmd)
	with.flags(cmd)
	return cmd
}

// run talks until the input ends, the user interrupts or the connection ends.
func (t *chat) run(ctx context.Context, in io.Reader) error {
	fmt.Fprintf(t.out, "you are user %d; each line is a message, /quit ends\n", t.conn.User())
	lines := make(chan string)
	go func() { // ends with the process: a read of a terminal cannot be interrupted
		defer close(lines)
		for scan := bufio.NewScanner(in); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- t.listen(ctx) }()
	for {
		select {
		case line, ok := <-lines:
			if !ok || line == "/quit" {
				return nil
			}
			if line == "" {
				continue
			}
			if err := t.say(ctx, line); err != nil {
				return err
			}
		case err := <-ended:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
	}
}

func (t *chat) say(ctx context.Context, text string) error {
	sent, err := t.conn.Send(ctx, client.Outgoing{To: t.with.Peer, Group: t.with.Group, Text: text})
	var refused *client.Error
	switch {
	case errors.As(err, &refused):
		fmt.Fprintln(t.out, "not sent:", refused)
		return nil
	case err != nil:
		return err
	}
	fmt.Fprintf(t.out, "%s  #%d  stored\n", clock(sent.ServerReceiveDate), sent.Seq)
	return nil
}

// listen prints what others say and do.
func (t *chat) listen(ctx context.Context) error {
	for p, err := range t.conn.Pushes(ctx) {
		if err != nil {
			return err
		}
		switch body := p.Body.(type) {
		case *codec.ErrorBody:
			fmt.Fprintln(t.out, "server:", body.Error)
		case *codec.DrainBody:
			fmt.Fprintln(t.out, "server:", body.Error)
		case *codec.StatusBody:
		default:
			fmt.Fprintln(t.out, entryLine(p.Label, p.Body))
		}
	}
	return nil
}
