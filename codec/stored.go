package codec

import "strconv"

// AppendMessageStored appends the response to a message that had a taskId, as a whole frame.
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

// DecodeMessageStored is Unmarshal for the result of a message.
func DecodeMessageStored(f Format, result []byte, m *MessageStored) error {
	if f != JSON || !scanStored(string(result), m) {
		*m = MessageStored{}
		return Unmarshal(f, result, m)
	}
	return nil
}

func scanStored(result string, m *MessageStored) bool {
	f := openFlat(result)
	var set uint16
	var others names
	top := others.open()
	for key, more := f.next(true); more; key, more = f.next(false) {
		switch key {
		case "msgId":
			f.seen(&set, 0)
			m.MsgID = f.text()
		case "seq":
			f.seen(&set, 1)
			m.Seq = f.uint()
		case "serverReceiveDate":
			f.seen(&set, 2)
			m.ServerReceiveDate, f.ok = f.plainInt()
		case "state":
			f.seen(&set, 3)
			m.State = int(f.uint())
		default:
			f.unknown(&others, &top, key)
		}
	}
	return f.ok
}
