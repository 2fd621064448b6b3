package storage_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// The figures of the README and docs are made with
//
//	go test ./storage -run '^$' -bench Store -benchtime 1x -timeout 20m
//
// on a real disk: TMPDIR must not be a tmpfs.
var (
	benchFill = flag.Int("bench.fill", 5_000_000, "entries that are in the file before anything is measured")
	benchFeed = flag.Duration("bench.feed", 30*time.Second, "how long BenchmarkStore feeds without pause")
	benchDir  = flag.String("bench.dir", "", "directory to keep the filled file in, between runs")
)

const (
	benchUsers   = 100_000 // conversations: user i writes to user i+1
	benchPayload = 200
	benchBatch   = 64
	benchWindow  = 3200 // messages that are not acknowledged, at most: 50 senders with 64 each
)

// filled is a directory with benchFill entries.
func filled(b *testing.B) string {
	dir := *benchDir
	if dir == "" {
		dir = b.TempDir()
	}
	db := open(b, dir, storage.Options{})
	defer closeDB(b, db)
	start := time.Now()
	f := newFeeder(db, 1)
	for int(db.Stats().LastGid)+benchWindow < *benchFill {
		for range benchWindow / benchBatch {
			f.send()
		}
	}
	f.wait(b)
	if f.sent > 0 {
		b.Logf("filled with %d entries in %v", f.sent, time.Since(start).Round(time.Second))
	}
	return dir
}

// bytesWritten is what this process has given to the disk, by /proc/self/io.
func bytesWritten(b *testing.B) uint64 {
	f, err := os.Open("/proc/self/io")
	if err != nil {
		b.Skip("bytes written can be measured on Linux only")
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if n, ok := strings.CutPrefix(s.Text(), "write_bytes: "); ok {
			v, _ := strconv.ParseUint(n, 10, 64)
			return v
		}
	}
	b.Fatal("/proc/self/io has no write_bytes")
	return 0
}

// report gives percentiles in milliseconds.
func report(b *testing.B, what string, times []time.Duration) {
	slices.Sort(times)
	at := func(p float64) float64 {
		return times[min(len(times)-1, int(p*float64(len(times))))].Seconds() * 1e3
	}
	b.ReportMetric(at(0.5), what+"-p50-ms")
	b.ReportMetric(at(0.99), what+"-p99-ms")
	b.ReportMetric(at(1), what+"-max-ms")
}

// BenchmarkStore measures everything that depends on how much is in the file, one after the other.
func BenchmarkStore(b *testing.B) {
	dir := filled(b)
	b.Run("feed", func(b *testing.B) { benchmarkFeed(b, dir) })
	b.Run("one", func(b *testing.B) { benchmarkOne(b, dir) })
	b.Run("page", func(b *testing.B) { benchmarkPage(b, dir) })
	b.Run("marks", func(b *testing.B) { benchmarkMarks(b, dir) })
	b.Run("open", func(b *testing.B) { benchmarkOpen(b, dir) })
}

func benchmarkFeed(b *testing.B, dir string) {
	for b.Loop() {
		db := open(b, dir, storage.Options{})
		f := newFeeder(db, uint64(time.Now().UnixNano()))
		before := bytesWritten(b)
		start := time.Now()
		for time.Since(start) < *benchFeed {
			f.send()
		}
		f.wait(b)
		took := time.Since(start)
		close(f.acks)
		var acks []time.Duration
		for t := range f.acks {
			acks = append(acks, t)
		}
		closeDB(b, db)
		b.ReportMetric(float64(f.sent)/took.Seconds(), "entries/s")
		b.ReportMetric(float64(bytesWritten(b)-before)/float64(f.sent), "written-B/entry")
		report(b, "ack", acks)
	}
	info, err := os.Stat(filepath.Join(dir, "msgserver.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "file-MB")
}

func benchmarkOne(b *testing.B, dir string) {
	for b.Loop() {
		db := open(b, dir, storage.Options{})
		var acks []time.Duration
		for start := time.Now(); time.Since(start) < 3*time.Second; {
			from := service.UserID(rand.IntN(benchUsers) + 1)
			sent := time.Now()
			if o := send(db, message(from, from+1, fmt.Sprint(rand.Uint64())))[0]; o.err != nil {
				b.Fatal(o.err)
			}
			acks = append(acks, time.Since(sent))
		}
		closeDB(b, db)
		report(b, "ack", acks)
	}
}

func benchmarkPage(b *testing.B, dir string) {
	for b.Loop() {
		db := open(b, dir, storage.Options{})
		var times []time.Duration
		for range 5000 {
			from := service.UserID(rand.IntN(benchUsers) + 1)
			start := time.Now()
			page, err := db.Read(context.Background(), service.Pair(from, from+1), service.MaxSeq, 50, 1<<20, service.Backward)
			times = append(times, time.Since(start))
			if err != nil || len(page) == 0 {
				b.Fatal(len(page), err)
			}
		}
		closeDB(b, db)
		report(b, "read", times)
	}
}

func benchmarkMarks(b *testing.B, dir string) {
	for b.Loop() {
		db := open(b, dir, storage.Options{})
		free := make(chan struct{}, benchWindow/benchBatch)
		before, marks, start := bytesWritten(b), 0, time.Now()
		for ; time.Since(start) < 10*time.Second; marks += benchBatch {
			free <- struct{}{}
			var left atomic.Int32
			left.Store(benchBatch)
			batch := make([]service.Mark, benchBatch)
			for i := range batch {
				user := service.UserID(rand.IntN(benchUsers) + 2)
				batch[i] = service.Mark{User: user, Conv: service.Pair(user-1, user), State: service.StateRead,
					Seq: service.Seq(marks/benchUsers + 1), Done: func(_ service.Marked, err error) {
						if err != nil {
							b.Error(err)
						}
						if left.Add(-1) == 0 {
							<-free
						}
					}}
			}
			db.Mark(batch)
		}
		for range cap(free) {
			free <- struct{}{}
		}
		took := time.Since(start)
		closeDB(b, db)
		b.ReportMetric(float64(marks)/took.Seconds(), "marks/s")
		b.ReportMetric(float64(bytesWritten(b)-before)/float64(marks), "written-B/mark")
	}
}

// benchmarkOpen opens after a crash that came when as much as possible was pending and nothing in the tail applied.
func benchmarkOpen(b *testing.B, dir string) {
	for b.Loop() {
		db := open(b, dir, storage.Options{})
		f := newFeeder(db, uint64(time.Now().UnixNano()))
		for range 1_200_000 / benchBatch {
			f.send()
		}
		f.wait(b)
		stats := db.Stats()
		if err := db.Crash(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		db = open(b, dir, storage.Options{})
		b.ReportMetric(time.Since(start).Seconds()*1e3, "open-ms")
		b.ReportMetric(float64(stats.PendingPostings), "pending")
		b.ReportMetric(float64(db.Stats().PendingPostings), "pending-after")
		b.ReportMetric(float64(stats.TailEntries), "tail")
		closeDB(b, db)
	}
}
