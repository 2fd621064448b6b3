package codec

import (
	"strconv"
)

// This file, push.go and stored.go are the path that every message takes: its request in, its push and its
// answer out. They do what Unmarshal and AppendBody do for the same types, by hand; tests hold the two together.

// DecodeMessage is Unmarshal for a MessageRequest: the same result, but it allocates once, for a copy of the
// body that the fields are parts of, so nothing in m refers to body.
func DecodeMessage(f Format, body []byte, m *MessageRequest) error {
	*m = MessageRequest{}
	switch f {
	case JSON:
		if done, err := scanMessage(string(body), m); done {
			return err
		}
		*m = MessageRequest{}
	case MsgPack:
		if err := guard(body); err != nil {
			return &SyntaxError{MsgPack, err}
		}
		return readMessage(body, m)
	}
	return Unmarshal(f, body, m)
}

// scanMessage reports done false for what it leaves to the library: fields of a wrong type, mostly.
func scanMessage(body string, m *MessageRequest) (done bool, err error) {
	f := openFlat(body)
	var set uint16
	var others names
	top := others.open()
	for key, more := f.next(true); more; key, more = f.next(false) {
		switch key {
		case "fromUserId":
			f.seen(&set, 0)
			m.FromUserID = f.id()
		case "toUserId":
			f.seen(&set, 1)
			m.ToUserID = f.id()
		case "contentStr":
			f.seen(&set, 2)
			m.ContentStr = f.text()
		case "msgId":
			f.seen(&set, 3)
			m.MsgID = f.text()
		case "sendDate":
			f.seen(&set, 4)
			m.SendDate = f.scalar()
		case "msgContentType":
			f.seen(&set, 5)
			m.MsgContentType = f.integer()
		case "sessionId":
			f.seen(&set, 6)
			m.SessionID = f.text()
		case "taskId":
			f.seen(&set, 7)
			m.TaskID = f.task()
		default:
			f.unknown(&others, &top, key)
		}
	}
	if f.err != nil {
		return true, f.syntaxError()
	}
	return f.ok, nil
}

// readMessage reads a body that has passed guard.
func readMessage(body []byte, m *MessageRequest) error {
	r := reader{b: string(body), raw: body}
	n, ok := r.mapLen()
	if !ok {
		return errObject
	}
	for range n {
		key, ok := r.str()
		if !ok {
			return &FieldError{Reason: "a key of the body is not a string"}
		}
		if err := m.readField(key, &r); err != nil {
			return &FieldError{Field: key, Reason: err.Error()}
		}
	}
	return nil
}

func (m *MessageRequest) readField(key string, r *reader) (err error) {
	switch key {
	case "fromUserId":
		return r.id(&m.FromUserID)
	case "toUserId":
		return r.id(&m.ToUserID)
	case "contentStr":
		return r.text(&m.ContentStr)
	case "msgId":
		return r.text(&m.MsgID)
	case "sendDate":
		m.SendDate, err = r.scalar()
	case "msgContentType":
		return r.integer(&m.MsgContentType)
	case "sessionId":
		return r.text(&m.SessionID)
	case "taskId":
		m.TaskID, err = r.task()
	default:
		r.skip()
	}
	return err
}

// text reads a string into s.
func (r *reader) text(s *string) error {
	v, ok := r.str()
	if !ok {
		return errNotText
	}
	*s = v
	return nil
}

// AppendMessageRequest appends a message as a request, as a whole frame, for clients.
func AppendMessageRequest(dst []byte, f Format, m *MessageRequest) []byte {
	dst, at := BeginFrame(dst, f, Request, Message)
	if f == MsgPack {
		return endShort(appendMessageMap(dst, m), at)
	}
	dst = append(dst, '{')
	if m.FromUserID.Set {
		dst = append(strconv.AppendUint(append(dst, `"fromUserId":`...), uint64(m.FromUserID.ID), 10), ',')
	}
	if m.ToUserID.Set {
		dst = append(strconv.AppendUint(append(dst, `"toUserId":`...), uint64(m.ToUserID.ID), 10), ',')
	}
	dst = appendQuoted(append(dst, `"contentStr":`...), m.ContentStr)
	dst = appendQuoted(append(dst, `,"msgId":`...), m.MsgID)
	if !m.SendDate.IsZero() {
		dst = append(append(dst, `,"sendDate":`...), m.SendDate...)
	}
	if m.MsgContentType.Set {
		dst = strconv.AppendInt(append(dst, `,"msgContentType":`...), m.MsgContentType.N, 10)
	}
	dst = appendQuoted(append(dst, `,"sessionId":`...), m.SessionID)
	if !m.TaskID.IsZero() {
		dst = append(append(dst, `,"taskId":`...), m.TaskID...)
	}
	return endShort(append(dst, '}'), at)
}

func appendMessageMap(dst []byte, m *MessageRequest) []byte {
	n := 3
	for _, there := range []bool{m.FromUserID.Set, m.ToUserID.Set, !m.SendDate.IsZero(), m.MsgContentType.Set, !m.TaskID.IsZero()} {
		if there {
			n++
		}
	}
	dst = appendMapLen(dst, n)
	if m.FromUserID.Set {
		dst = appendUint(appendStr(dst, "fromUserId"), uint64(m.FromUserID.ID))
	}
	if m.ToUserID.Set {
		dst = appendUint(appendStr(dst, "toUserId"), uint64(m.ToUserID.ID))
	}
	dst = appendStr(appendStr(dst, "contentStr"), m.ContentStr)
	dst = appendStr(appendStr(dst, "msgId"), m.MsgID)
	if !m.SendDate.IsZero() {
		dst = m.SendDate.appendMsgPack(appendStr(dst, "sendDate"))
	}
	if m.MsgContentType.Set {
		dst = appendInt(appendStr(dst, "msgContentType"), m.MsgContentType.N)
	}
	dst = appendStr(appendStr(dst, "sessionId"), m.SessionID)
	if !m.TaskID.IsZero() {
		dst = append(appendStr(dst, "taskId"), m.TaskID...)
	}
	return dst
}
