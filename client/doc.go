// Package client talks to a msgserver.
//
// Conn is one connection: it binds a user, sends requests and hands over pushes, and ends when the network does.
// Client is what applications want: it reconnects, repeats what was not acknowledged, and delivers every message
// of every conversation once and in order.
//
//	conn, err := client.Dial(ctx, "127.0.0.1:3005", client.Options{})
//	if err != nil { … }
//	defer conn.Close()
//	if err := conn.Bind(ctx, 1); err != nil { … }
//	sent, err := conn.Send(ctx, client.Outgoing{To: 2, Text: "hello"})
package client
