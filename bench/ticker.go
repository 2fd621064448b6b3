package bench

import (
	"sync"
	"time"
)

// ticker cuts what the recorder takes into seconds, and where a phase ends.
type ticker struct {
	run  *run
	emit func(*tally)
	halt chan struct{}
	wake chan struct{} // the phase has changed
	done chan struct{}

	mu    sync.Mutex
	phase Phase         // guarded by mu
	from  time.Duration // guarded by mu: when measuring begins
	until time.Duration // guarded by mu: and ends
	last  time.Duration // guarded by mu: when the last tick was taken
	cpu   time.Duration // guarded by mu: of this process by then
	count int64         // guarded by mu: events so far

	measured, worked time.Duration // guarded by mu: how long, and the processor time in it
}

func newTicker(r *run, emit func(*tally)) *ticker {
	t := &ticker{run: r, emit: emit, halt: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}), cpu: processCPU()}
	go t.loop()
	return t
}

// begin says that the load begins, and when what counts of it does.
func (t *ticker) begin(from, until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick()
	t.from, t.until, t.phase = from, until, Warming
	if from <= t.run.began {
		t.phase = Measuring
	}
	t.last = t.run.began
	t.wake <- struct{}{}
}

// pass goes on to a phase.
func (t *ticker) pass(p Phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase == Warming && p > Warming && t.run.now() < t.from {
		t.from = t.run.now() // interrupted before anything was measured
	}
	t.advance()
	if t.phase < p {
		t.tick()
		t.phase = p
	}
}

// arrived counts what has happened so far.
func (t *ticker) arrived() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count + t.run.rec.pending()
}

// busy is how many cores this process kept busy while measuring.
func (t *ticker) busy() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.worked.Seconds() / max(t.measured.Seconds(), 0.001)
}

func (t *ticker) end() {
	t.pass(Ended)
	t.stop()
}

// stop ends the goroutine.
func (t *ticker) stop() {
	t.mu.Lock()
	select {
	case <-t.halt:
	default:
		close(t.halt)
	}
	t.mu.Unlock()
	<-t.done
}

func (t *ticker) loop() {
	defer close(t.done)
	for {
		t.mu.Lock()
		t.advance()
		next := t.next()
		t.mu.Unlock()
		timer := time.NewTimer(next - t.run.now())
		select {
		case <-timer.C:
		case <-t.wake:
			timer.Stop()
		case <-t.halt:
			timer.Stop()
			return
		}
	}
}

// next is when the present second, or phase, ends; t.mu is held.
func (t *ticker) next() time.Duration {
	switch t.phase {
	case Warming:
		return min(t.from+(t.second()+1)*time.Second, t.from)
	case Measuring:
		return min(t.from+(t.second()+1)*time.Second, t.until)
	}
	return t.last + time.Second
}

// second is the number of the second that began with the last tick: 0 is the first that is measured. t.mu is held.
func (t *ticker) second() time.Duration {
	since := t.last - t.from
	n := since / time.Second
	if since%time.Second < 0 {
		n--
	}
	return n
}

// advance takes the tick that is due; t.mu is held.
func (t *ticker) advance() {
	if now := t.run.now(); now < t.next() {
		return
	}
	t.tick()
	switch {
	case t.phase == Warming && t.last >= t.from:
		t.phase = Measuring
	case t.phase == Measuring && t.last >= t.until:
		t.phase = Settling
	}
}

// tick takes what came in; t.mu is held.
func (t *ticker) tick() {
	tick, now, cpu := newTally(), t.run.now(), processCPU()
	tick.Phase, tick.Length, tick.CPU = t.phase, now-t.last, (cpu - t.cpu).Seconds()
	if t.phase > Preparing {
		tick.Second = int(t.second())
	}
	if t.phase == Measuring {
		t.measured, t.worked = t.measured+tick.Length, t.worked+cpu-t.cpu
	}
	t.last, t.cpu = now, cpu
	t.run.rec.take(tick)
	tick.Conns = t.run.alive()
	for _, n := range tick.Counts {
		t.count += n
	}
	t.emit(tick)
}
