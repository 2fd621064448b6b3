package bench

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// arrive is one arrival of a load: what was due is done, or at least begun. done, if not nil, must be called when it
// has ended. waited says that it had to wait for the server, so what follows is late through no fault of ours.
type arrive func(due time.Duration, done func()) (waited bool)

// perDriver is how many arrivals a second one driver is given, before there are more drivers.
const perDriver = 50_000

// closeEnough is how far off an arrival may be to begin it rather than to sleep.
const closeEnough = 20 * time.Microsecond

// load runs arrivals from r.began until until, or until the scenario has no more.
func (r *run) load(ctx context.Context, sc scenario, until time.Duration) error {
	drivers := sc.lanes()
	if !r.spec.Closed() {
		drivers = min(drivers, runtime.GOMAXPROCS(0), 1+int(r.spec.Peak()/perDriver))
	}
	if drivers == 0 {
		return nil
	}
	var all sync.WaitGroup
	errs := make(chan error, drivers)
	for i := range drivers {
		random := rand.New(rand.NewPCG(r.spec.Seed, uint64(i)))
		arrive := sc.arrival(i, drivers, random)
		times := &timetable{pacer: Pacer{Rate: r.spec.Rate, Warmup: r.spec.Warmup, Stages: r.spec.Stages, First: int64(i), Step: int64(drivers)}}
		if r.spec.Arrivals == result.Poisson {
			times.random = rand.New(rand.NewPCG(r.spec.Seed, uint64(i)|1<<63))
		}
		count := share(sc.arrivals(), i, drivers)
		all.Go(func() {
			if r.spec.Closed() {
				r.closedLoop(ctx, i, until, count, arrive)
				return
			}
			errs <- r.openLoop(ctx, i, times, until, count, arrive)
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// share is the part of n that falls to driver i.
func share(n int64, i, drivers int) int64 {
	if n == unlimited {
		return n
	}
	return (n - int64(i) + int64(drivers) - 1) / int64(drivers)
}

// openLoop begins each arrival when it is due, whatever became of those before.
func (r *run) openLoop(ctx context.Context, shard int, times *timetable, until time.Duration, count int64, arrive arrive) error {
	a, err := newAlarm()
	if err != nil {
		return err
	}
	defer a.close()
	defer context.AfterFunc(ctx, a.close)()
	excused := time.Duration(0) // arrivals that were due before this are late because of the server
	n := int64(0)
	for ; n < count && ctx.Err() == nil; n++ {
		due := r.after(times.next())
		if due >= until {
			return nil
		}
		now := r.now()
		if due-now > closeEnough {
			if a.sleep(due-now) != nil {
				return nil // ctx has ended, and nothing is late
			}
			now = r.now()
		}
		r.rec.left(shard, due, max(0, now-max(due, excused)))
		if arrive(due, nil) {
			excused = r.now()
		}
	}
	r.omit(shard, times, n, until, count)
	return nil
}

// after is a time of the schedule on the run's clock.
func (r *run) after(due time.Duration) time.Duration { return r.began + min(due, never-r.began) }

// omit notes the arrivals from the n-th that never left, because the server took no more: they have waited, too.
func (r *run) omit(shard int, times *timetable, n int64, until time.Duration, count int64) {
	for ; n < count && r.user.Err() == nil; n++ {
		due := r.after(times.next())
		if due >= until {
			return
		}
		r.rec.waited(shard, r.begins, due, r.now())
		r.rec.failed(shard, errNoRoom)
	}
}

// errNoRoom is how arrivals that never left are counted.
const errNoRoom = "not sent: the server had too much to answer"

// giveUp ends the load when, after its end, nothing more comes in: the server has so much to answer that the rest would
// wait for ever.
func (r *run) giveUp(ctx context.Context, until time.Duration, t *ticker, stop context.CancelFunc) {
	if sleep(ctx, until-r.now()) != nil {
		return
	}
	for last, seen := r.now(), int64(-1); sleep(ctx, 50*time.Millisecond) == nil; {
		if n := t.arrived(); n != seen {
			seen, last = n, r.now()
		}
		if r.now()-last > settleSilence || r.now()-until > settleLimit {
			stop()
		}
	}
}

// closedLoop begins an arrival whenever fewer than the window have not ended.
func (r *run) closedLoop(ctx context.Context, shard int, until time.Duration, count int64, arrive arrive) {
	places := make(chan struct{}, r.spec.Window)
	done := func() { <-places }
	for n := int64(0); n < count; n++ {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		now := r.now()
		if now >= until {
			return
		}
		arrive(now, done)
	}
}
