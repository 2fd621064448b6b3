// Package client talks to a msgserver.
//
// Client is what applications want. It reconnects, repeats what was not acknowledged, finds out what was missed,
// and delivers every entry of every conversation of its user once and in order:
//
//	c, err := client.New("127.0.0.1:3005", 1, client.ClientOptions{Cursors: client.FileCursors("cursors.json")})
//	if err != nil { … }
//	defer c.Close()
//	sent, err := c.Send(ctx, client.Outgoing{To: 2, Text: "hello"})
//	for entry, err := range c.Messages(ctx) { … }
//
// Conn is one connection, with a method for each label of the protocol. It ends when the network does:
//
//	conn, err := client.Dial(ctx, "127.0.0.1:3005", client.Options{})
//	if err != nil { … }
//	defer conn.Close()
//	if err := conn.Bind(ctx, 1); err != nil { … }
//	groups, err := conn.Groups(ctx)
//
// # Errors
//
// Three kinds tell what to do. An *Error is a refusal, with a code: below 200 the same request will fail again,
// from 200 on it may be sent again later. ErrUnknownOutcome: it was sent, no answer came, it may have been done; a
// message, or a change of a group, may be sent again with the same MsgID. Everything else means that nothing was sent. ErrClosed
// is wrapped by both of the latter when the connection has ended.
//
// # How a Client finds what it missed
//
// This is also the recipe for clients in other languages. A seq has no holes, so a client that knows the last
// seq it is done with in each conversation (the cursor) knows what is missing:
//
//   - After every bind it reads querySessionList to the end: the newest seq of each conversation. A device that knows none
//     yet reads the front of the list again for what was pushed meanwhile and is in no page. Conversations
//     that it knows but are not in the list are asked too, unless their last entry was the one that removed
//     this user. At last a page of queryOfflineMessage shows groups that came and went meanwhile.
//   - A conversation whose seq is beyond the cursor is fetched with queryHistory and afterSeq, page by page, until
//     there is no more. What such an answer leaves out is not for this user, or has expired.
//   - A push is the next entry, or an old one (dropped), or shows a gap (kept, while what is before it is fetched).
//     A gap is given 20 ms to close by itself: the answer to a message of one's own, which has a seq
//     too, may come behind the push of the next one.
//   - What the application cannot take now is not kept but for its seq, and fetched when there is room.
//   - missedNoti says that the server has dropped pushes: the list is read again, once the present catch-up has ended.
//   - Another epoch in the answer to the bind, or a seq in the list that is below the cursor, means that the server was
//     restored from a backup: the cursor goes back to what both sides share, found in the history by the dates and msgIds
//     of the last entries. See epoch.go.
//   - A conversation without a cursor begins with the first seq that is not confirmed as delivered if the device is
//     new, or else with its first entry.
//   - Messages without an answer are sent again in order with the same msgId, a few at first and more with each answer, half
//     as many when the server is busy.
package client
