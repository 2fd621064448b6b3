package codec

import "strconv"

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
		if readPush(body, m) {
			return nil
		}
		*m = MessageBody{}
	}
	return Unmarshal(f, body, m)
}

func scanPush(body string, m *MessageBody) bool {
	f := openFlat(body)
	var set uint16
	var others names
	top := others.open()
	for key, more := f.next(true); more; key, more = f.next(false) {
		switch key {
		case "fromUserId":
			f.seen(&set, 0)
			m.FromUserID = f.requiredID()
		case "toUserId":
			f.seen(&set, 1)
			m.ToUserID = f.requiredID()
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
			f.unknown(&others, &top, key)
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
func readPush(body []byte, m *MessageBody) bool {
	r := reader{b: string(body), raw: body}
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
		m.FromUserID, ok = ID(n), ok && n <= MaxID
	case "toUserId":
		n, ok = r.int()
		m.ToUserID, ok = ID(n), ok && n <= MaxID
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
