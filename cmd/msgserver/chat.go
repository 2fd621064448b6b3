package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

func newChat() *cobra.Command {
	var (
		conn connection
		with target
	)
	cmd := &cobra.Command{
		Use:   "chat --user ID (--to ID | --group ID)",
		Short: "Talk to a user or a group",
		Long: "Talk to a user or a group: what you missed comes first, then each line you type is a message. A server that\n" +
			"goes away is waited for, and nothing is lost.\n\n" + chatHelp,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conv, err := with.conversation()
			if err != nil {
				return err
			}
			if err := conn.do(c, func(context.Context, *client.Conn) error { return nil }); err != nil {
				return err // there is no server yet, or it does not want us
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			talk := &chat{with: conv, person: isTerminal(c.InOrStdin()), out: c.OutOrStdout()}
			return talk.run(ctx, &conn, c.InOrStdin())
		},
	}
	conn.flags(cmd)
	with.flags(cmd)
	return cmd
}

// chatHelp is what /help shows.
const chatHelp = `  /quit    ends, as the end of the input does
  /help    shows this
  //text   sends a text that begins with a slash`

// chat is a conversation on a terminal.
type chat struct {
	// Static.
	client *client.Client
	with   client.Conversation
	person bool // types on a terminal, and sees what comes of it

	mu     sync.Mutex
	out    io.Writer // guarded by mu
	apart  bool      // guarded by mu: the connection is lost
	unsent int       // guarded by mu: messages that were refused
}

// run talks until the input ends, the user interrupts or the server refuses for good.
func (t *chat) run(ctx context.Context, conn *connection, in io.Reader) error {
	format, err := conn.wire()
	if err != nil {
		return err
	}
	t.client, err = client.New(conn.addr, conn.user.id, client.ClientOptions{
		Conn:      client.Options{Format: format},
		NoConfirm: true, // only what was shown is confirmed, and as read
		OnState:   t.state,
		OnReceipt: t.receipt,
	})
	if err != nil {
		return err
	}
	t.print("you are user %d; each line is a message, /quit ends, /help says more", conn.user.id)
	ended := make(chan error, 1)
	go func() { ended <- t.listen(ctx) }()
	lines := make(chan typed)
	go func() { // ends with the process: a read of a terminal cannot be interrupted
		for in := (lineReader{bufio.NewReaderSize(in, 64<<10)}); ; {
			text, err := in.next()
			lines <- typed{text, err}
		}
	}()
	for {
		select {
		case line := <-lines:
			if quit, err := t.take(ctx, line); err != nil {
				return errors.Join(err, t.client.Close())
			} else if quit {
				return t.leave(ctx, conn)
			}
		case err := <-ended:
			if errors.Is(err, context.Canceled) {
				return t.leave(context.Background(), conn)
			}
			return errors.Join(err, t.client.Close())
		}
	}
}

// typed is a line of the input, or why there is none.
type typed struct {
	text string
	err  error
}

// typedMax is where the line discipline of Linux cuts a line, in bytes: MAX_CANON with the end of the line.
const typedMax = 4095

// take does what a line says; quit reports whether it was the last one.
func (t *chat) take(ctx context.Context, line typed) (quit bool, err error) {
	if t.person && len(line.text) == typedMax {
		t.print("terminals give only the first %d bytes of a line: 'send … -' reads longer texts", typedMax)
	}
	switch command := strings.TrimSpace(line.text); {
	case errors.Is(line.err, errTooLong):
		t.refused("", line.err)
	case errors.Is(line.err, io.EOF), command == "/quit":
		return true, nil
	case line.err != nil:
		return true, fmt.Errorf("read the input: %w", line.err)
	case command == "":
	case command == "/help":
		t.print("%s", chatHelp)
	case strings.HasPrefix(line.text, "//"):
		return false, t.say(ctx, line.text[1:])
	case strings.HasPrefix(line.text, "/"):
		t.refused(line.text, errors.New("there is no such command: /help lists them, and /"+strings.Fields(plain(line.text))[0]+" … sends it as a text"))
	default:
		return false, t.say(ctx, line.text)
	}
	return false, nil
}

// leave waits until what was typed is on the server, but not for ever.
func (t *chat) leave(ctx context.Context, conn *connection) error {
	ctx, cancel := context.WithTimeout(ctx, conn.timeout)
	defer cancel()
	if err := t.client.Drain(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unsent > 0 && !t.person {
		return fmt.Errorf("%s not sent: the output says why", count(t.unsent, "message was", "messages were"))
	}
	return nil
}

// say sends a line. It is shown as stored when the server says so, however long that takes. A refusal is shown, too;
// the error is that of a conversation which cannot go on.
func (t *chat) say(ctx context.Context, text string) error {
	err := t.client.SendAsync(ctx, client.Outgoing{To: t.with.Peer, Group: t.with.Group, Text: text}, func(sent client.Sent, err error) {
		if err != nil {
			t.refused(text, err)
			return
		}
		t.print("%s  #%d  stored", clock(sent.ServerReceiveDate), sent.Seq)
	})
	if _, refused := client.CodeOf(err); refused {
		t.refused(text, err)
		return nil
	}
	return err
}

// refused says that a line did not become a message, and why.
func (t *chat) refused(text string, err error) {
	t.mu.Lock()
	t.unsent++
	t.mu.Unlock()
	if text != "" {
		text = quote(shorten(text, 40)) + ": "
	}
	how := "not sent"
	if errors.Is(err, client.ErrUnknownOutcome) {
		how = "perhaps not sent"
	}
	t.print("%s: %s%s", how, text, errorLine(err))
}

// listen shows what others say and do, and confirms it as read. What belongs to other conversations is
// announced, and stays unconfirmed.
func (t *chat) listen(ctx context.Context) error {
	for e, err := range t.client.Messages(ctx) {
		if err != nil {
			return err
		}
		if e.Conversation != t.with {
			t.elsewhere(e)
			continue
		}
		t.print("%s", entryLine(e.Label, e.Content, clock))
		if err := t.client.Confirm(ctx, t.with, service.StateRead, e.Seq); err != nil {
			return err
		}
	}
	return nil
}

func (t *chat) elsewhere(e client.Entry) {
	m, isMessage := e.Message()
	switch {
	case !isMessage || service.UserID(m.FromUserID) == t.client.User():
	case e.Group != "":
		t.print("(user %d wrote in group %s)", m.FromUserID, plain(e.Group))
	default:
		t.print("(user %d wrote to you: chat --to %d)", m.FromUserID, m.FromUserID)
	}
}

// state tells of lost and found connections.
func (t *chat) state(s client.State) {
	t.mu.Lock()
	was := t.apart
	t.apart = s.Phase == client.Waiting || was && s.Phase == client.Connecting
	is := t.apart
	t.mu.Unlock()
	switch {
	case is && !was:
		t.print("connection lost, trying again…")
	case was && !is && s.Phase == client.Online:
		t.print("connected again")
	}
}

// receipt shows how far a message of ours has come.
func (t *chat) receipt(v client.Conversation, r codec.StatusBody) {
	if v != t.with {
		return
	}
	text := "delivered ✓✓"
	if r.State == int(service.StateRead) {
		text = "read ✓✓"
	}
	if v.Group != "" {
		text += fmt.Sprintf(" by %d", r.UserID.ID)
	}
	t.print("          #%d  %s", r.Seq, text)
}

func (t *chat) print(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}
