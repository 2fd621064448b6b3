package codec_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/codec"
)

// mostBody is about the most that a body can have behind the default limit of a frame.
const mostBody = 256<<10 - 16

// hostile is a body made to cost more than its length.
type hostile struct {
	name   string
	format codec.Format
	body   []byte
}

// hostileBodies are the worst that we have thought of, each as long as a frame may be.
func hostileBodies() []hostile {
	fill := func(open, close string, part func(i int) string) []byte {
		var b strings.Builder
		b.WriteString(open)
		for i := 0; ; i++ {
			p := part(i)
			if b.Len()+len(p)+len(close) > mostBody {
				break
			}
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(p)
		}
		return []byte(b.String() + close)
	}
	const wide = 10000 - 2 // the library's bound on depth
	deepKeys := strings.Repeat(`{"`+strings.Repeat("k", 19)+`":`, wide)
	all := []hostile{
		{"a long text", codec.JSON, []byte(`{"x":"` + strings.Repeat("a", mostBody-8) + `"}`)},
		{"a text of escapes", codec.JSON, []byte(`{"x":"` + strings.Repeat(`\u0041`, (mostBody-8)/6) + `"}`)},
		{"a text of other letters", codec.JSON, []byte(`{"x":"` + strings.Repeat("\u4e2d", (mostBody-8)/3) + `"}`)},
		{"unknown fields", codec.JSON, fill("{", "}", func(i int) string { return fmt.Sprintf(`"%x":1`, i) })},
		{"unknown fields, one twice", codec.JSON, fill("{", `,"0":1}`, func(i int) string { return fmt.Sprintf(`"%x":1`, i) })},
		{"unknown fields with escapes", codec.JSON, fill("{", "}", func(i int) string { return fmt.Sprintf(`"\u0041%x":1`, i) })},
		{"an object of fields", codec.JSON, fill(`{"x":{`, "}}", func(i int) string { return fmt.Sprintf(`"%x":1`, i) })},
		{"a list of objects", codec.JSON, fill(`{"x":[`, "]}", func(int) string { return `{}` })},
		{"a list of wide objects", codec.JSON, fill(`{"x":[`, "]}", func(int) string {
			return many(17)
		})},
		{"nested lists", codec.JSON, []byte(`{"x":` + strings.Repeat("[", wide) + strings.Repeat("]", wide) + "}")},
		{"nested lists for ever", codec.JSON, []byte(`{"x":` + strings.Repeat("[", mostBody-5))},
		{"nested objects", codec.JSON, []byte(`{"x":` + deepKeys + "1" + strings.Repeat("}", wide) + "}")},
		{"nested objects, broken", codec.JSON, []byte(`{"x":` + deepKeys + "!" + strings.Repeat("}", wide) + "}")},
		{"memberIds", codec.JSON, fill(`{"memberIds":[`, "]}", func(int) string { return "1" })},
		{"memberIds as texts", codec.JSON, fill(`{"memberIds":[`, "]}", func(int) string { return `"1"` })},
		{"memberIds, the last wrong", codec.JSON, fill(`{"memberIds":[`, `,-1]}`, func(int) string { return "1" })},
		{"a text for an id", codec.JSON, []byte(`{"toUserId":"` + strings.Repeat("1", mostBody-20) + `"}`)},
		{"escapes for an id", codec.JSON, []byte(`{"toUserId":"` + strings.Repeat(`\u0031`, (mostBody-20)/6) + `"}`)},
		{"a long number", codec.JSON, []byte(`{"sendDate":` + strings.Repeat("1", mostBody-20) + `}`)},
		{"a long taskId", codec.JSON, []byte(`{"taskId":"` + strings.Repeat(`\n`, (mostBody-20)/2) + `"}`)},
	}
	return append(all, hostilePacked()...)
}

// hostilePacked are those in MessagePack, where the guard bounds the number of values.
func hostilePacked() []hostile {
	array := func(n int, one string) string {
		return "\xdd" + string(binary.BigEndian.AppendUint32(nil, uint32(n))) + strings.Repeat(one, n)
	}
	mapOf := func(n int, one func(i int) string) string {
		var b strings.Builder
		b.WriteString("\xdf" + string(binary.BigEndian.AppendUint32(nil, uint32(n))))
		for i := range n {
			b.WriteString(one(i))
		}
		return b.String()
	}
	const most = 65536 - 4
	return []hostile{
		{"a list", codec.MsgPack, []byte("\x81\xa1x" + array(most, "\x01"))},
		{"a list of empty maps", codec.MsgPack, []byte("\x81\xa1x" + array(most, "\x80"))},
		{"unknown fields", codec.MsgPack, []byte(mapOf(most/2, func(i int) string { return fmt.Sprintf("\xa4%04x\xa2ab", i) }))},
		{"a field again and again", codec.MsgPack, []byte(mapOf(20000, func(int) string { return "\xa8sendDate\xca\x3f\x81\x00\x00" }))},
		{"texts for sendDate", codec.MsgPack, []byte(mapOf(1800, func(int) string { return "\xa8sendDate\xd9\x80" + strings.Repeat("\x01", 128) }))},
		{"memberIds", codec.MsgPack, []byte("\x81\xa9memberIds" + array(most, "\x01"))},
		{"memberIds as texts", codec.MsgPack, []byte("\x81\xa9memberIds" + array(most, "\xa3123"))},
		{"memberIds again and again", codec.MsgPack, []byte(mapOf(20000, func(int) string { return "\xa9memberIds\x91\x01" }))},
		{"long memberIds again and again", codec.MsgPack, []byte(mapOf(6, func(int) string { return "\xa9memberIds" + array(10000, "\x01") }))},
		{"a text for an id", codec.MsgPack, []byte("\x81\xa8toUserId\xdb\x00\x03\xf0\x00" + strings.Repeat("1", 0x3f000))},
	}
}

// TestHostileBodiesCostTheirLength: what a decode takes is a small multiple of what came, whatever came.
func TestHostileBodiesCostTheirLength(t *testing.T) {
	for _, h := range hostileBodies() {
		for way, decode := range map[string]func(){
			"DecodeMessage": func() { _ = codec.DecodeMessage(h.format, h.body, &codec.MessageRequest{}) },
			"Unmarshal":     func() { _ = codec.Unmarshal(h.format, h.body, &codec.GroupRequest{}) },
			"TaskIDOf":      func() { codec.TaskIDOf(h.format, h.body) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			decode()
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 32*mostBody {
				t.Errorf("%s, %s, %d bytes: %s took %d", h.name, h.format, len(h.body), way, used)
			}
		}
	}
}

// BenchmarkHostile is what a hostile body costs an event loop:
//
//	go test ./codec -run '^$' -bench Hostile -benchtime 20x
func BenchmarkHostile(b *testing.B) {
	for _, h := range hostileBodies() {
		b.Run(fmt.Sprintf("%s/%s/message", h.format, h.name), func(b *testing.B) {
			b.ReportAllocs()
			var m codec.MessageRequest
			for b.Loop() {
				_ = codec.DecodeMessage(h.format, h.body, &m)
			}
		})
		b.Run(fmt.Sprintf("%s/%s/group", h.format, h.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = codec.Unmarshal(h.format, h.body, &codec.GroupRequest{})
			}
		})
		b.Run(fmt.Sprintf("%s/%s/task", h.format, h.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				codec.TaskIDOf(h.format, h.body)
			}
		})
	}
}
