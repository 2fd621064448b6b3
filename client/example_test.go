package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// A user who answers whatever he is told, and misses nothing while he is away: neither while the server restarts
// nor while this program does.
func ExampleClient() {
	c, err := client.New("127.0.0.1:3005", 1, client.ClientOptions{
		Cursors: client.FileCursors("cursors-of-user-1.json"),
		OnState: func(s client.State) { log.Print(s.Phase, s.Err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	for entry, err := range c.Messages(ctx) {
		if err != nil {
			log.Print(err)
			return
		}
		m, ok := entry.Message()
		if !ok || service.UserID(m.FromUserID) == c.User() {
			continue // a notice of a group, or said by another device of this user
		}
		reply := client.Outgoing{To: entry.Peer, Group: entry.Group, Text: "you said " + m.ContentStr}
		if _, err := c.Send(ctx, reply); err != nil {
			log.Print(err)
		}
	}
}

// What the Client has no method for, such as one page of what is not confirmed, is done with its present connection. Do
// is for what may be done twice.
func ExampleClient_Do() {
	c, err := client.New("127.0.0.1:3005", 1, client.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var page *codec.Timeline
	err = c.Do(ctx, func(conn *client.Conn) (err error) {
		page, err = conn.Offline(ctx, 10)
		return err
	})
	fmt.Println(page, err)
}

// One connection that sends one message, and what can be known when that fails.
func ExampleConn() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := client.Dial(ctx, "127.0.0.1:3005", client.Options{Format: codec.MsgPack})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind(ctx, 1); err != nil {
		log.Print(err)
		return
	}
	sent, err := conn.Send(ctx, client.Outgoing{To: 2, Text: "hello"})
	var refused *client.Error
	switch {
	case errors.As(err, &refused):
		fmt.Println("the server does not take it:", refused.Code, refused.Message)
	case errors.Is(err, client.ErrUnknownOutcome):
		fmt.Println("the server may have it: send it again with the same MsgID")
	case err != nil:
		fmt.Println("not sent:", err)
	default:
		fmt.Println("on the server's disk as number", sent.Seq)
	}
}

// Many messages at once: SendAsync waits only while Options.Window of them are not answered.
func ExampleConn_SendAsync() {
	ctx := context.Background()
	conn, err := client.Dial(ctx, "127.0.0.1:3005", client.Options{Window: 64, OnPush: func(client.Push) {}})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind(ctx, 1); err != nil {
		log.Print(err)
		return
	}
	for i := range 1000 {
		err := conn.SendAsync(ctx, client.Outgoing{To: 2, Text: fmt.Sprint(i)}, func(_ client.Sent, err error) {
			if err != nil {
				log.Print(err)
			}
		})
		if err != nil {
			log.Print(err)
			return
		}
	}
}
