package codec

import (
	"bytes"
	"strings"
)

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

// QuickTaskID finds the taskId of a large body that is refused before anybody decodes it. Its cost is that of a search
// for the key; where that stands more than once, or may be spelled with escapes, it is TaskIDOf.
func QuickTaskID(f Format, body []byte) TaskID {
	key := []byte(`"taskId"`)
	if f == MsgPack {
		key = []byte("\xa6taskId") // a str of 6 bytes
	}
	at := bytes.Index(body, key)
	if n := bytes.Count(body, key); n > 1 || f == JSON && bytes.IndexByte(body, '\\') >= 0 {
		task, _ := TaskIDOf(f, body)
		return task
	}
	if at < 0 {
		return ""
	}
	value := body[at+len(key):]
	value = value[:min(len(value), maxScalar+64)] // and some space before it
	if f == MsgPack {
		r := reader{b: string(value)}
		task, _ := r.task()
		return task
	}
	return taskAfterKey(string(value))
}

// taskAfterKey reads the value behind a key of JSON.
func taskAfterKey(s string) TaskID {
	f := flat{s: s, ok: true}
	f.space()
	f.expect(':')
	f.space()
	start := f.i
	if f.peek() == '"' {
		f.stringToken()
	} else {
		for f.i < len(s) && (s[f.i] == '-' || s[f.i] >= '0' && s[f.i] <= '9') {
			f.i++
		}
	}
	if !f.ok || f.i == start || !strings.ContainsRune(",} \t\r\n", rune(f.peek())) { // nothing, or only the beginning of something
		return ""
	}
	task, err := jsonTask(s[start:f.i])
	if err != nil {
		return ""
	}
	return task
}
