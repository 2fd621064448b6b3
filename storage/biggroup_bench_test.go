package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// BenchmarkLargeGroups makes groups of 10,000 members at full speed for 25 s while a bystander sends messages:
//
//	go test ./storage -run '^$' -bench LargeGroups -benchtime 1x
func BenchmarkLargeGroups(b *testing.B) {
	for b.Loop() {
		db := open(b, b.TempDir(), storage.Options{MinFree: -1})
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		var made, busy atomic.Int64
		var makers sync.WaitGroup
		for range 8 {
			makers.Go(func() {
				for ctx.Err() == nil {
					ch := creation(b, 1, 10_000)
					for k := 1; k < len(ch.Add); k++ { // users of all the table
						ch.Add[k] = service.UserID(k*1000 + rand.IntN(1000))
					}
					switch _, err := change(db, ch); {
					case err == nil:
						made.Add(1)
					case errors.Is(err, service.ErrBusy):
						busy.Add(1)
						pause(ctx, 20*time.Millisecond) // for the client to ask again
					default:
						b.Error(err)
						return
					}
				}
			})
		}
		var acks []time.Duration
		var peak int
		for n := 0; ctx.Err() == nil; n++ {
			start := time.Now()
			if o := send(db, message(1, 2, fmt.Sprint(n)))[0]; o.err != nil {
				b.Fatal(o.err)
			}
			acks = append(acks, time.Since(start))
			peak = max(peak, resident(b, "RssAnon:"))
			pause(ctx, 2*time.Millisecond)
		}
		cancel()
		makers.Wait()
		start := time.Now()
		closeDB(b, db)
		b.ReportMetric(time.Since(start).Seconds()*1e3, "close-ms")
		b.ReportMetric(float64(made.Load()), "groups")
		b.ReportMetric(float64(busy.Load()), "busy")
		b.ReportMetric(float64(peak)/1024, "anon-MiB")
		b.ReportMetric(float64(resident(b, "VmHWM:"))/1024, "with-file-MiB")
		report(b, "ack", acks)
	}
}

// pause lets a client take its time.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// resident is a line of this process's memory, in KiB.
func resident(b *testing.B, line string) (kb int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("memory can be measured on Linux only")
	}
	for l := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(l, line); ok {
			fmt.Sscan(rest, &kb)
		}
	}
	return kb
}
