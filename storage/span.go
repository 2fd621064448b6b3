package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/msgserver/msgserver/service"
)

// maxSpans is how many spans of one group are kept for a user. Of someone who has left and come back more often
// the oldest are forgotten: he sees less of what he once could, never more.
const maxSpans = 16

// join begins a span with the entry that added the user.
func join(spans []service.Span, seq service.Seq) []service.Span {
	spans = append(spans, service.Span{From: seq, To: service.MaxSeq})
	return spans[max(0, len(spans)-maxSpans):]
}

// leave ends the last span with the entry that removed the user.
func leave(spans []service.Span, seq service.Seq) []service.Span {
	if n := len(spans); n > 0 && spans[n-1].To == service.MaxSeq {
		spans[n-1].To = seq
	}
	return spans
}

// appendSpans encodes spans: from and length of each, the length 0 while it lasts.
func appendSpans(b []byte, spans []service.Span) []byte {
	for _, s := range spans {
		b = binary.AppendUvarint(b, uint64(s.From))
		if s.To == service.MaxSeq {
			b = append(b, 0)
		} else {
			b = binary.AppendUvarint(b, uint64(s.To-s.From+1))
		}
	}
	return b
}

func decodeSpans(b []byte) ([]service.Span, error) {
	var spans []service.Span
	for s := (scan{b: b}); len(s.b) > 0 || s.bad; {
		from, length := service.Seq(s.uvarint()), service.Seq(s.uvarint())
		if s.bad {
			return nil, fmt.Errorf("spans of a member: %w", errDamaged)
		}
		to := service.MaxSeq
		if length > 0 {
			to = from + length - 1
		}
		spans = append(spans, service.Span{From: from, To: to})
	}
	return spans, nil
}
