package codec

import "strings"

// TaskIDOf finds the taskId and msgId of a body that did not decode, as well as it can: of a document that
// breaks a rule elsewhere, and not of something that is no document.
func TaskIDOf(f Format, body []byte) (task TaskID, msgID string) {
	switch f {
	case JSON:
		return marksJSON(string(body))
	case MsgPack:
		return marksMsgPack(body)
	}
	return "", ""
}

func marksJSON(body string) (task TaskID, msgID string) {
	f := openFlat(body)
	var set uint16
	var others names
	top := others.open()
	for key, more := f.next(true); more; key, more = f.next(false) {
		start := f.i
		switch key {
		case "taskId":
			f.seen(&set, 0)
			if f.skip(&others); f.ok {
				task, _ = jsonTask(body[start:f.i])
			}
		case "msgId":
			f.seen(&set, 1)
			f.skip(&others)
			if token := body[start:f.i]; f.ok && token[0] == '"' && fits(token) {
				msgID = unquote(token, strings.IndexByte(token, '\\') >= 0)
			}
		default:
			f.unknown(&others, &top, key)
		}
	}
	if !f.ok {
		return "", ""
	}
	return task, msgID
}

func marksMsgPack(body []byte) (task TaskID, msgID string) {
	if guard(body) != nil {
		return "", ""
	}
	r := reader{b: string(body), raw: body}
	n, ok := r.mapLen()
	for ; ok && n > 0; n-- {
		var key string
		if key, ok = r.str(); !ok {
			break
		}
		start := r.i
		r.skip()
		value := reader{b: r.b[start:r.i]}
		switch key {
		case "taskId":
			task, _ = value.task()
		case "msgId":
			if msgID, _ = value.str(); len(msgID) > maxScalar {
				msgID = ""
			}
		}
	}
	if !ok {
		return "", ""
	}
	return task, msgID
}
