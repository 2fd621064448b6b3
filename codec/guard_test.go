package codec_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/msgserver/msgserver/codec"
)

// FuzzGuard: what passes the guard the library reads without a panic and without allocating more than a
// multiple of what came.
func FuzzGuard(f *testing.F) {
	for _, seed := range []string{
		"\x80", "\x81\xa1a\x01", "\xdd\xff\xff\xff\xff", "\xdf\x00\x00\x00\x01\xa1a\xc0", "\x92\xc4\x01a\xc7\x01\x05x",
		strings.Repeat("\x91", 16) + "\x01", strings.Repeat("\x91", 17) + "\x01", "\xd9\x02\xc3\xa4", "\xca\x00\x00\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if codec.Guard(b) != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var v any
		_ = msgpack.Unmarshal(b, &v) // types it does not know are its errors, not ours
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(1<<20+400*len(b)) {
			t.Fatalf("%d bytes made the library allocate %d", len(b), used)
		}
	})
}
