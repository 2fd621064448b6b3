package storage

import (
	"fmt"
	"testing"
)

// BenchmarkJournalWrite syncs batches to a real disk:
//
//	go test ./storage -run '^$' -bench JournalWrite -benchtime 2s
func BenchmarkJournalWrite(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			j, err := openJournal(b.TempDir(), 32<<20, meta{})
			if err != nil {
				b.Fatal(err)
			}
			defer j.close(false)
			if err := j.replay(0, func(uint64, []byte) error { return nil }); err != nil {
				b.Fatal(err)
			}
			batch := batchOf(0, n, 300)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					batch[i].gid = j.last + 1 + uint64(i)
				}
				j.applied(j.last)
				if err := j.write(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
