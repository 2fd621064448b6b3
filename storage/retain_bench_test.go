package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
)

// BenchmarkRetention writes ten times as much as is kept. The file must stop growing, and the tenth time must
// be as fast as the second:
//
//	go test ./storage -run '^$' -bench Retention -benchtime 1x
func BenchmarkRetention(b *testing.B) {
	const kept = 200_000
	for b.Loop() {
		dir, clock := b.TempDir(), newHands()
		o := retaining(clock)
		o.JournalSize, o.PendingPostings = 64<<20, 50_000
		db := open(b, dir, o)
		f := newFeeder(db, 1)
		perSecond := kept / 3600 // virtual: what is written in the hour that is kept
		for round := range 10 {
			start := time.Now()
			for n := 0; n < kept; n += benchBatch {
				f.send()
				clock.advance(time.Duration(benchBatch) * time.Second / time.Duration(perSecond))
			}
			f.wait(b)
			info, err := os.Stat(filepath.Join(dir, "msgserver.db"))
			if err != nil {
				b.Fatal(err)
			}
			switch round {
			case 1, 4, 9:
				b.ReportMetric(float64(info.Size())/1e6, fmt.Sprintf("file-MB-after-%d", round+1))
				b.ReportMetric(kept/time.Since(start).Seconds(), fmt.Sprintf("entries/s-in-%d", round+1))
			}
		}
		if h := headOf(b, db, service.Pair(1, 2)); h.First <= 1 {
			b.Errorf("nothing has expired: %+v", h)
		}
		closeDB(b, db)
	}
}
