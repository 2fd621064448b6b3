package codec

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// This file is the path that every message takes: its request in, its answer and its push out. It does what
// Unmarshal and AppendBody do for the same types, by hand; tests hold the two together.

// DecodeMessage is Unmarshal for a MessageRequest: the same result, but it allocates once, for a copy of the
// body that the fields are parts of, so nothing in m refers to body.
func DecodeMessage(f Format, body []byte, m *MessageRequest) error {
	*m = MessageRequest{}
	switch f {
	case JSON:
		if scanMessage(string(body), m) {
			return nil
		}
		*m = MessageRequest{}
	case MsgPack:
		if err := guard(body); err != nil {
			return &SyntaxError{MsgPack, err}
		}
		return readMessage(string(body), m)
	}
	return Unmarshal(f, body, m)
}

// scanMessage reports false for what it leaves to the library.
func scanMessage(body string, m *MessageRequest) bool {
	f := openFlat(body)
	var set uint16
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
			m.SendDate = Scalar(f.scalar())
		case "msgContentType":
			f.seen(&set, 5)
			m.MsgContentType = SomeInteger(f.integer())
		case "sessionId":
			f.seen(&set, 6)
			m.SessionID = f.text()
		case "taskId":
			f.seen(&set, 7)
			m.TaskID = TaskID(f.scalar())
		default:
			return false
		}
	}
	return f.ok
}

// readMessage reads a body that has passed guard.
func readMessage(body string, m *MessageRequest) error {
	r := reader{b: body}
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

// AppendMessageStored appends the response to a message, as a whole frame.
func AppendMessageStored(dst []byte, f Format, task TaskID, m *MessageStored) []byte {
	dst, at := BeginFrame(dst, f, Response, Message)
	if f == MsgPack {
		dst = appendMapLen(dst, 3)
		dst = append(appendStr(dst, "code"), 0)
		dst = append(appendStr(dst, "taskId"), task...)
		dst = appendMapLen(appendStr(dst, "result"), 4)
		dst = appendStr(appendStr(dst, "msgId"), m.MsgID)
		dst = appendUint(appendStr(dst, "seq"), m.Seq)
		dst = appendInt(appendStr(dst, "serverReceiveDate"), m.ServerReceiveDate)
		dst = appendInt(appendStr(dst, "state"), int64(m.State))
		return endShort(dst, at)
	}
	dst = append(append(dst, `{"code":0,"taskId":`...), task...)
	dst = appendQuoted(append(dst, `,"result":{"msgId":`...), m.MsgID)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), m.Seq, 10)
	dst = strconv.AppendInt(append(dst, `,"serverReceiveDate":`...), m.ServerReceiveDate, 10)
	dst = strconv.AppendInt(append(dst, `,"state":`...), int64(m.State), 10)
	return endShort(append(dst, "}}"...), at)
}

// AppendMessagePush appends a message as a push, as a whole frame.
func AppendMessagePush(dst []byte, f Format, m *MessageBody) []byte {
	dst, at := BeginFrame(dst, f, Push, Message)
	if f == MsgPack {
		n := 10
		if m.SendDate.IsZero() {
			n = 9
		}
		dst = appendMapLen(dst, n)
		dst = appendUint(appendStr(dst, "fromUserId"), uint64(m.FromUserID))
		dst = appendUint(appendStr(dst, "toUserId"), uint64(m.ToUserID))
		dst = appendStr(appendStr(dst, "contentStr"), m.ContentStr)
		dst = appendStr(appendStr(dst, "msgId"), m.MsgID)
		if n == 10 {
			dst = m.SendDate.appendMsgPack(appendStr(dst, "sendDate"))
		}
		dst = appendInt(appendStr(dst, "msgContentType"), m.MsgContentType)
		dst = appendStr(appendStr(dst, "sessionId"), m.SessionID)
		dst = appendInt(appendStr(dst, "serverReceiveDate"), m.ServerReceiveDate)
		dst = appendInt(appendStr(dst, "state"), int64(m.State))
		dst = appendUint(appendStr(dst, "seq"), m.Seq)
		return endShort(dst, at)
	}
	dst = strconv.AppendUint(append(dst, `{"fromUserId":`...), uint64(m.FromUserID), 10)
	dst = strconv.AppendUint(append(dst, `,"toUserId":`...), uint64(m.ToUserID), 10)
	dst = appendQuoted(append(dst, `,"contentStr":`...), m.ContentStr)
	dst = appendQuoted(append(dst, `,"msgId":`...), m.MsgID)
	if !m.SendDate.IsZero() {
		dst = append(append(dst, `,"sendDate":`...), m.SendDate...)
	}
	dst = strconv.AppendInt(append(dst, `,"msgContentType":`...), m.MsgContentType, 10)
	dst = appendQuoted(append(dst, `,"sessionId":`...), m.SessionID)
	dst = strconv.AppendInt(append(dst, `,"serverReceiveDate":`...), m.ServerReceiveDate, 10)
	dst = strconv.AppendInt(append(dst, `,"state":`...), int64(m.State), 10)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), m.Seq, 10)
	return endShort(append(dst, '}'), at)
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

// DecodeMessagePush is Unmarshal for the push of a message, in one allocation.
func DecodeMessagePush(f Format, body []byte, m *MessageBody) error {
	*m = MessageBody{}
	switch f {
	case JSON:
		if scanPush(string(body), m) {
			return nil
		}
		*m = MessageBody{}
	case MsgPack:
		if err := guard(body); err != nil {
			return &SyntaxError{MsgPack, err}
		}
		if readPush(string(body), m) {
			return nil
		}
		*m = MessageBody{}
	}
	return Unmarshal(f, body, m)
}

func scanPush(body string, m *MessageBody) bool {
	f := openFlat(body)
	var set uint16
	for key, more := f.next(true); more; key, more = f.next(false) {
		switch key {
		case "fromUserId":
			f.seen(&set, 0)
			m.FromUserID = f.id().ID
		case "toUserId":
			f.seen(&set, 1)
			m.ToUserID = f.id().ID
		case "contentStr":
			f.seen(&set, 2)
			m.ContentStr = f.text()
		case "msgId":
			f.seen(&set, 3)
			m.MsgID = f.text()
		case "sendDate":
			f.seen(&set, 4)
			m.SendDate = Scalar(f.scalar())
		case "msgContentType":
			f.seen(&set, 5)
			m.MsgContentType, f.ok = f.plainInt()
		case "sessionId":
			f.seen(&set, 6)
			m.SessionID = f.text()
		case "serverReceiveDate":
			f.seen(&set, 7)
			m.ServerReceiveDate, f.ok = f.plainInt()
		case "state":
			f.seen(&set, 8)
			m.State = int(f.uint())
		case "seq":
			f.seen(&set, 9)
			m.Seq = f.uint()
		default:
			return false
		}
	}
	return f.ok
}

// plainInt takes an integer that is written as a number.
func (f *flat) plainInt() (int64, bool) {
	n, err := strconv.ParseInt(f.number(), 10, 64)
	return n, f.ok && err == nil
}

// readPush reports false for what it leaves to the library.
func readPush(body string, m *MessageBody) bool {
	r := reader{b: body}
	n, ok := r.mapLen()
	for ; ok && n > 0; n-- {
		var key string
		if key, ok = r.str(); ok {
			ok = m.readField(key, &r)
		}
	}
	return ok && r.i == len(body)
}

func (m *MessageBody) readField(key string, r *reader) (ok bool) {
	var n int64
	switch key {
	case "fromUserId":
		n, ok = r.int()
		m.FromUserID = ID(n)
	case "toUserId":
		n, ok = r.int()
		m.ToUserID = ID(n)
	case "contentStr":
		m.ContentStr, ok = r.str()
	case "msgId":
		m.MsgID, ok = r.str()
	case "sendDate":
		var err error
		m.SendDate, err = r.scalar()
		ok = err == nil
	case "msgContentType":
		m.MsgContentType, ok = r.int()
	case "sessionId":
		m.SessionID, ok = r.str()
	case "serverReceiveDate":
		m.ServerReceiveDate, ok = r.int()
	case "state":
		n, ok = r.int()
		m.State = int(n)
	case "seq":
		n, ok = r.int()
		m.Seq = uint64(n)
	default:
		r.skip()
		ok = true
	}
	return ok && n >= 0
}

// appendQuoted appends s, valid UTF-8, as a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			quoted, err := jsontext.AppendQuote(dst, s)
			if err != nil { // invalid UTF-8: every string here was checked when it came in
				return append(dst, `""`...)
			}
			return quoted
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// AppendStatusPush appends a messageStatus push, as a whole frame.
func AppendStatusPush(dst []byte, f Format, s *StatusBody) []byte {
	dst, at := BeginFrame(dst, f, Push, MessageStatus)
	if f == MsgPack {
		n := 4
		if s.ServerReceiveDate != 0 {
			n++
		}
		if s.UserID.Set {
			n++
		}
		dst = appendStr(appendStr(appendMapLen(dst, n), "msgId"), s.MsgID)
		dst = appendInt(appendStr(dst, "state"), int64(s.State))
		dst = appendUint(appendStr(dst, "seq"), s.Seq)
		if s.ServerReceiveDate != 0 {
			dst = appendInt(appendStr(dst, "serverReceiveDate"), s.ServerReceiveDate)
		}
		if s.UserID.Set {
			dst = appendUint(appendStr(dst, "userId"), uint64(s.UserID.ID))
		}
		return endShort(appendStr(appendStr(dst, "sessionId"), s.SessionID), at)
	}
	dst = appendQuoted(append(dst, `{"msgId":`...), s.MsgID)
	dst = strconv.AppendInt(append(dst, `,"state":`...), int64(s.State), 10)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), s.Seq, 10)
	if s.ServerReceiveDate != 0 {
		dst = strconv.AppendInt(append(dst, `,"serverReceiveDate":`...), s.ServerReceiveDate, 10)
	}
	if s.UserID.Set {
		dst = strconv.AppendUint(append(dst, `,"userId":`...), uint64(s.UserID.ID), 10)
	}
	return endShort(append(appendQuoted(append(dst, `,"sessionId":`...), s.SessionID), '}'), at)
}
